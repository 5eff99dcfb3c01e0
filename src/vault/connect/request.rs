//! What the application asks for, and the URL that it gets.

use std::sync::Arc;

use super::browser_user::BrowserUser;
use crate::crypto::redacted::redacted;
use crate::grant::Scope;
use crate::vault::{Account, BoundTo, SecretText};

/// The request to connect an account of a user at a service.
#[derive(Debug)]
#[must_use]
pub struct ConnectRequest<'u> {
    pub(super) user: &'u BrowserUser,
    pub(super) account: Account,
    pub(super) scope: Scope,
    pub(super) redirect_uri: Arc<str>,
    pub(super) bound_to: BoundTo,
    pub(super) return_to: Option<Arc<str>>,
}

impl<'u> ConnectRequest<'u> {
    /// Requests `scope` for the account of `user` at `service`. The service sends the browser back to `redirect_uri`, an
    /// `https` URL, or `http` on a loopback host, that is registered there.
    ///
    /// # Security
    ///
    /// Give each service a redirect URI of its own. With one for all, a malicious service could pass off the code of
    /// another one as its own, unless that one sends `iss` (RFC 9700 §4.4).
    pub fn new(
        user: &'u BrowserUser,
        service: impl Into<Arc<str>>,
        scope: Scope,
        redirect_uri: impl Into<Arc<str>>,
    ) -> Self {
        let account = Account::new(user.shared_subject(), service);
        Self { user, account, scope, redirect_uri: redirect_uri.into(), bound_to: BoundTo::subject(), return_to: None }
    }

    /// Sets the name of the account, if the user has several at the service.
    pub fn account(self, name: impl Into<Arc<str>>) -> Self {
        Self { account: self.account.named(name), ..self }
    }

    /// Sets what the credential is bound to. The default is the subject alone.
    pub fn bound_to(self, bound_to: BoundTo) -> Self {
        Self { bound_to, ..self }
    }

    /// Sets a value that [`ConnectOutcome`](crate::vault::ConnectOutcome) returns, such as the page that the user came
    /// from. The vault stores it sealed and does not interpret it.
    pub fn return_to(self, return_to: impl Into<Arc<str>>) -> Self {
        Self { return_to: Some(return_to.into()), ..self }
    }
}

/// The URL at the service to which the application redirects the user's browser.
///
/// It contains the state, so it belongs to this browser alone: never write it to a log, and never show it to a client.
pub struct AuthorizeUrl(pub(super) SecretText);

redacted!(AuthorizeUrl);

impl AuthorizeUrl {
    /// Returns the URL, for the `Location` header of the redirect.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}
