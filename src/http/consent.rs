//! The consent of the user: what the application is asked, and what it answers.

use super::clients::RegisteredClient;
use super::wire::reply::Reply;
use crate::grant::{Resource, Scope};
use crate::store::BoxFuture;
use crate::token::CodeChallenge;
use http::request::Parts;
use std::collections::BTreeMap;
use std::fmt;
/// The application's part of an authorization: who the user is, and whether they agree.
///
/// It is asked at every request to the authorization endpoint: at the first one with `GET`, and again with `POST` for each
/// form that its own pages send. A form without an `action` posts to the address of its page, which carries the whole
/// authorization request, so there is nothing to remember in between.
///
/// # Security
///
/// The page that it shows must have a defence against forged posts (CSRF), and must show who asks: the client's name, which
/// the client chose itself, and the [origin](crate::http::RedirectUri::origin) that the code goes to. Warn if that is the user's own
/// machine ([loopback](crate::http::RedirectUri::is_loopback) or an [app](crate::http::RedirectUri::is_private_use)) and the client is not
/// [preregistered](RegisteredClient::is_preregistered). Such a client is to be asked about each time: all programs that register with
/// the same metadata have one client id, and any program can register with the metadata of another.
pub trait Consent: Send + Sync {
    /// Decide on `request`; `parts` and `body` are the HTTP request that it came with, for cookies and form fields.
    fn decide<'a>(
        &'a self,
        request: &'a AuthorizationRequest,
        parts: &'a Parts,
        body: &'a [u8],
    ) -> BoxFuture<'a, ConsentDecision>;
}

/// What comes of an authorization request.
#[non_exhaustive]
#[allow(clippy::large_enum_variant, reason = "made once and taken apart at once")]
pub enum ConsentDecision {
    /// The user agrees.
    Approve(Approval),
    /// The user does not: the browser goes back to the client, which gets `access_denied`. The redirect URI of an unknown client
    /// is no place for a user who has just become suspicious: show a page of your own then (OAuth 2.1 §7.12.2).
    Deny,
    /// It is open: show this page, to log in or to ask.
    ///
    /// The page gets these headers, except those that it brings itself: `Cache-Control: no-store`, `Pragma: no-cache`,
    /// `X-Content-Type-Options: nosniff`, `X-Frame-Options: DENY`, `Referrer-Policy: same-origin`, and
    ///
    /// ```text
    /// Content-Security-Policy: default-src 'none'; frame-ancestors 'none'; base-uri 'none'
    /// ```
    ///
    /// Under that policy the page has no style, no image, no font and no script, inline or not. A page that needs some brings a policy
    /// of its own that allows them, such as `default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'`.
    ///
    /// Leave `form-action` out of it, on each page that ends in a redirect to the client. Chromium holds every redirect after a form to
    /// that directive, and where a callback redirects on is known to the client alone: another host, or an app on the user's machine.
    /// The user would press the button, and nothing would happen. Leave `Referrer-Policy: no-referrer` out as well if the page's defence
    /// against forged posts looks at `Origin`: under it browsers send `Origin: null`.
    Show(Reply),
}

/// Shows the status of a page and not its headers, which may set a session cookie.
impl fmt::Debug for ConsentDecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Approve(approval) => f.debug_tuple("Approve").field(approval).finish(),
            Self::Deny => f.write_str("Deny"),
            Self::Show(page) => f.debug_struct("Show").field("status", &page.status()).finish_non_exhaustive(),
        }
    }
}

/// What the user agreed to.
#[derive(Clone, Debug)]
#[must_use]
pub struct Approval {
    pub(super) subject: String,
    pub(super) scope: Option<Scope>,
    pub(super) claims: BTreeMap<String, String>,
}

impl Approval {
    /// The user `subject`, an identifier that is never reassigned, agrees to all that was asked for.
    pub fn new(subject: impl Into<String>) -> Self {
        Self { subject: subject.into(), scope: None, claims: BTreeMap::new() }
    }

    /// To no more than this scope. What was not asked for is left out.
    pub fn scope(self, scope: Scope) -> Self {
        Self { scope: Some(scope), ..self }
    }

    /// With a claim for every access token; see [`Grant::with_claim`].
    pub fn claim(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.claims.insert(name.into(), value.into());
        self
    }
}

/// An authorization request that has been checked.
#[derive(Clone, Debug)]
pub struct AuthorizationRequest {
    pub(super) client: RegisteredClient,
    pub(super) redirect_uri: crate::http::RedirectUri,
    pub(super) scope: Scope,
    pub(super) resource: Resource,
    pub(super) challenge: CodeChallenge,
}

impl AuthorizationRequest {
    /// Who asks.
    pub fn client(&self) -> &RegisteredClient {
        &self.client
    }

    /// Where the code goes.
    pub fn redirect_uri(&self) -> &crate::http::RedirectUri {
        &self.redirect_uri
    }

    /// What is asked for, out of what there is.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Where the tokens are to be used.
    pub fn resource(&self) -> &Resource {
        &self.resource
    }
}
