//! What the user consented to: subject, client, scope, resources.

use std::collections::{BTreeMap, BinaryHeap};
use std::fmt;
use std::sync::Arc;

use crate::claims::Audience;
use crate::grant_error::GrantError;
use crate::shown::shown_url;
use crate::uri;

/// The members of an introspection response (RFC 7662 §2.2) that are not the application's.
#[rustfmt::skip]
const RESERVED: [&str; 13] = [
    "active", "scope", "client_id", "username", "token_type", "exp", "iat", "nbf", "sub", "aud", "iss", "jti", "cnf",
];

/// A set of scope tokens (RFC 6749 §3.3), kept sorted and without repetition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Scope(Arc<str>);

impl Scope {
    /// Parse a space-separated list; its order and repetitions do not matter. The empty string is the empty scope.
    ///
    /// # Errors
    ///
    /// [`GrantError::Scope`] for a character outside `%x21 / %x23-5B / %x5D-7E`.
    pub fn parse(text: &str) -> Result<Self, GrantError> {
        let allowed = |character: &char| matches!(character, ' ' | '!' | '#'..='[' | ']'..='~');
        if let Some(character) = text.chars().find(|character| !allowed(character)) {
            return Err(GrantError::Scope { character });
        }
        // A heap, because a sort is several KiB of code more.
        let tokens: BinaryHeap<&str> = text.split(' ').filter(|token| !token.is_empty()).collect();
        let mut tokens = tokens.into_sorted_vec();
        tokens.dedup();
        Ok(Self(tokens.join(" ").into()))
    }

    /// The tokens, separated by single spaces.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The tokens one by one, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.split(' ').filter(|token| !token.is_empty())
    }

    /// Whether `token` is among them.
    pub fn contains(&self, token: &str) -> bool {
        self.iter().any(|t| t == token)
    }

    /// Whether every token of `other` is among them.
    pub fn includes(&self, other: &Scope) -> bool {
        self == other || other.iter().all(|token| self.contains(token))
    }

    /// Text that an earlier [`Scope::parse`] made.
    pub(crate) fn from_canonical(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

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
/// # Ok::<(), mcp_token_lifecycle::GrantError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Resource(Arc<str>);

impl Resource {
    /// Parse an absolute URI without a fragment, such as `https://mcp.example.com/mcp`.
    ///
    /// # Errors
    ///
    /// [`GrantError::Resource`].
    pub fn parse(uri: &str) -> Result<Self, GrantError> {
        uri::normalize(uri).map(|uri| Self(uri.into())).ok_or_else(|| GrantError::Resource { uri: shown_url(uri) })
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

/// What the user consented to. Every token of a family stands for its grant and never for more.
///
/// ```
/// use mcp_token_lifecycle::{Grant, Resource, Scope};
///
/// let grant = Grant::new(
///     "user-4711",
///     "https://client.example/metadata.json",
///     Scope::parse("mcp:read mcp:write")?,
///     Resource::parse("https://mcp.example.com/mcp")?,
/// )?
/// .with_claim("tenant", "acme")?;
/// assert_eq!(grant.scope().as_str(), "mcp:read mcp:write");
/// # Ok::<(), mcp_token_lifecycle::GrantError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Grant {
    pub(crate) subject: Arc<str>,
    pub(crate) client_id: Arc<str>,
    pub(crate) scope: Scope,
    pub(crate) resources: Audience,
    pub(crate) claims: BTreeMap<String, String>,
}

impl Grant {
    /// The most bytes that subject, client id, scope, resources and claims may have together.
    pub const MAX_BYTES: usize = 2048;

    /// A grant by `subject` to `client_id`, of `scope` at `resource`.
    ///
    /// # Errors
    ///
    /// [`GrantError::Empty`] for an empty subject or client id, [`GrantError::Control`] for control characters in them,
    /// [`GrantError::TooLong`] if it all adds up to more than [`Grant::MAX_BYTES`].
    pub fn new(
        subject: impl Into<Arc<str>>,
        client_id: impl Into<Arc<str>>,
        scope: Scope,
        resource: Resource,
    ) -> Result<Self, GrantError> {
        let (subject, client_id) = (subject.into(), client_id.into());
        for (part, text) in [("subject", &subject), ("client id", &client_id)] {
            if text.is_empty() {
                return Err(GrantError::Empty { part });
            }
            if text.chars().any(char::is_control) {
                return Err(GrantError::Control { part });
            }
        }
        Self { subject, client_id, scope, resources: Audience::One(resource), claims: BTreeMap::new() }.within_limit()
    }

    /// The same grant, for one more resource.
    ///
    /// A token for several resources at once is not opened with the [keys of one](crate::AccessKeys::for_resource); a client asks for
    /// a token for one of them with [`RefreshRequest::resource`](crate::RefreshRequest::resource).
    ///
    /// # Errors
    ///
    /// [`GrantError::TooLong`].
    pub fn with_resource(mut self, resource: Resource) -> Result<Self, GrantError> {
        if !self.resources().contains(&resource) {
            self.resources = Audience::from(&*[self.resources(), &[resource]].concat());
        }
        self.within_limit()
    }

    /// The same grant with a claim of the application's own, such as a tenant or `auth_time`. It stays with the family
    /// through every rotation and is in every [`AccessClaims`](crate::AccessClaims).
    ///
    /// # Errors
    ///
    /// [`GrantError::TooLong`]; [`GrantError::ReservedClaim`] for a name that introspection uses (RFC 7662 §2.2).
    pub fn with_claim(mut self, name: impl Into<String>, value: impl Into<String>) -> Result<Self, GrantError> {
        let name = name.into();
        if RESERVED.contains(&name.as_str()) {
            return Err(GrantError::ReservedClaim { name });
        }
        self.claims.insert(name, value.into());
        self.within_limit()
    }

    fn within_limit(self) -> Result<Self, GrantError> {
        let resources: usize = self.resources().iter().map(|r| r.as_str().len() + 1).sum();
        let claims: usize = self.claims.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
        let bytes = self.subject.len() + self.client_id.len() + self.scope.as_str().len() + resources + claims;
        if bytes > Self::MAX_BYTES { Err(GrantError::TooLong { bytes }) } else { Ok(self) }
    }

    /// The user: an identifier that is never reassigned.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The client that acts for the user.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// The most a token of this grant may do.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Where tokens of this grant may be used; at least one resource.
    pub fn resources(&self) -> &[Resource] {
        self.resources.as_slice()
    }

    /// The application's own claims.
    pub fn claims(&self) -> &BTreeMap<String, String> {
        &self.claims
    }
}
