//! No token over plain HTTP.

use http::header::{HOST, HeaderName};
use http::request::Parts;

use crate::address::is_loopback;

/// What shows that a request came over TLS. Whatever does not is refused, except on a loopback host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Https {
    /// The request itself: an `https` scheme in its URI, which HTTP/2 always has. For everybody else this refuses all
    /// but loopback hosts. A proxy on the same machine that puts a loopback name into `Host` hides what it takes in: tell of
    /// it with [`TrustProxy`](Self::TrustProxy).
    #[default]
    Require,
    /// This process takes requests over TLS alone.
    Terminate,
    /// A proxy in front of this process, through which every request comes, says so in `X-Forwarded-Proto`. Without that
    /// header every request is refused, for then nothing is known. A proxy that lets its clients set it must not be trusted.
    TrustProxy,
}

const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

impl Https {
    /// Whether tokens may travel the way this request came.
    pub(super) fn permits(self, parts: &Parts) -> bool {
        match self {
            Self::Terminate => true,
            Self::Require => parts.uri.scheme_str() == Some("https") || on_loopback(parts),
            Self::TrustProxy => {
                let mut told = parts.headers.get_all(FORWARDED_PROTO).iter();
                let https = told.next().is_some_and(|scheme| scheme.as_bytes().eq_ignore_ascii_case(b"https"));
                // Told twice: by the proxy, and by whom?
                https && told.next().is_none()
            }
        }
    }
}

fn on_loopback(parts: &Parts) -> bool {
    let named = parts.headers.get(HOST).and_then(|host| host.to_str().ok()).and_then(|host| host.parse().ok());
    let authority: Option<http::uri::Authority> = parts.uri.authority().cloned().or(named);
    authority.is_some_and(|authority| is_loopback(authority.host()))
}
