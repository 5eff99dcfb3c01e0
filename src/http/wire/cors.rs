//! Which web pages may read the answers of the endpoints and of protected services (the Fetch standard's CORS protocol).

use http::header::{self, HeaderMap, HeaderValue};
use http::request::Parts;
use http::{Method, StatusCode};

use super::reply::{Reply, empty, set};
use crate::net::uri;

/// Which origins may use the token, revocation, registration and metadata endpoints and the protected services from a browser.
///
/// None of them reads a cookie, and none ever allows credentials, so that any origin is a safe answer: a page can do no
/// more with it than a program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cors {
    /// Any, for MCP clients that run in a browser.
    #[default]
    Any,
    /// These, such as `https://app.example.com`, and no others.
    Only(Vec<String>),
    /// None. Preflights of a protected service are refused for want of a token, unless another layer around it answers them.
    Deny,
}

/// What holds for one request: the headers for its answer.
#[derive(Clone, Debug)]
pub(in crate::http) struct CrossOrigin {
    allow: Option<HeaderValue>,
    by_origin: bool,
}

/// The headers that a page may read of the answers of the endpoints.
const EXPOSED: HeaderValue = HeaderValue::from_static("retry-after, www-authenticate");
/// The headers that a page may send, unless it asks for others.
const REQUEST_HEADERS: HeaderValue =
    HeaderValue::from_static("authorization, content-type, dpop, mcp-protocol-version");

impl Cors {
    /// Whether what holds is another thing for another origin. Then a cache has to know it of an answer to no page as well.
    pub(in crate::http) fn is_by_origin(&self) -> bool {
        matches!(self, Self::Only(_))
    }

    /// What holds for the origin of the request.
    pub(in crate::http) fn judge(&self, headers: &HeaderMap) -> CrossOrigin {
        let origin = headers.get(header::ORIGIN);
        let allow = match self {
            Self::Any => Some(HeaderValue::from_static("*")),
            Self::Only(origins) => {
                origin.filter(|origin| origins.iter().any(|known| is_origin(known, origin.as_bytes()))).cloned()
            }
            Self::Deny => None,
        };
        CrossOrigin { allow, by_origin: self.is_by_origin() }
    }

    /// Say in `reply` what holds for the origin of the request.
    pub(in crate::http) fn apply(&self, parts: &Parts, reply: &mut Reply) {
        self.judge(&parts.headers).apply(reply.headers_mut(), &EXPOSED);
    }

    /// The answer to a preflight for an endpoint with the methods `allow`, if the request is one.
    pub(in crate::http) fn preflight(&self, parts: &Parts, allow: &'static str) -> Option<Reply> {
        (parts.method == Method::OPTIONS).then(|| {
            let mut reply = self.permit(parts, HeaderValue::from_static(allow));
            set(&mut reply, header::ALLOW, HeaderValue::from_static(allow));
            reply
        })
    }

    /// The answer to a preflight for a protected service, if the request is one: it has no token, and the service has any methods.
    pub(in crate::http) fn preflight_of_service(&self, parts: &Parts) -> Option<Reply> {
        let method = parts.headers.get(header::ACCESS_CONTROL_REQUEST_METHOD)?;
        let is_preflight = parts.method == Method::OPTIONS && parts.headers.contains_key(header::ORIGIN);
        (is_preflight && *self != Self::Deny).then(|| self.permit(parts, method.clone()))
    }

    fn permit(&self, parts: &Parts, methods: HeaderValue) -> Reply {
        let mut reply = empty(StatusCode::NO_CONTENT);
        self.apply(parts, &mut reply);
        if reply.headers().contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN) {
            // All that the page asks for: a program could send it as well, and protocols add headers all the time.
            let asked = parts.headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
            set(&mut reply, header::ACCESS_CONTROL_ALLOW_METHODS, methods);
            set(&mut reply, header::ACCESS_CONTROL_ALLOW_HEADERS, asked.unwrap_or(REQUEST_HEADERS));
            set(&mut reply, header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("7200"));
        }
        reply
    }
}

/// Whether a service has its own rules for pages: one that refuses a page says so by a header that is not there.
fn says_what_holds(headers: &HeaderMap) -> bool {
    let mut varies_by =
        headers.get_all(header::VARY).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    varies_by.any(|name| name.trim_ascii().eq_ignore_ascii_case(b"origin"))
        || headers.keys().any(|name| name.as_str().starts_with("access-control-"))
}

/// Whether the configured `known` is `origin`, which browsers spell in one way (RFC 6454 §6.2).
fn is_origin(known: &str, origin: &[u8]) -> bool {
    known.as_bytes() == origin || uri::normalize(known).is_some_and(|known| known.as_bytes() == origin)
}

impl CrossOrigin {
    /// Put what holds into `headers`, unless the service has said already what holds.
    pub(in crate::http) fn apply(&self, headers: &mut HeaderMap, exposed: &HeaderValue) {
        if says_what_holds(headers) {
            return;
        }
        if self.by_origin {
            headers.append(header::VARY, HeaderValue::from_static("origin"));
        }
        if let Some(allow) = &self.allow {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allow.clone());
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed.clone());
        }
    }
}
