//! The check that no token travels over plain HTTP.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZero;

use http::header::{FORWARDED, HOST, HeaderName, VIA};
use http::request::Parts;
use http::uri::Authority;

use crate::net::address::is_loopback;

/// How a request proves that it came over TLS. A request without that proof is refused with 400.
///
/// Nothing that the client sends is a proof: neither the scheme of the request line, which HTTP/2 always has and
/// HTTP/1.1 may have, nor the `Host`. The proof is the connection, which the application knows:
///
/// | the process | use |
/// |---|---|
/// | listens on a loopback address only, for development | [`TlsPolicy::for_listener`] |
/// | terminates TLS for all connections | [`TlsPolicy::Terminate`] |
/// | is behind a proxy that terminates TLS | [`TlsPolicy::TrustProxy`], [`TlsPolicy::TrustProxies`] |
/// | accepts both plain and encrypted connections | [`TlsPolicy::Require`], with a [`Connection`] in each request |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsPolicy {
    /// Require a [`Connection`] in the extensions of the request: one over TLS, or a plain one between programs of this
    /// machine for which the client named a loopback host. A request without a [`Connection`] is refused, because its
    /// peer is unknown.
    ///
    /// # Security
    ///
    /// A proxy on this machine can make remote requests look like such a plain one, if it puts a loopback name into
    /// `Host`, as nginx does by default. Name the proxy with [`TrustProxy`](Self::TrustProxy) then. A request with a
    /// header that proxies add (`Forwarded`, `Via`, `X-Forwarded-…`, `X-Real-IP`) is refused, but nginx adds none of
    /// them unless it is configured to.
    #[default]
    Require,
    /// This process accepts requests over TLS only.
    Terminate,
    /// This process listens on loopback addresses only, so that each peer is on this machine.
    /// [`for_listener`](Self::for_listener) checks that. The client must have named a loopback host; otherwise a web
    /// page could reach this server under its own name (DNS rebinding).
    ///
    /// # Security
    ///
    /// Do not use it behind a proxy, whose requests come from this machine too; see [`Require`](Self::Require).
    Loopback,
    /// One proxy is in front of this process, all requests come through it, and `X-Forwarded-Proto` states how each
    /// came. The proxy may replace that header or append to it: its own entry is the last one. A request without the
    /// header is refused.
    TrustProxy,
    /// Several proxies are in front of this process, or they use the header `Forwarded`.
    TrustProxies(TrustedProxies),
}

/// The header that the proxies in front of this process write, and the number of proxies that do; see
/// [`TlsPolicy::TrustProxies`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrustedProxies {
    header: ProxyHeader,
    hops: NonZero<usize>,
}

/// The header in which a proxy states how it received a request.
///
/// A proxy passes on the other header as its client sent it, so only one of the two can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyHeader {
    /// `X-Forwarded-Proto: https`
    XForwardedProto,
    /// `Forwarded: for=192.0.2.60;proto=https` (RFC 7239)
    Forwarded,
}

impl TrustedProxies {
    /// Trusts one proxy, which writes `header`.
    pub const fn new(header: ProxyHeader) -> Self {
        Self { header, hops: NonZero::<usize>::MIN }
    }

    /// Sets the number of proxies that add their own entry to the header, one behind the other.
    ///
    /// The entry of the outermost proxy decides, which is the one that clients connect to. A client can put entries in
    /// front of it but not behind it. A request with fewer entries is refused.
    #[must_use]
    pub const fn with_hops(self, hops: NonZero<usize>) -> Self {
        Self { hops, ..self }
    }

    /// Whether the outermost proxy received this request over TLS.
    fn took_https(self, parts: &Parts) -> bool {
        let name = match self.header {
            ProxyHeader::XForwardedProto => X_FORWARDED_PROTO,
            ProxyHeader::Forwarded => FORWARDED,
        };
        // Several fields form one list (RFC 9110 §5.3).
        let mut entries = Vec::new();
        for value in parts.headers.get_all(name) {
            let Some(split) = value.to_str().ok().and_then(|value| split(value, ',')) else { return false };
            entries.extend(split);
        }
        let entry = entries.iter().rev().nth(self.hops.get() - 1);
        entry.is_some_and(|entry| match self.header {
            ProxyHeader::XForwardedProto => entry.trim().eq_ignore_ascii_case("https"),
            ProxyHeader::Forwarded => forwarded_proto(entry).is_some_and(|proto| proto.eq_ignore_ascii_case("https")),
        })
    }
}

const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Returns the `proto` of one element of `Forwarded`, if it has exactly one (RFC 7239 §4).
fn forwarded_proto(element: &str) -> Option<&str> {
    let pairs = split(element, ';')?.into_iter().filter_map(|pair| pair.split_once('='));
    let mut protos = pairs.filter(|(name, _)| name.trim().eq_ignore_ascii_case("proto"));
    let (_, proto) = protos.next()?;
    let proto = proto.trim();
    let unquoted = proto.strip_prefix('"').and_then(|proto| proto.strip_suffix('"')).unwrap_or(proto);
    protos.next().is_none().then_some(unquoted)
}

/// Splits `text` at separators outside of quoted strings. `None` if a quoted string does not end: a client may have
/// opened one in order to hide what a proxy appends.
fn split(text: &str, separator: char) -> Option<Vec<&str>> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let parts = text.split(|character: char| {
        let escaped = std::mem::take(&mut is_escaped);
        match character {
            _ if escaped => {}
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            _ => {}
        }
        character == separator && !is_quoted
    });
    let parts: Vec<&str> = parts.collect();
    (!is_quoted).then_some(parts)
}

/// The connection that a request came over. The application puts it into the extensions of the request when it accepts
/// connections, for [`TlsPolicy::Require`].
///
/// ```
/// # use std::net::SocketAddr;
/// # use mcp_token_lifecycle::http::Connection;
/// # fn accepted(mut request: http::Request<()>, peer: SocketAddr) -> http::Request<()> {
/// request.extensions_mut().insert(Connection::plain(peer));
/// # request }
/// ```
///
/// With axum, as the outermost layer:
///
/// ```ignore
/// # use std::net::SocketAddr;
/// # use axum::{Router, extract::{ConnectInfo, Request}, middleware::map_request};
/// # use mcp_token_lifecycle::http::Connection;
/// # fn outside(router: Router) {
/// let note = async |ConnectInfo(peer): ConnectInfo<SocketAddr>, mut request: Request| {
///     request.extensions_mut().insert(Connection::plain(peer));
///     request
/// };
/// let service = router.layer(map_request(note)).into_make_service_with_connect_info::<SocketAddr>();
/// # drop(service) }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    peer: IpAddr,
    is_tls: bool,
}

impl Connection {
    /// Creates a plain connection from `peer`, the address of the other end of the socket.
    pub fn plain(peer: SocketAddr) -> Self {
        Self { peer: peer.ip(), is_tls: false }
    }

    /// Creates a TLS connection from `peer` that ends in this process.
    pub fn tls(peer: SocketAddr) -> Self {
        Self { peer: peer.ip(), is_tls: true }
    }

    /// Whether the peer is on this machine.
    fn is_local(self) -> bool {
        self.peer.to_canonical().is_loopback()
    }
}

impl TlsPolicy {
    /// Returns the policy for a plain listener at `address`: [`Loopback`](Self::Loopback) for a loopback address, where
    /// only programs of this machine connect, otherwise [`Require`](Self::Require).
    ///
    /// # Security
    ///
    /// Do not use it for a listener behind a proxy on this machine, which forwards remote requests: use
    /// [`TrustProxy`](Self::TrustProxy).
    pub fn for_listener(address: SocketAddr) -> Self {
        if address.ip().to_canonical().is_loopback() { Self::Loopback } else { Self::Require }
    }

    /// Whether this request proves that it came over TLS or from this machine.
    pub(in crate::http) fn permits(self, parts: &Parts) -> bool {
        let connection = parts.extensions.get::<Connection>();
        let is_tls = connection.is_some_and(|connection| connection.is_tls);
        match self {
            Self::Terminate => true,
            Self::Require => {
                is_tls || connection.is_some_and(|connection| connection.is_local()) && is_for_loopback(parts)
            }
            Self::Loopback => connection.is_none_or(|connection| connection.is_local()) && is_for_loopback(parts),
            Self::TrustProxy => TrustedProxies::new(ProxyHeader::XForwardedProto).took_https(parts),
            Self::TrustProxies(proxies) => proxies.took_https(parts),
        }
    }
}

/// Whether a program of this machine requests a loopback host and no proxy has forwarded the request, as far as the
/// request shows.
///
/// The absence of these headers proves nothing, because a proxy may add none. With one of them the request is refused.
fn is_for_loopback(parts: &Parts) -> bool {
    let is_of_proxy = |name: &HeaderName| {
        name == FORWARDED || name == VIA || name == "x-real-ip" || name.as_str().starts_with("x-forwarded-")
    };
    !parts.headers.keys().any(is_of_proxy) && names_loopback(parts)
}

/// Whether the client named a loopback host, in the request line and in `Host`, and no other.
fn names_loopback(parts: &Parts) -> bool {
    let mut hosts = parts.headers.get_all(HOST).iter();
    let named = hosts.next().map(|host| host.to_str().ok().and_then(|host| host.parse::<Authority>().ok()));
    let is_local = |authority: &Authority| is_loopback(authority.host()) && !authority.as_str().contains('@');
    let in_line = parts.uri.authority();
    let in_header = named.as_ref().map(Option::as_ref);
    hosts.next().is_none()
        && (in_line.is_some() || in_header.is_some())
        && in_line.is_none_or(is_local)
        && in_header.is_none_or(|named| named.is_some_and(is_local))
}
