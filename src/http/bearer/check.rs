//! The bearer check without tower, for frameworks with request types of their own.

use std::fmt;
use std::sync::Arc;

use http::Response;
use http::header::{AUTHORIZATION, UPGRADE};
use http::request::Parts;

use super::guard::{Admission, Guard};
use super::watch::TokenWatch;
use crate::grant::AccessClaims;
use crate::http::wire::body::ResponseBody;
use crate::http::wire::reply::{Reply, unavailable};

/// Checks the access token of a request from the head of the request alone.
///
/// [`BearerLayer::guard`](super::BearerLayer::guard) makes one with the layer's settings. Use it where a tower layer does not
/// fit, such as in actix-web: convert the head of the request to [`http::request::Parts`], check it, and send the refusal
/// as it is.
///
/// # Compared with the layer
///
/// The guard answers as [`BearerLayer`](super::BearerLayer) does, preflights and the CORS headers of its own refusals included. It
/// sees neither the body nor the response, so these things remain for the adapter:
///
/// * The response body does not end with the token: wait for [`watch`](Self::watch) and close the connection.
/// * The guard removes `Upgrade` from the head, unless the layer allows upgrades. The adapter must pass on that head, and must not
///   answer 101 otherwise.
/// * MCP session ids are not bound to their user.
/// * Answers of the service, and refusals of [`ToolScopeLayer::check`](super::ToolScopeLayer::check), get no CORS headers.
/// * The body of a refused request is not read.
#[derive(Clone)]
pub struct BearerGuard {
    guard: Arc<Guard>,
    /// The same without the live check.
    offline: Arc<Guard>,
}

impl BearerGuard {
    pub(super) fn new(guard: Arc<Guard>) -> Self {
        let offline = Arc::new(Guard { live: None, ..Guard::clone(&guard) });
        Self { guard, offline }
    }

    /// Checks the token offline and returns its claims.
    ///
    /// The token is removed from `parts`, because the service must not pass it on, and the claims are put into the extensions. A
    /// revocation is not seen before the token expires, even if the layer makes the live check.
    ///
    /// # Errors
    ///
    /// The response to send in place of the service's: 400, 401 or 403, with a challenge unless the request came over plain HTTP;
    /// 501 for `CONNECT`; or the answer to a preflight.
    // The response is made to be sent at once.
    #[allow(clippy::result_large_err)]
    pub fn check(&self, parts: &mut Parts) -> Result<AccessClaims, Response<ResponseBody>> {
        match self.offline.admit_request(parts) {
            Admission::Pass(claims) => Ok(self.enter(parts, claims)),
            Admission::Refuse(reply) => Err(self.refusal(parts, reply)),
            // An offline guard never asks.
            Admission::CheckStore(_) => Err(self.refusal(parts, unavailable())),
        }
    }

    /// Checks the token, with one read of the store if the layer makes the live check, and returns its claims.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check); and 503 with `Retry-After` while the store does not answer.
    pub async fn check_live(&self, parts: &mut Parts) -> Result<AccessClaims, Response<ResponseBody>> {
        let admission = match self.guard.admit_request(parts) {
            Admission::Pass(claims) => Ok(claims),
            Admission::Refuse(reply) => Err(Box::new(reply)),
            Admission::CheckStore(answer) => answer.await,
        };
        match admission {
            Ok(claims) => Ok(self.enter(parts, claims)),
            Err(reply) => Err(self.refusal(parts, *reply)),
        }
    }

    /// Follows a token that was let in, so that what it opened can end with it.
    pub fn watch(&self, claims: &AccessClaims) -> TokenWatch {
        TokenWatch::new(&self.guard, claims.clone())
    }

    /// The service gets the claims in place of the token, and no request to leave HTTP.
    fn enter(&self, parts: &mut Parts, claims: AccessClaims) -> AccessClaims {
        parts.headers.remove(AUTHORIZATION);
        if !self.guard.upgrades {
            parts.headers.remove(UPGRADE);
        }
        parts.extensions.insert(claims.clone());
        claims
    }

    fn refusal(&self, parts: &Parts, mut reply: Reply) -> Reply {
        if let Some(allowed) = self.guard.cross_origin(&parts.headers) {
            allowed.apply(reply.headers_mut(), &self.guard.exposed);
        }
        reply
    }
}

impl fmt::Debug for BearerGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BearerGuard").field("resource", &self.guard.resource).finish_non_exhaustive()
    }
}
