//! The interface to a service: the application implements it, or uses `OAuthProvider`.

use super::connector::Connector;
use super::credential::{Credential, TokenSet};
use super::error::UpstreamError;
use super::refreshed::Refreshed;
use crate::pointers::pointers;
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

    /// Returns the part that connects an account, if users can authorize the application at this service with a browser.
    /// The default is `None`.
    fn connector(&self) -> Option<Box<dyn Connector + '_>> {
        None
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
        fn connector(&self) -> Option<Box<dyn Connector + '_>> {
            T::connector(self)
        }
        fn introspect<'a>(&'a self, credential: &'a Credential) -> BoxFuture<'a, Result<CredentialStatus, UpstreamError>> {
            T::introspect(self, credential)
        }
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
