//! The per-request path: is this access token good here and now?

use crate::grant::{AccessClaims, Binding, Resource, Scope};
use crate::keys::{AccessKeys, Keyring};
use crate::time::Timestamp;
use crate::token::access;

/// What an access token must be good for.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Expectation<'a> {
    resource: &'a Resource,
    scope: Option<&'a Scope>,
    binding: Option<&'a Binding>,
}

impl<'a> Expectation<'a> {
    /// A token for `resource`, this server's own URI. A token for any other is refused: the MCP specification forbids to
    /// accept or pass on tokens that were issued for somebody else.
    pub fn resource(resource: &'a Resource) -> Self {
        Self { resource, scope: None, binding: None }
    }

    /// With at least this scope.
    pub fn scope(self, scope: &'a Scope) -> Self {
        Self { scope: Some(scope), ..self }
    }

    /// The request proves to be bound to this. A token without a binding does not ask for it.
    pub fn binding(self, binding: impl Into<Option<&'a Binding>>) -> Self {
        Self { binding: binding.into(), ..self }
    }
}

/// Why an access token was refused. None says anything of what was in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// Not an access token of this deployment. 401 `invalid_token`.
    #[error("the access token is not valid")]
    Invalid,
    /// Past its expiry. 401 `invalid_token`.
    #[error("the access token has expired")]
    Expired,
    /// For another resource. 401 `invalid_token`.
    #[error("the access token is for another resource")]
    Audience,
    /// Presented without the key it is bound to. 401 `invalid_token`.
    #[error("the access token is bound to something else")]
    Binding,
    /// Without a scope that is needed. 403 `insufficient_scope`.
    #[error("the access token does not have the scope")]
    Scope,
    /// By the offline check: the token is good only with a live check, because its policy has a
    /// [lost-response window](crate::RotationPolicyBuilder::lost_response_window). 401 `invalid_token`.
    #[error("the access token needs a live check")]
    LiveCheckRequired,
    /// By the live check: its family is revoked, has ended, is gone, or contradicts the token. 401 `invalid_token`.
    #[error("the access token has been revoked")]
    Revoked,
}

impl VerifyError {
    /// The value of `error` in the `WWW-Authenticate` challenge (RFC 6750 §3.1).
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Scope => "insufficient_scope",
            _ => "invalid_token",
        }
    }

    /// The HTTP status to answer with.
    pub fn status(&self) -> u16 {
        match self {
            Self::Scope => 403,
            _ => 401,
        }
    }
}

/// Verifies access tokens offline: no store, no I/O, and no allocation but for the claims it returns.
///
/// A revocation is not seen before the token expires; where that is too late use
/// [`TokenIssuer::verify_live`](crate::TokenIssuer::verify_live).
///
/// ```
/// use mcp_token_lifecycle::{AccessVerifier, Expectation, KeyId, Keyring, MasterKey, Resource, Timestamp, VerifyError};
///
/// let keyring = Keyring::new(KeyId::new(1), MasterKey::generate()?);
/// let verifier = AccessVerifier::new(keyring.access_keys());
/// let here = Resource::parse("https://mcp.example.com/mcp")?;
/// let now = Timestamp::from_unix(1_800_000_000);
/// let refused = verifier.verify("no token", &Expectation::resource(&here), now);
/// assert_eq!(refused, Err(VerifyError::Invalid));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct AccessVerifier {
    keys: AccessKeys,
}

impl AccessVerifier {
    /// A verifier with these keys, for instance those of one resource that [`AccessKeys::parse`] read.
    pub fn new(keys: AccessKeys) -> Self {
        Self { keys }
    }

    /// Verify authenticity, expiry, audience, binding and scope, in this order, and that the token needs no live check.
    ///
    /// # Errors
    ///
    /// The first of them that does not hold.
    pub fn verify(&self, token: &str, expect: &Expectation<'_>, now: Timestamp) -> Result<AccessClaims, VerifyError> {
        let claims = self.verify_before_live(token, expect, now)?;
        if claims.live_only { Err(VerifyError::LiveCheckRequired) } else { Ok(claims) }
    }

    /// What [`verify`](Self::verify) does, for a caller that makes the live check.
    pub(crate) fn verify_before_live(
        &self,
        token: &str,
        expect: &Expectation<'_>,
        now: Timestamp,
    ) -> Result<AccessClaims, VerifyError> {
        access::open(token, &self.keys, |claims| {
            if now >= claims.expires_at {
                return Err(VerifyError::Expired);
            }
            if !claims.audience.split(' ').any(|resource| resource == expect.resource.as_str()) {
                return Err(VerifyError::Audience);
            }
            if !Binding::satisfies(expect.binding, claims.binding.as_ref()) {
                return Err(VerifyError::Binding);
            }
            let has = |needed| claims.scope.split(' ').any(|token| token == needed);
            if expect.scope.is_some_and(|scope| !scope.iter().all(has)) {
                return Err(VerifyError::Scope);
            }
            claims.to_owned().ok_or(VerifyError::Invalid)
        })
        .unwrap_or(Err(VerifyError::Invalid))
    }

    pub(crate) fn keys(&self) -> &AccessKeys {
        &self.keys
    }

    /// The claims of an authentic token, whatever has become of it.
    pub(crate) fn open(&self, token: &str) -> Option<AccessClaims> {
        access::open(token, &self.keys, |claims| claims.to_owned()).flatten()
    }
}

impl From<&Keyring> for AccessVerifier {
    fn from(keyring: &Keyring) -> Self {
        Self::new(keyring.access_keys())
    }
}
