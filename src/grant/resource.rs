//! Protected resources: where a token may be used.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::net::uri;
use crate::shown::shown_url;

/// The URI of a protected resource (RFC 8707 §2), which a client requests and which becomes the audience of its token.
///
/// Equivalent URIs are the same resource (RFC 3986 §6.2.2, §6.2.3). These make no difference: the case of scheme and
/// host, a default port, an empty path, dot segments, and unneeded percent-encoding. Everything else makes a
/// difference, such as a `/` at the end of a path.
///
/// ```
/// use mcp_token_lifecycle::Resource;
///
/// let resource = Resource::parse("https://MCP.example.com:443/mcp")?;
/// assert_eq!(resource, Resource::parse("https://mcp.example.com/mcp")?);
/// assert_eq!(resource.as_str(), "https://mcp.example.com/mcp");
/// # Ok::<(), mcp_token_lifecycle::ResourceError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Resource(Arc<str>);

impl Resource {
    /// Parses and normalizes an absolute URI, such as `https://mcp.example.com/mcp`.
    ///
    /// # Errors
    ///
    /// [`ResourceError`] if the URI is not absolute, has no host, or has a fragment or user information.
    pub fn parse(uri: &str) -> Result<Self, ResourceError> {
        uri::normalize(uri).map(|uri| Self(uri.into())).ok_or_else(|| ResourceError { uri: shown_url(uri) })
    }

    /// Returns the normalized URI.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Takes text that an earlier [`Resource::parse`] produced.
    pub(crate) fn from_canonical(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The resources of a token. Nearly always there is one, and then it takes no allocation of its own: the row "allocations
/// in `verify` for its claims" of the benchmarks.
///
/// `Many` must hold two or more, so that equal audiences compare equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Audience {
    One(Resource),
    Many(Vec<Resource>),
}

impl Audience {
    /// Splits resources that are separated by spaces, which a URI cannot contain.
    pub(crate) fn split(text: &str) -> Self {
        match text.contains(' ') {
            false => Self::One(Resource::from_canonical(text)),
            true => Self::Many(text.split(' ').map(Resource::from_canonical).collect()),
        }
    }

    /// Joins the resources with spaces, as [`split`](Self::split) expects them.
    pub(crate) fn join(&self) -> Cow<'_, str> {
        match self {
            Self::One(resource) => resource.as_str().into(),
            Self::Many(resources) => resources.iter().map(Resource::as_str).collect::<Vec<_>>().join(" ").into(),
        }
    }

    pub(crate) fn as_slice(&self) -> &[Resource] {
        match self {
            Self::One(resource) => std::slice::from_ref(resource),
            Self::Many(resources) => resources,
        }
    }
}

impl From<&[Resource]> for Audience {
    fn from(resources: &[Resource]) -> Self {
        match resources {
            [resource] => Self::One(resource.clone()),
            resources => Self::Many(resources.to_vec()),
        }
    }
}

impl FromStr for Resource {
    type Err = ResourceError;

    fn from_str(uri: &str) -> Result<Self, ResourceError> {
        Self::parse(uri)
    }
}

/// A resource is not an absolute URI, or has a fragment or user information.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a resource must be an absolute URI without fragment and user information, got {uri}")]
#[non_exhaustive]
pub struct ResourceError {
    /// The text, without its query and user information.
    pub uri: String,
}
