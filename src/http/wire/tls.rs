//! No token over plain HTTP.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZero;

use http::header::{FORWARDED, HOST, HeaderName, VIA};
use http::request::Parts;
use http::uri::Authority;

use crate::net::address::is_loopback;

/// What shows that a request came over TLS. A request without that proof is refused with 400.
///
/// Nothing that the client writes is a proof: neither the scheme of the request line, which HTTP/2 always has and HTTP/1.1 may have,
/// nor the `Host`. The proof is the connection, which the application knows:
///
/// | the process | |
/// |---|---|
/// | listens on a loopback address alone, for development | [`TlsPolicy::for_listener`] |
/// | terminates TLS for every connection | [`TlsPolicy::Terminate`] |
/// | is behind a proxy that terminates TLS | [`TlsPolicy::TrustProxy`], [`TlsPolicy::TrustProxies`] |
/// | takes both plain and encrypted connections | [`TlsPolicy::Require`], with a [`Connection`] in every request |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsPolicy {
    /// The [`Connection`] in the extensions of the request: one over TLS, or a plain one between programs of this machine where the
    /// client named a loopback host. A request without a [`Connection`] is refused, for then nothing is known of its peer.
    ///
    /// A proxy on this machine makes requests from anywhere look like such a plain one, if it puts a loopback name into `Host`, which
    /// is the default of nginx. Then name the proxy with [`TrustProxy`](Self::TrustProxy). A request with a header that proxies add
    /// (`Forwarded`, `Via`, `X-Forwarded-…`, `X-Real-IP`) is refused, but nginx adds none of them unless it is configured to.
    #[default]
    Require,
    /// This process takes requests over TLS alone.
    Terminate,
    /// This process listens on loopback addresses alone, so that every peer is on this machine;
    /// [`for_listener`](Self::for_listener) makes sure of it. The client must have named a loopback host, or a web page could
    /// reach this server by a name of its own (DNS rebinding).
    ///
    /// Not behind a proxy, as under [`Require`](Self::Require): its requests come from this machine too.
    Loopback,
    /// One proxy is in front of this process, every request comes through it, and it says in `X-Forwarded-Proto` how each came. A
    /// proxy may replace that header or add to it: its own word is the last one. A request without the header is refused.
    TrustProxy,
    /// Several proxies are in front of this process, or they use the header `Forwarded`.
    TrustProxies(TrustedProxies),
}

/// Which header the proxies in front of this process write, and how many of them do: see [`TlsPolicy::TrustProxies`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrustedProxies {
    header: ProxyHeader,
    hops: NonZero<usize>,
}

/// Where a proxy says how it took a request in.
///
/// A proxy passes on what its client sent in the header that it does not write, so only one of the two can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyHeader {
    /// `X-Forwarded-Proto: https`
    XForwardedProto,
    /// `Forwarded: for=192.0.2.60;proto=https` (RFC 7239)
    Forwarded,
}

impl TrustedProxies {
    /// One proxy, which writes `header`.
    pub const fn new(header: ProxyHeader) -> Self {
        Self { header, hops: NonZero::<usize>::MIN }
    }

    /// The number of proxies that add an entry of their own to the header, one behind the other.
    ///
    /// The entry of the outermost decides, which is the one that clients reach. A client can put entries in front of it and none
    /// behind it. A request with fewer entries is refused.
    #[must_use]
    pub const fn with_hops(self, hops: NonZero<usize>) -> Self {
        Self { hops, ..self }
    }

    /// Whether the outermost proxy took this request in over TLS.
    fn took_https(self, parts: &Parts) -> bool {
        let name = match self.header {
            ProxyHeader::XForwardedProto => X_FORWARDED_PROTO,
            ProxyHeader::Forwarded => FORWARDED,
        };
        // Several fields are one list (RFC 9110 §5.3).
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

/// The `proto` of one element of `Forwarded`, if it has one alone (RFC 7239 §4).
fn forwarded_proto(element: &str) -> Option<&str> {
    let pairs = split(element, ';')?.into_iter().filter_map(|pair| pair.split_once('='));
    let mut protos = pairs.filter(|(name, _)| name.trim().eq_ignore_ascii_case("proto"));
    let (_, proto) = protos.next()?;
    let proto = proto.trim();
    let unquoted = proto.strip_prefix('"').and_then(|proto| proto.strip_suffix('"')).unwrap_or(proto);
    protos.next().is_none().then_some(unquoted)
}

/// The parts of `text` between separators outside of quoted strings. `None` if a quoted string does not end, as one that a client
/// began in order to swallow what a proxy adds.
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

/// The connection that a request came over. The application puts it into the extensions of the request where it accepts
/// connections; [`TlsPolicy::Require`] goes by it.
///
/// ```
/// # use std::net::SocketAddr;
/// # use mcp_token_lifecycle::http::Connection;
/// # fn accepted(mut request: http::Request<()>, peer: SocketAddr) -> http::Request<()> {
/// request.extensions_mut().insert(Connection::plain(peer));
/// # request }
/// ```
///
/// With axum, outside of everything else:
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
    /// A plain connection from `peer`, the address of the socket's other end.
    pub fn plain(peer: SocketAddr) -> Self {
        Self { peer: peer.ip(), is_tls: false }
    }

    /// A connection from `peer` over TLS that ends in this process.
    pub fn tls(peer: SocketAddr) -> Self {
        Self { peer: peer.ip(), is_tls: true }
    }

    fn is_local(self) -> bool {
        self.peer.to_canonical().is_loopback()
    }
}

impl TlsPolicy {
    /// What is right for a plain listener at `address`: [`Loopback`](Self::Loopback) if it is a loopback address, where programs of
    /// this machine alone connect, and [`Require`](Self::Require) if it is not.
    ///
    /// It is wrong for a listener behind a proxy on this machine, which takes requests from anywhere: use
    /// [`TrustProxy`](Self::TrustProxy) there.
    pub fn for_listener(address: SocketAddr) -> Self {
        if address.ip().to_canonical().is_loopback() { Self::Loopback } else { Self::Require }
    }

    /// Whether tokens may travel the way this request came.
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

/// Whether a program of this machine asks for a loopback host, as far as the request shows: no proxy has passed it on.
///
/// A client can leave out what a proxy adds, and so shows nothing by it. It can put it in, and be refused.
fn is_for_loopback(parts: &Parts) -> bool {
    let is_of_proxy = |name: &HeaderName| {
        name == FORWARDED || name == VIA || name == "x-real-ip" || name.as_str().starts_with("x-forwarded-")
    };
    !parts.headers.keys().any(is_of_proxy) && names_loopback(parts)
}

/// Whether the client named a loopback host: in the request line, in `Host`, and nothing else in either.
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
