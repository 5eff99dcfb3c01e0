//! Responses: JSON, redirects, refusals, and the headers that go with them.

use std::sync::Arc;

use http::header::{self, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::body::{ResponseBody, Unreadable};
use crate::audit::{ErrorCode, Reason};
use crate::error::Error;
use crate::messages::ErrorResponse;

pub(in crate::http) type Reply = Response<ResponseBody>;

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// Why a request is refused.
pub(in crate::http) enum Refusal {
    /// An OAuth error and its description, for the developer of the client. It never contains what was sent.
    Error(ErrorCode, &'static str),
    /// An OAuth error without a description, because more would help an attacker.
    Denied(ErrorResponse),
    /// The client is unknown, or failed to authenticate.
    InvalidClient,
    /// The endpoint does not accept the method. It accepts these.
    Method(&'static str),
    /// 403: the request is not permitted with any scope.
    Forbidden(&'static str),
    /// Another refusal, by its status and a description.
    Status(StatusCode, &'static str),
    /// Another refusal, which was reported before.
    #[cfg(feature = "vault")]
    Reported(StatusCode, &'static str),
    /// 502: another service did not do its part.
    #[cfg(feature = "vault")]
    Upstream(&'static str),
    /// 503: a fault that was reported before.
    #[cfg(feature = "vault")]
    Unavailable,
    /// A fault of the server.
    Fault(Error),
    /// Another refusal, with its cause for the audit.
    Because(Box<Refusal>, Cause),
}

/// Why a request was refused, for the audit.
#[derive(Clone)]
pub(in crate::http) struct Cause {
    pub(in crate::http) reason: Reason,
    /// The client of the request, or the one that it claims to be. An unknown client has no id here, because its text
    /// is untrusted.
    pub(in crate::http) client_id: Option<Arc<str>>,
}

impl From<ErrorResponse> for Refusal {
    fn from(error: ErrorResponse) -> Self {
        Self::Denied(error)
    }
}

impl From<Error> for Refusal {
    fn from(fault: Error) -> Self {
        Self::Fault(fault)
    }
}

impl From<Unreadable> for Refusal {
    fn from(unread: Unreadable) -> Self {
        match unread {
            Unreadable::TooLong => Self::Status(
                StatusCode::PAYLOAD_TOO_LARGE,
                "the body or the query of the request is longer than this server accepts",
            ),
            Unreadable::Broken => {
                Self::Status(StatusCode::BAD_REQUEST, "the body of the request broke off before its end")
            }
        }
    }
}

impl Refusal {
    /// The refusal of a request over plain HTTP.
    pub(in crate::http) const INSECURE: Self =
        Self::Status(StatusCode::BAD_REQUEST, "the request must be sent over https");

    /// Adds the cause for the audit.
    pub(in crate::http) fn because(self, reason: Reason, client_id: Option<&str>) -> Self {
        Self::Because(Box::new(self), Cause { reason, client_id: client_id.map(Arc::from) })
    }

    /// Returns the cause for the audit. `None` for what the issuer has reported, for a fault, and for a wrong method,
    /// which has no effect.
    pub(in crate::http) fn cause(&self) -> Option<Cause> {
        let reason = match self {
            Self::Because(_, cause) => return Some(cause.clone()),
            Self::Error(..) | Self::Status(..) => Reason::BadRequest,
            Self::InvalidClient => Reason::UnknownClient,
            Self::Forbidden(_) => Reason::NotAllowed,
            Self::Denied(_) | Self::Method(_) | Self::Fault(_) => return None,
            #[cfg(feature = "vault")]
            Self::Reported(..) | Self::Upstream(_) | Self::Unavailable => return None,
        };
        Some(Cause { reason, client_id: None })
    }

    /// Turns the refusal into a response.
    pub(in crate::http) fn into_reply(self) -> Reply {
        match self {
            Self::Because(refusal, _) => refusal.into_reply(),
            Self::Error(code, description) => error(status(code), code, Some(description)),
            Self::Denied(response) => error(status(response.error), response.error, None),
            Self::InvalidClient => {
                let mut reply = error(StatusCode::UNAUTHORIZED, ErrorCode::InvalidClient, None);
                // A 401 always has a challenge (RFC 9110 §15.5.2), and `Basic` is the only scheme here (RFC 6749 §5.2).
                set(&mut reply, header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"token\""));
                reply
            }
            Self::Method(allow) => {
                let mut reply = error(StatusCode::METHOD_NOT_ALLOWED, ErrorCode::InvalidRequest, None);
                set(&mut reply, header::ALLOW, HeaderValue::from_static(allow));
                reply
            }
            Self::Forbidden(description) => error(StatusCode::FORBIDDEN, ErrorCode::AccessDenied, Some(description)),
            Self::Status(status, description) => error(status, ErrorCode::InvalidRequest, Some(description)),
            #[cfg(feature = "vault")]
            Self::Reported(status, description) => error(status, ErrorCode::InvalidRequest, Some(description)),
            #[cfg(feature = "vault")]
            Self::Upstream(description) => error(StatusCode::BAD_GATEWAY, ErrorCode::ServerError, Some(description)),
            #[cfg(feature = "vault")]
            Self::Unavailable => unavailable(),
            Self::Fault(_) => unavailable(),
        }
    }
}

fn status(code: ErrorCode) -> StatusCode {
    StatusCode::from_u16(code.status()).unwrap_or(StatusCode::BAD_REQUEST)
}

fn error(status: StatusCode, code: ErrorCode, description: Option<&'static str>) -> Reply {
    struct Described(ErrorCode, Option<&'static str>);
    impl Serialize for Described {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut map = serializer.serialize_map(None)?;
            map.serialize_entry("error", self.0.as_str())?;
            if let Some(description) = self.1 {
                map.serialize_entry("error_description", description)?;
            }
            map.end()
        }
    }
    json(status, &Described(code, description))
}

/// A 503 with `Retry-After` (RFC 9110 §10.2.3), after which the client keeps its tokens.
pub(in crate::http) fn unavailable() -> Reply {
    let mut reply = error(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::TemporarilyUnavailable, None);
    set(&mut reply, header::RETRY_AFTER, HeaderValue::from_static("1"));
    reply
}

/// A JSON response that caches do not store (RFC 6749 §5.1).
pub(in crate::http) fn json(status: StatusCode, value: &impl Serialize) -> Reply {
    let Ok(bytes) = serde_json::to_vec(value) else { return empty(StatusCode::INTERNAL_SERVER_ERROR) };
    let mut reply = Response::new(ResponseBody::from(bytes));
    *reply.status_mut() = status;
    set(&mut reply, header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    seal(&mut reply);
    reply
}

/// A response without content.
pub(in crate::http) fn empty(status: StatusCode) -> Reply {
    let mut reply = Response::new(ResponseBody::default());
    *reply.status_mut() = status;
    seal(&mut reply);
    reply
}

/// A 303 redirect: the browser does not post the form again to the client (OAuth 2.1 §7.5.3).
pub(in crate::http) fn redirect(location: &str) -> Reply {
    match HeaderValue::from_str(location) {
        Ok(mut location) => {
            // Otherwise `Debug` of the response would show the code.
            location.set_sensitive(true);
            let mut reply = empty(StatusCode::SEE_OTHER);
            set(&mut reply, header::LOCATION, location);
            reply
        }
        Err(_) => empty(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

/// Turns the answer to `GET` into one to `HEAD`: no content, and the same headers (RFC 9110 §9.3.2). Not each transport
/// does this.
pub(in crate::http) fn without_content(reply: Reply) -> Reply {
    let length = reply.body().len();
    let mut reply = reply.map(|_| ResponseBody::default());
    set(&mut reply, header::CONTENT_LENGTH, HeaderValue::from(length));
    reply
}

/// Sets a header.
pub(in crate::http) fn set(reply: &mut Reply, name: HeaderName, value: HeaderValue) {
    reply.headers_mut().insert(name, value);
}

/// Adds the default headers of an application's page. Under `no-referrer` a browser posts its form with `Origin: null`,
/// which a defence against forged posts would take for another site.
pub(in crate::http) fn seal_page(page: &mut Reply) {
    let referrer = page.headers_mut().entry(header::REFERRER_POLICY);
    referrer.or_insert(HeaderValue::from_static("same-origin"));
    seal(page);
}

/// Adds the default headers of all responses, where they are not set: no caching, no content sniffing, no referrer, no
/// framing (OAuth 2.1 §7.12.3, RFC 9700 §4.16).
pub(in crate::http) fn seal(reply: &mut Reply) {
    let defaults = [
        (header::CACHE_CONTROL, NO_STORE),
        (header::PRAGMA, HeaderValue::from_static("no-cache")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; base-uri 'none'"),
        ),
    ];
    for (name, value) in defaults {
        reply.headers_mut().entry(name).or_insert(value);
    }
    // A page of the application may set a session cookie.
    if let header::Entry::Occupied(mut cookies) = reply.headers_mut().entry(header::SET_COOKIE) {
        cookies.iter_mut().for_each(|cookie| cookie.set_sensitive(true));
    }
}
