//! The service's side: what the application implements, or has done for it by `OAuthProvider`.

use std::time::Duration;

use super::credential::{Credential, SecretText, TokenSet};
use super::error::UpstreamError;
use crate::grant::Scope;
use crate::store::BoxFuture;

/// A service at which credentials are held. It has no clock: lifetimes are relative, and the vault's clock makes dates of them.
///
/// The vault has one refresh at a time under way for one credential; a revocation does not wait for it. It sets no time limit: the
/// implementation does, and answers [`UpstreamError::Uncertain`] when it runs out after the request was sent.
pub trait UpstreamProvider: Send + Sync {
    /// Ask for new tokens with the refresh token (RFC 6749 §6).
    fn refresh<'a>(&'a self, tokens: &'a TokenSet) -> BoxFuture<'a, Result<Refreshed, UpstreamError>>;

    /// Revoke `credential`, with everything that came from the same grant (RFC 7009 §2.1). To revoke what is revoked is a success.
    fn revoke<'a>(&'a self, credential: &'a Credential) -> BoxFuture<'a, Result<Revocation, UpstreamError>>;

    /// Ask whether `credential` still works (RFC 7662). Unless it is implemented, nobody can tell.
    fn introspect<'a>(&'a self, _credential: &'a Credential) -> BoxFuture<'a, Result<CredentialStatus, UpstreamError>> {
        Box::pin(std::future::ready(Ok(CredentialStatus::Unknown)))
    }
}

/// New tokens.
#[derive(Debug)]
#[non_exhaustive]
pub struct Refreshed {
    /// The new access token; `None` if the service has given none that can be used.
    pub access_token: Option<SecretText>,
    /// The new refresh token; without one the old one stays.
    pub refresh_token: Option<SecretText>,
    /// How long the access token lives; as long as the one before if the service does not say.
    pub expires_in: Option<Duration>,
    /// How long the refresh token lives.
    pub refresh_expires_in: Option<Duration>,
    /// What it allows; the same as before if the service does not say.
    pub scope: Option<Scope>,
}

impl Refreshed {
    /// A new access token.
    pub fn new(access_token: SecretText) -> Self {
        Self { access_token: Some(access_token), ..Self::empty() }
    }

    /// A new refresh token in the place of the old one, and no access token that can be used. It is kept, or the grant would be
    /// lost, and what there was before is leased as long as it is good.
    pub fn rotated(refresh_token: SecretText) -> Self {
        Self { refresh_token: Some(refresh_token), ..Self::empty() }
    }

    fn empty() -> Self {
        Self { access_token: None, refresh_token: None, expires_in: None, refresh_expires_in: None, scope: None }
    }

    /// With its lifetime.
    #[must_use]
    pub fn expires_in(self, lifetime: Duration) -> Self {
        Self { expires_in: Some(lifetime), ..self }
    }

    /// With a new refresh token.
    #[must_use]
    pub fn refresh_token(self, refresh_token: SecretText) -> Self {
        Self { refresh_token: Some(refresh_token), ..self }
    }

    /// With the lifetime of the refresh token.
    #[must_use]
    pub fn refresh_expires_in(self, lifetime: Duration) -> Self {
        Self { refresh_expires_in: Some(lifetime), ..self }
    }

    /// With another scope than before.
    #[must_use]
    pub fn scope(self, scope: Scope) -> Self {
        Self { scope: Some(scope), ..self }
    }
}

/// What became of a revocation that the service did not fail at, or what it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Revocation {
    /// It is revoked.
    Done,
    /// The service has no way to revoke such a credential.
    Unsupported,
    /// Nothing is revoked yet: the service takes a live access token and nothing else, and this one has expired. Refresh, keep
    /// the new tokens, and revoke those.
    NeedsRefresh,
}

/// What a service says of a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CredentialStatus {
    /// It works.
    Active,
    /// It does not.
    Inactive,
    /// The service has no way to tell.
    Unknown,
}
