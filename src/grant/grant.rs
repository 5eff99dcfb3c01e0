//! What the user consented to: subject, client, scope, resources.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::resource::{Audience, Resource, ResourceError};
use super::scope::{Scope, ScopeError};

/// The members of an introspection response (RFC 7662 §2.2) that are not the application's.
#[rustfmt::skip]
const RESERVED: [&str; 13] = [
    "active", "scope", "client_id", "username", "token_type", "exp", "iat", "nbf", "sub", "aud", "iss", "jti", "cnf",
];

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

/// Why a scope, a resource or a grant was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GrantError {
    /// The scope is not one.
    #[error(transparent)]
    Scope(#[from] ScopeError),
    /// The resource is not one.
    #[error(transparent)]
    Resource(#[from] ResourceError),
    /// No subject or no client id.
    #[error("the {part} must not be empty")]
    Empty {
        /// Which of the two.
        part: &'static str,
    },
    /// A control character in the subject or the client id.
    #[error("the {part} must not have control characters")]
    Control {
        /// Which of the two.
        part: &'static str,
    },
    /// A claim with a name that has a meaning of its own.
    #[error("a claim must not have the reserved name {name}")]
    ReservedClaim {
        /// The name.
        name: String,
    },
    /// More than a token can carry.
    #[error(
        "subject, client id, scope, resources and claims must have at most {} bytes together, got {bytes}",
        Grant::MAX_BYTES
    )]
    TooLong {
        /// Its size.
        bytes: usize,
    },
}
