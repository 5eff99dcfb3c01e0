//! The login of the application, and what it is asked.

use std::sync::Arc;

use http::request::Parts;

use crate::grant::Scope;
use crate::http::wire::reply::Reply;
use crate::pointers::pointers;
use crate::store::BoxFuture;
use crate::vault::BrowserUser;

/// Says who is logged in at the application. The application implements it.
///
/// # Security
///
/// The service sends the browser back from another site, so the session cookie needs `SameSite=Lax`: with `Strict` the
/// browser would come back without it. Set `Secure`, `HttpOnly` and the prefix `__Host-` too.
pub trait ConnectLogin: Send + Sync {
    /// Returns the user of this request, from its cookies for example. `Err` is the answer to a request without a login: the
    /// login page, or a redirect to it, which brings the browser back to the same URL afterwards.
    fn user<'a>(&'a self, parts: &'a Parts) -> BoxFuture<'a, Result<BrowserUser, Reply>>;

    /// Returns the page that asks the user to confirm, in the application's language and style. Its form has the method
    /// `post` and no `action`, and nothing in it. The page gets the headers of
    /// [`ConsentDecision::Show`](crate::http::ConsentDecision::Show). The default `None` shows a plain page in English.
    fn prompt(&self, _: &BrowserUser, _: &ConnectPrompt) -> Option<Reply> {
        None
    }
}

pointers! {
    impl ConnectLogin {
        fn user<'a>(&'a self, parts: &'a Parts) -> BoxFuture<'a, Result<BrowserUser, Reply>> {
            T::user(self, parts)
        }
        fn prompt(&self, user: &BrowserUser, prompt: &ConnectPrompt) -> Option<Reply> {
            T::prompt(self, user, prompt)
        }
    }
}

/// What the user is asked to confirm.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectPrompt {
    /// The service, by its name in the vault.
    pub service: Arc<str>,
    /// The name of the account. The link chose it, so escape it.
    pub account: Option<Arc<str>>,
    /// The scope that the service is going to be asked for.
    pub scope: Scope,
}
