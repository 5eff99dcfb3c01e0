//! The interface to a service: the application implements it, or uses `OAuthProvider`.

use crate::pointers::pointers;
use std::time::Duration;

use super::credential::{Credential, SecretText, TokenSet};
use super::error::UpstreamError;
use crate::grant::Scope;
use crate::store::BoxFuture;

/// A service that issues and revokes credentials.
///
/// A provider needs no clock: it returns lifetimes, and the vault computes the dates. The vault runs at most one
/// refresh at a time for one credential, and no revocation beside it. It drops a request that has no answer when the
/// policy's [`claim`](crate::vault::RefreshPolicyBuilder::claim) ends, and takes its answer for lost. An implementation
/// may set a shorter limit, and returns [`UpstreamError::Uncertain`] if it runs out after the request was sent.
pub trait UpstreamProvider: Send + Sync {
    /// Requests new tokens with the refresh token (RFC 6749 §6).
    ///
    /// # Errors
    ///
    /// [`UpstreamError`]. The variant decides what the vault does next: whether it retries, keeps the refresh token, or
    /// asks the user to authorize again.
    fn refresh<'a>(&'a self, tokens: &'a TokenSet) -> BoxFuture<'a, Result<Refreshed, UpstreamError>>;

    /// Revokes `credential` and all other tokens of the same grant (RFC 7009 §2.1). Revoking a revoked credential is a
    /// success.
    ///
    /// # Errors
    ///
    /// [`UpstreamError`]. With [`UpstreamError::InvalidGrant`] the vault treats the credential as revoked; with any
    /// other error it retries.
    fn revoke<'a>(&'a self, credential: &'a Credential) -> BoxFuture<'a, Result<Revocation, UpstreamError>>;

    /// Whether a revocation ends all grants that the user has given this client, also later ones. The default is
    /// `false`.
    ///
    /// If it does, putting a new credential of an account into the vault cancels the pending revocations of the
    /// account: a late one would end the new grant.
    fn revokes_whole_grants(&self) -> bool {
        false
    }

    /// Asks the service whether `credential` still works (RFC 7662). The default implementation returns
    /// [`CredentialStatus::Unknown`].
    ///
    /// # Errors
    ///
    /// [`UpstreamError`]. The vault reports it as [`CredentialStatus::Unknown`].
    fn introspect<'a>(&'a self, _credential: &'a Credential) -> BoxFuture<'a, Result<CredentialStatus, UpstreamError>> {
        Box::pin(std::future::ready(Ok(CredentialStatus::Unknown)))
    }
}

pointers! {
    impl UpstreamProvider {
        fn refresh<'a>(&'a self, tokens: &'a TokenSet) -> BoxFuture<'a, Result<Refreshed, UpstreamError>> {
            T::refresh(self, tokens)
        }
        fn revoke<'a>(&'a self, credential: &'a Credential) -> BoxFuture<'a, Result<Revocation, UpstreamError>> {
            T::revoke(self, credential)
        }
        fn revokes_whole_grants(&self) -> bool {
            T::revokes_whole_grants(self)
        }
        fn introspect<'a>(&'a self, credential: &'a Credential) -> BoxFuture<'a, Result<CredentialStatus, UpstreamError>> {
            T::introspect(self, credential)
        }
    }
}

/// The answer of a service to a refresh.
#[derive(Debug)]
#[non_exhaustive]
pub struct Refreshed {
    /// The new access token; `None` if the service returned none that can be used.
    pub access_token: Option<SecretText>,
    /// The new refresh token; `None` if the old one stays valid.
    pub refresh_token: Option<SecretText>,
    /// The lifetime of the access token. If it is `None`, the vault assumes the lifetime of the previous one.
    pub expires_in: Option<Duration>,
    /// The lifetime of the refresh token; `None` if the service does not say.
    pub refresh_expires_in: Option<Duration>,
    /// The scope; `None` if it is the same as before.
    pub scope: Option<Scope>,
}

impl Refreshed {
    /// Creates an answer with a new access token.
    pub fn new(access_token: SecretText) -> Self {
        Self { access_token: Some(access_token), ..Self::empty() }
    }

    /// Creates an answer with a new refresh token and without a usable access token.
    ///
    /// The vault stores the new refresh token, because losing it would lose the grant. It continues to lease the
    /// previous access token while that is good.
    pub fn rotated(refresh_token: SecretText) -> Self {
        Self { refresh_token: Some(refresh_token), ..Self::empty() }
    }

    fn empty() -> Self {
        Self { access_token: None, refresh_token: None, expires_in: None, refresh_expires_in: None, scope: None }
    }

    /// Sets the lifetime of the access token.
    #[must_use]
    pub fn expires_in(self, lifetime: Duration) -> Self {
        Self { expires_in: Some(lifetime), ..self }
    }

    /// Sets the new refresh token.
    #[must_use]
    pub fn refresh_token(self, refresh_token: SecretText) -> Self {
        Self { refresh_token: Some(refresh_token), ..self }
    }

    /// Sets the lifetime of the refresh token.
    #[must_use]
    pub fn refresh_expires_in(self, lifetime: Duration) -> Self {
        Self { refresh_expires_in: Some(lifetime), ..self }
    }

    /// Sets the scope, if it differs from the previous one.
    #[must_use]
    pub fn scope(self, scope: Scope) -> Self {
        Self { scope: Some(scope), ..self }
    }
}

/// The result of a revocation request that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Revocation {
    /// The service has revoked the credential.
    Done,
    /// The service offers no revocation for this kind of credential.
    Unsupported,
    /// Nothing is revoked yet. The service accepts only a live access token, and this one has expired. The vault then
    /// refreshes, stores the new tokens and revokes those.
    NeedsRefresh,
}

/// Whether a credential works, according to the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CredentialStatus {
    /// The credential works.
    Active,
    /// The credential does not work.
    Inactive,
    /// The service cannot say.
    Unknown,
}
