//! The first half: a pending authorization, and the URL at the service.

use zeroize::Zeroizing;

use super::error::ConnectError;
use super::one_time::{self, State};
use super::pending::{Pending, Progress};
use super::request::{AuthorizeUrl, ConnectRequest};
use crate::net::address;
use crate::shown::shown_url;
use crate::store::{Commit, TokenStore};
use crate::vault::{
    AuthorizeParameters, ConnectLink, CredentialVault, LeaseRequest, UpstreamAct, UpstreamReason, VaultError,
    VaultErrorKind,
};

impl<S: TokenStore> CredentialVault<S> {
    /// The link for `request`, if the provider of its service can connect.
    pub(crate) fn connect_link(&self, request: &LeaseRequest) -> Option<ConnectLink> {
        let link = request.connect_link();
        let provider = self.provider(link.service())?;
        provider.connector().is_some().then_some(link)
    }

    /// Begins to connect an account: returns the URL at the service to which the application redirects the user's browser.
    ///
    /// The authorization is valid for ten minutes, for one callback, of the same user in the same browser session. It is a
    /// sealed record in the store of the vault, which any process can complete. A user may begin any number of them.
    ///
    /// # Errors
    ///
    /// [`ConnectError::NotConnectable`], [`ConnectError::RedirectUri`] and [`ConnectError::NoSession`] for a mistake of the
    /// application, [`ConnectError::Fault`] for a fault of the store, the keys or the random source.
    pub async fn begin_connect(&self, request: &ConnectRequest<'_>) -> Result<AuthorizeUrl, ConnectError> {
        let account = &request.account;
        let missing = || ConnectError::NotConnectable { service: account.service.clone() };
        let provider = self.provider(account.service()).ok_or_else(missing)?;
        if address::parse(&request.redirect_uri).is_none() {
            return Err(ConnectError::RedirectUri { found: shown_url(&request.redirect_uri) });
        }
        if request.user.session().expose().is_empty() {
            return Err(ConnectError::NoSession);
        }
        let state = State::new(Zeroizing::new(self.random()?));
        let verifier = one_time::verifier(&Zeroizing::new(self.random()?))?;
        let challenge = one_time::challenge(&verifier)?;
        let text = state.text()?;
        let parameters = AuthorizeParameters::new(&request.redirect_uri, &request.scope, &text, &challenge);
        let url = provider.connector().ok_or_else(missing)?.authorize_url(&parameters);
        let pending = Pending {
            account: account.clone(),
            scope: request.scope.clone(),
            bound_to: request.bound_to.clone(),
            redirect_uri: request.redirect_uri.clone(),
            return_to: request.return_to.clone(),
            session_tag: state.session_tag(request.user.session()),
            started_at: self.now(),
            progress: Progress::Open { verifier },
        };
        let fault = match self.insert_pending(&state, &pending).await {
            Ok(Commit::Applied) => None,
            // Two states of 256 random bits are equal: the random source repeats itself.
            Ok(Commit::Conflict) => Some(VaultError::new(VaultErrorKind::Contention)),
            Err(error) => Some(error),
        };
        if let Some(fault) = fault {
            self.report_connect(UpstreamAct::ConnectFailed, Some(UpstreamReason::Fault), &pending);
            return Err(fault.into());
        }
        self.report_connect(UpstreamAct::ConnectBegun, None, &pending);
        Ok(AuthorizeUrl(url))
    }
}
