//! The grant: the subject, client, scope and resources that the user consented to.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::resource::{Audience, Resource, ResourceError};
use super::scope::{Scope, ScopeError};

/// The members of an introspection response (RFC 7662 §2.2) that an application must not set.
#[rustfmt::skip]
const RESERVED: [&str; 13] = [
    "active", "scope", "client_id", "username", "token_type", "exp", "iat", "nbf", "sub", "aud", "iss", "jti", "cnf",
];

/// What the user consented to. No token of a family allows more than the family's grant.
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
    /// The largest size in bytes of subject, client id, scope, resources and claims together.
    /// Each resource counts one byte more, and each claim four.
    pub const MAX_BYTES: usize = 2048;

    /// Creates a grant by the user `subject` to the client `client_id`, of `scope` at `resource`.
    ///
    /// # Errors
    ///
    /// * [`GrantError::Empty`] if the subject or the client id is empty.
    /// * [`GrantError::Control`] if either contains control characters.
    /// * [`GrantError::TooLong`] if all parts together exceed [`Grant::MAX_BYTES`].
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

    /// Adds a resource to the grant; one that the grant has already changes nothing.
    ///
    /// The [keys of one resource](crate::AccessKeys::for_resource) do not open a token for several resources. A client
    /// asks for a token for one of them with [`RefreshRequest::resource`](crate::RefreshRequest::resource).
    ///
    /// # Errors
    ///
    /// [`GrantError::TooLong`] if all parts together exceed [`Grant::MAX_BYTES`].
    pub fn with_resource(mut self, resource: Resource) -> Result<Self, GrantError> {
        if !self.resources().contains(&resource) {
            self.resources = Audience::from(&*[self.resources(), &[resource]].concat());
        }
        self.within_limit()
    }

    /// Adds a claim of the application's own, such as a tenant or `auth_time`; a claim of the same name is replaced.
    ///
    /// The claim stays with the family through every rotation and is in every [`AccessClaims`](crate::AccessClaims).
    ///
    /// # Errors
    ///
    /// * [`GrantError::ReservedClaim`] if introspection uses the name (RFC 7662 §2.2).
    /// * [`GrantError::TooLong`] if all parts together exceed [`Grant::MAX_BYTES`].
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

    /// Returns the user's identifier. An application must never assign it to another user.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Returns the id of the client that acts for the user.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Returns the largest scope that a token of this grant may have.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Returns the resources where tokens of this grant may be used; there is at least one.
    pub fn resources(&self) -> &[Resource] {
        self.resources.as_slice()
    }

    /// Returns the application's own claims.
    pub fn claims(&self) -> &BTreeMap<String, String> {
        &self.claims
    }
}

/// Why a scope, a resource or a grant was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GrantError {
    /// The scope is malformed.
    #[error(transparent)]
    Scope(#[from] ScopeError),
    /// The resource is malformed.
    #[error(transparent)]
    Resource(#[from] ResourceError),
    /// The subject or the client id is empty.
    #[error("the {part} must not be empty")]
    Empty {
        /// The part that is empty: `subject` or `client id`.
        part: &'static str,
    },
    /// The subject or the client id contains a control character.
    #[error("the {part} must not have control characters")]
    Control {
        /// The part that contains it: `subject` or `client id`.
        part: &'static str,
    },
    /// The name of a claim is reserved for introspection (RFC 7662 §2.2).
    #[error("a claim must not have the reserved name {name}")]
    ReservedClaim {
        /// The reserved name.
        name: String,
    },
    /// The grant is larger than a token can carry.
    #[error(
        "subject, client id, scope, resources and claims must have at most {} bytes together, got {bytes}",
        Grant::MAX_BYTES
    )]
    TooLong {
        /// The size of the grant in bytes.
        bytes: usize,
    },
}
