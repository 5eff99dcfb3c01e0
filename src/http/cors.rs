//! Which web pages may read the answers of the endpoints (the Fetch standard's CORS protocol).

use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{Method, StatusCode};

use super::reply::{Reply, empty, set};

/// Which origins may use the token, revocation, registration and metadata endpoints from a browser.
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
    /// None.
    Deny,
}

impl Cors {
    /// Say in `reply` what holds for the origin of the request.
    pub(super) fn apply(&self, parts: &Parts, reply: &mut Reply) {
        let origin = parts.headers.get(header::ORIGIN);
        let allow = match self {
            Self::Any => Some(HeaderValue::from_static("*")),
            Self::Only(origins) => {
                set(reply, header::VARY, HeaderValue::from_static("origin"));
                origin.filter(|origin| origins.iter().any(|known| known.as_bytes() == origin.as_bytes())).cloned()
            }
            Self::Deny => None,
        };
        if let Some(allow) = allow {
            set(reply, header::ACCESS_CONTROL_ALLOW_ORIGIN, allow);
            set(
                reply,
                header::ACCESS_CONTROL_EXPOSE_HEADERS,
                HeaderValue::from_static("retry-after, www-authenticate"),
            );
        }
    }

    /// The answer to a preflight for an endpoint with the methods `allow`, if the request is one.
    pub(super) fn preflight(&self, parts: &Parts, allow: &'static str) -> Option<Reply> {
        if parts.method != Method::OPTIONS {
            return None;
        }
        let mut reply = empty(StatusCode::NO_CONTENT);
        set(&mut reply, header::ALLOW, HeaderValue::from_static(allow));
        self.apply(parts, &mut reply);
        if reply.headers().contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN) {
            set(&mut reply, header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(allow));
            let headers = HeaderValue::from_static("authorization, content-type, dpop, mcp-protocol-version");
            set(&mut reply, header::ACCESS_CONTROL_ALLOW_HEADERS, headers);
            set(&mut reply, header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("7200"));
        }
        Some(reply)
    }
}
