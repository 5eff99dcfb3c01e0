//! The consent of the user: what the application is asked, and what it answers.

use super::clients::RegisteredClient;
use super::wire::reply::Reply;
use crate::grant::{Resource, Scope};
use crate::pointers::pointers;
use crate::store::BoxFuture;
use crate::token::CodeChallenge;
use http::request::Parts;
use std::collections::BTreeMap;
use std::fmt;
/// Decides who the user is and whether they agree to an authorization request. The application implements it.
///
/// It is called for each request to the authorization endpoint: first with `GET`, then with `POST` for each form that
/// the application's pages send. A form without an `action` posts to the URL of its page, which carries the complete
/// authorization request, so the application stores nothing in between.
///
/// # Security
///
/// The page must have a defence against forged posts (CSRF). It must show the client's name, which the client chose
/// itself, and the [origin](crate::http::RedirectUri::origin) that receives the code.
///
/// Warn the user if that origin is on the user's own machine ([loopback](crate::http::RedirectUri::is_loopback) or an
/// [app](crate::http::RedirectUri::is_private_use)) and the client is not
/// [preregistered](RegisteredClient::is_preregistered). Ask for consent to such a client each time: all programs that
/// register with the same metadata share one client id, and any program can register with the metadata of another.
pub trait Consent: Send + Sync {
    /// Decides on `request`. `parts` and `body` are the HTTP request, for its cookies and form fields.
    fn decide<'a>(
        &'a self,
        request: &'a AuthorizationRequest,
        parts: &'a Parts,
        body: &'a [u8],
    ) -> BoxFuture<'a, ConsentDecision>;
}

pointers! {
    impl Consent {
        fn decide<'a>(
            &'a self,
            request: &'a AuthorizationRequest,
            parts: &'a Parts,
            body: &'a [u8],
        ) -> BoxFuture<'a, ConsentDecision> {
            T::decide(self, request, parts, body)
        }
    }
}

/// The decision on an authorization request.
#[non_exhaustive]
#[allow(clippy::large_enum_variant, reason = "made once and taken apart at once")]
pub enum ConsentDecision {
    /// The user agrees. The browser is sent back to the client with a code.
    Approve(Approval),
    /// The user does not agree. The browser is sent back to the client, which gets `access_denied`.
    ///
    /// If the application does not know the client, do not send a suspicious user to its redirect URI: show a page with
    /// [`Show`](Self::Show) instead (OAuth 2.1 §7.12.2).
    Deny,
    /// The decision is open: show this page, to log the user in or to ask for consent.
    ///
    /// The page gets these headers, unless it sets them itself: `Cache-Control: no-store`, `Pragma: no-cache`,
    /// `X-Content-Type-Options: nosniff`, `X-Frame-Options: DENY`, `Referrer-Policy: same-origin`, and
    ///
    /// ```text
    /// Content-Security-Policy: default-src 'none'; frame-ancestors 'none'; base-uri 'none'
    /// ```
    ///
    /// That policy permits no style, image, font or script, inline or not. A page that needs some sets a policy that
    /// permits them, such as `default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'`.
    ///
    /// Do not set `form-action` on a page whose form ends in a redirect to the client. Chromium applies it to each
    /// redirect after the form, including those of the client's callback: to another host, or to an app on the user's
    /// machine. Chromium would block the redirect and show nothing.
    ///
    /// Do not set `Referrer-Policy: no-referrer` if the defence against forged posts reads `Origin`: browsers then send
    /// `Origin: null`.
    Show(Reply),
}

/// Shows the status of a page without its headers, which may set a session cookie.
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
    /// Approves the complete request for the user `subject`, an identifier that is never reassigned.
    pub fn new(subject: impl Into<String>) -> Self {
        Self { subject: subject.into(), scope: None, claims: BTreeMap::new() }
    }

    /// Limits the approval to this scope. Scope tokens that were not requested are ignored.
    pub fn scope(self, scope: Scope) -> Self {
        Self { scope: Some(scope), ..self }
    }

    /// Adds a claim to each access token; see [`Grant::with_claim`](crate::Grant::with_claim).
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
    /// Returns the client.
    pub fn client(&self) -> &RegisteredClient {
        &self.client
    }

    /// Returns the redirect URI that receives the code.
    pub fn redirect_uri(&self) -> &crate::http::RedirectUri {
        &self.redirect_uri
    }

    /// Returns the requested scope, limited to what the resource supports.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Returns the resource that the tokens are for.
    pub fn resource(&self) -> &Resource {
        &self.resource
    }
}
