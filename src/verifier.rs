//! The per-request path: offline verification of access tokens.

use crate::error::Error;
use crate::grant::{AccessClaims, Binding, Resource, Scope};
use crate::keys::{AccessKeys, Keyring};
use crate::time::Timestamp;
use crate::token::access;

/// The resource, scope and binding that an access token must satisfy.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Expectation<'a> {
    resource: &'a Resource,
    scope: Option<&'a Scope>,
    binding: Option<&'a Binding>,
}

impl<'a> Expectation<'a> {
    /// Requires a token for `resource`, the URI of this server.
    ///
    /// A token for another resource is refused: the MCP specification forbids a server to accept or pass on tokens that
    /// were issued for another server.
    pub fn resource(resource: &'a Resource) -> Self {
        Self { resource, scope: None, binding: None }
    }

    /// Requires at least this scope.
    pub fn scope(self, scope: &'a Scope) -> Self {
        Self { scope: Some(scope), ..self }
    }

    /// States the binding that the request has proved. A token without a binding is accepted with or without it.
    pub fn binding(self, binding: impl Into<Option<&'a Binding>>) -> Self {
        Self { binding: binding.into(), ..self }
    }
}

/// Why an access token was refused. No variant reveals the token's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The text is not an access token of this deployment. Answer 401 `invalid_token`.
    #[error("the access token is not valid")]
    Invalid,
    /// The token has expired. Answer 401 `invalid_token`.
    #[error("the access token has expired")]
    Expired,
    /// The token is for another resource. Answer 401 `invalid_token`.
    #[error("the access token is for another resource")]
    Audience,
    /// The token is bound to a key or fingerprint that the request did not prove. Answer 401 `invalid_token`.
    #[error("the access token has a binding that the request does not prove")]
    Binding,
    /// The token lacks a required scope. Answer 403 `insufficient_scope`.
    #[error("the access token lacks a required scope")]
    Scope,
    /// The token was verified offline and is valid only with a live check, because its policy has a [lost-response
    /// window](crate::RotationPolicyBuilder::lost_response_window). Answer 401 `invalid_token`.
    #[error("the access token requires a live check")]
    LiveCheckRequired,
    /// The live check refused the token: its family is revoked, has ended, was purged, or contradicts the token, or the
    /// policy does not accept the token any more. Answer 401 `invalid_token`.
    #[error("the access token has been revoked")]
    Revoked,
}

impl VerifyError {
    /// Returns the value of `error` in the `WWW-Authenticate` challenge (RFC 6750 §3.1).
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Scope => "insufficient_scope",
            _ => "invalid_token",
        }
    }

    /// Returns the HTTP status to answer with.
    pub fn status(&self) -> u16 {
        match self {
            Self::Scope => 403,
            _ => 401,
        }
    }
}

/// Why a [live check](crate::TokenIssuer::verify_live) returned no claims.
#[derive(Debug, thiserror::Error)]
#[allow(clippy::exhaustive_enums, reason = "a check fails because of the token or because of the server")]
pub enum LiveCheckError {
    /// The token is refused. Answer with [`VerifyError::status`].
    #[error(transparent)]
    Refused(#[from] VerifyError),
    /// The server has a fault, so nothing is known about the token. Answer 503.
    #[error(transparent)]
    Fault(#[from] Error),
}

impl LiveCheckError {
    /// Returns why the token is refused.
    ///
    /// # Errors
    ///
    /// The [`Error`] of a fault of the server.
    pub fn refusal(self) -> Result<VerifyError, Error> {
        match self {
            Self::Refused(refusal) => Ok(refusal),
            Self::Fault(fault) => Err(fault),
        }
    }
}

/// Verifies access tokens offline, without a store or I/O. It allocates only the claims that it returns.
///
/// Offline verification does not see a revocation: a revoked family's access token stays valid until it expires. Where
/// that is too late, use [`TokenIssuer::verify_live`](crate::TokenIssuer::verify_live).
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
    /// Creates a verifier from access keys, for instance those of one resource that [`AccessKeys::parse`] read.
    pub fn new(keys: AccessKeys) -> Self {
        Self { keys }
    }

    /// Verifies authenticity, expiry, audience, binding and scope, in this order, and that the token does not require a
    /// live check.
    ///
    /// # Errors
    ///
    /// The [`VerifyError`] of the first check that fails: [`Invalid`](VerifyError::Invalid),
    /// [`Expired`](VerifyError::Expired), [`Audience`](VerifyError::Audience), [`Binding`](VerifyError::Binding),
    /// [`Scope`](VerifyError::Scope) or [`LiveCheckRequired`](VerifyError::LiveCheckRequired).
    pub fn verify(&self, token: &str, expect: &Expectation<'_>, now: Timestamp) -> Result<AccessClaims, VerifyError> {
        let claims = self.verify_before_live(token, expect, now)?;
        if claims.live_only { Err(VerifyError::LiveCheckRequired) } else { Ok(claims) }
    }

    /// Does what [`verify`](Self::verify) does, for a caller that makes the live check.
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

    /// Returns the claims of an authentic token, even if it has expired or is for another resource.
    pub(crate) fn open(&self, token: &str) -> Option<AccessClaims> {
        access::open(token, &self.keys, |claims| claims.to_owned()).flatten()
    }
}

impl From<&Keyring> for AccessVerifier {
    fn from(keyring: &Keyring) -> Self {
        Self::new(keyring.access_keys())
    }
}
