//! Where a token may be used.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::crypto::shown::shown_url;
use crate::net::uri;

/// The URI of a protected resource (RFC 8707 §2): what a client asks for, and the audience of what it gets.
///
/// Equivalent URIs are the same resource (RFC 3986 §6.2.2, §6.2.3): the case of scheme and host, a default port, an empty path,
/// dot segments, and percent-encoding that is not needed make no difference. Everything else does, such as a `/` at the end of a
/// path.
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
    /// Parse an absolute URI without a fragment, such as `https://mcp.example.com/mcp`.
    ///
    /// # Errors
    ///
    /// [`ResourceError`].
    pub fn parse(uri: &str) -> Result<Self, ResourceError> {
        uri::normalize(uri).map(|uri| Self(uri.into())).ok_or_else(|| ResourceError { uri: shown_url(uri) })
    }

    /// The URI.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Text that an earlier [`Resource::parse`] made.
    pub(crate) fn from_canonical(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Nearly always one resource, and then without an allocation of its own. `Many` has two or more: or what is equal would
/// differ.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) enum Audience {
    One(Resource),
    Many(Vec<Resource>),
}

impl Audience {
    /// Resources separated by spaces, of which a URI has none.
    pub(crate) fn split(text: &str) -> Self {
        match text.contains(' ') {
            false => Self::One(Resource::from_canonical(text)),
            true => Self::Many(text.split(' ').map(Resource::from_canonical).collect()),
        }
    }

    /// What [`split`](Self::split) takes apart.
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

impl fmt::Debug for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.as_slice()).finish()
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

/// Not an absolute URI, or one with a fragment or user information.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a resource must be an absolute URI without fragment and user information, got {uri}")]
#[non_exhaustive]
pub struct ResourceError {
    /// The text, without its query and user information.
    pub uri: String,
}
