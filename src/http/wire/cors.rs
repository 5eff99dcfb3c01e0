//! Which web pages may read the answers of the endpoints and of protected services (CORS protocol of the Fetch
//! standard).

use http::header::{self, HeaderMap, HeaderValue};
use http::request::Parts;
use http::{Method, StatusCode};

use super::reply::{Reply, empty, set};
use crate::net::uri;

/// The origins that may use the token, revocation, registration and metadata endpoints and the protected services from
/// a browser.
///
/// # Security
///
/// None of these endpoints reads a cookie, and none permits credentials. So any origin is safe: a web page can do no
/// more than a program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cors {
    /// Any origin, for MCP clients that run in a browser.
    #[default]
    Any,
    /// Only these origins, such as `https://app.example.com`.
    Only(Vec<String>),
    /// No origin. A preflight to a protected service is refused because it has no token, unless a layer around it
    /// answers the preflight.
    Deny,
}

/// The CORS headers for the answer to one request.
#[derive(Clone, Debug)]
pub(in crate::http) struct CrossOrigin {
    allow: Option<HeaderValue>,
    by_origin: bool,
}

/// The response headers of the endpoints that a page may read.
const EXPOSED: HeaderValue = HeaderValue::from_static("retry-after, www-authenticate");
/// The request headers that a page may send, unless it asks for others.
const REQUEST_HEADERS: HeaderValue =
    HeaderValue::from_static("authorization, content-type, dpop, mcp-protocol-version");

impl Cors {
    /// Whether the headers depend on the origin. A cache has to know that even for an answer to a request without an
    /// origin.
    pub(in crate::http) fn is_by_origin(&self) -> bool {
        matches!(self, Self::Only(_))
    }

    /// Returns the CORS headers for the origin of the request.
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

    /// Adds the CORS headers for the origin of the request to `reply`.
    pub(in crate::http) fn apply(&self, parts: &Parts, reply: &mut Reply) {
        self.judge(&parts.headers).apply(reply.headers_mut(), &EXPOSED);
    }

    /// Returns the answer to a preflight for an endpoint with the methods `allow`, if the request is one.
    pub(in crate::http) fn preflight(&self, parts: &Parts, allow: &'static str) -> Option<Reply> {
        (parts.method == Method::OPTIONS).then(|| {
            let mut reply = self.permit(parts, HeaderValue::from_static(allow));
            set(&mut reply, header::ALLOW, HeaderValue::from_static(allow));
            reply
        })
    }

    /// Returns the answer to a preflight for a protected service, if the request is one. A preflight has no token, and
    /// all methods are permitted.
    pub(in crate::http) fn preflight_of_service(&self, parts: &Parts) -> Option<Reply> {
        let method = parts.headers.get(header::ACCESS_CONTROL_REQUEST_METHOD)?;
        let is_preflight = parts.method == Method::OPTIONS && parts.headers.contains_key(header::ORIGIN);
        (is_preflight && *self != Self::Deny).then(|| self.permit(parts, method.clone()))
    }

    /// A preflight answer that permits `methods`.
    fn permit(&self, parts: &Parts, methods: HeaderValue) -> Reply {
        let mut reply = empty(StatusCode::NO_CONTENT);
        self.apply(parts, &mut reply);
        if reply.headers().contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN) {
            // All headers that the page asks for: a program could send them too, and protocols add headers over time.
            let asked = parts.headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
            set(&mut reply, header::ACCESS_CONTROL_ALLOW_METHODS, methods);
            set(&mut reply, header::ACCESS_CONTROL_ALLOW_HEADERS, asked.unwrap_or(REQUEST_HEADERS));
            set(&mut reply, header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("7200"));
        }
        reply
    }
}

/// Whether the service has set its own CORS rules. A service that refuses a page does so by the absence of a header, so
/// `Vary: Origin` counts too.
fn has_own_cors_rules(headers: &HeaderMap) -> bool {
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
    /// Adds the CORS headers to `headers`, unless the service has set its own.
    pub(in crate::http) fn apply(&self, headers: &mut HeaderMap, exposed: &HeaderValue) {
        if has_own_cors_rules(headers) {
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
