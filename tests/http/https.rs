//! No token over plain HTTP.

use std::convert::Infallible;
use std::num::NonZero;

use axum::body::Body;
use axum::http::{Request, Response};
use mcp_token_lifecycle::http::{Connection, ProxyHeader, TlsPolicy, TrustedProxies};
use tower::{Layer, ServiceExt, service_fn};

use crate::site::*;

/// The status of the same request at an endpoint and at a protected service.
async fn statuses(site: &Site, headers: &[(&str, &str)]) -> [u16; 2] {
    let mut statuses = [0; 2];
    for (status, path) in statuses.iter_mut().zip(["/.well-known/oauth-authorization-server", "/mcp"]) {
        let request =
            headers.iter().fold(site.request("GET", path), |request, (name, value)| request.header(*name, *value));
        *status = send(request.body(Body::empty()).unwrap()).await.status;
    }
    statuses
}

/// What an endpoint and a protected service answer when they are reached.
const REACHED: [u16; 2] = [200, 401];
const REFUSED: [u16; 2] = [400, 400];

/// spec: MCP authorization §Security: Communication a
/// spec: OAuth 2.1 §7.1.3.3
/// spec: RFC 6750 §5.2 b
/// spec: RFC 8414 §6.1
/// spec: RFC 9728 §7.1
#[tokio::test]
async fn plain_http_is_refused_but_for_this_very_machine() {
    let site = Site::open().await;
    for host in ["localhost", "localhost:3000", "LOCALHOST", "127.0.0.1", "127.1.2.3:80", "[::1]", "[::1]:3000"] {
        assert_eq!(statuses(&site, &[("host", host)]).await, REACHED, "{host}");
    }
    for host in
        ["mcp.example.com", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1", "0.0.0.0", "[::2]", "a b"]
    {
        assert_eq!(statuses(&site, &[("host", host)]).await, REFUSED, "{host}");
    }
    let forwarded = [("host", "mcp.example.com"), ("x-forwarded-proto", "https"), ("forwarded", "proto=https")];
    assert_eq!(statuses(&site, &forwarded).await, REFUSED, "no proxy was declared as trusted");
}

/// spec: MCP authorization §Security: Communication a
/// spec: OAuth 2.1 §4.3 a
/// spec: RFC 7009 §2 b
/// spec: RFC 7662 §2
/// spec: RFC 7591 §5
#[tokio::test]
async fn https_refusal_of_every_endpoint_says_why() {
    let site = Site::open().await;
    let tokens = site.login().await;
    for (method, path) in [
        ("POST", "/token"),
        ("POST", "/revoke"),
        ("POST", "/introspect"),
        ("POST", "/register"),
        ("GET", "/authorize"),
        ("GET", "/mcp"),
    ] {
        let request = site.request(method, path).header("host", "mcp.example.com");
        let request = request.header("authorization", format!("Bearer {}", tokens.access));
        let refused = send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(refused.refusal(), (400, "invalid_request".into()), "{path}");
        assert_eq!(refused.json()["error_description"], "the request must be sent over https");
    }
    assert_eq!(site.reached(), 0);
}

/// Whether a request with this connection gets to an endpoint and to a protected service.
async fn is_let_in(
    site: &Site,
    https: TlsPolicy,
    connection: Option<Connection>,
    uri: &str,
    headers: &[(&str, &str)],
) -> bool {
    let server = site.server.clone().with_tls(https);
    let request = || {
        let request = headers.iter().fold(Request::get(uri), |request, (name, value)| request.header(*name, *value));
        let mut request = request.body(Body::empty()).unwrap();
        connection.map(|connection| request.extensions_mut().insert(connection));
        request
    };
    let inner = service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(Response::new(Body::empty())) });
    let (parts, _) = request().into_parts();
    let endpoint = server.handle(&parts, &[]).await.status().as_u16();
    let service = server.bearer().layer(inner).oneshot(request()).await.unwrap().status().as_u16();
    match [endpoint, service] {
        REACHED => true,
        REFUSED => false,
        other => panic!("{other:?}"),
    }
}

const PATH: &str = "/.well-known/oauth-authorization-server";
const LOCAL: (&str, &str) = ("host", "localhost");
const PUBLIC: (&str, &str) = ("host", "mcp.example.com");

fn plain(peer: &str) -> Option<Connection> {
    Some(Connection::plain(peer.parse().unwrap()))
}

/// spec: OAuth 2.1 §7.1.3.3
#[tokio::test]
async fn https_require_believes_nothing_that_the_client_writes() {
    let site = Site::open().await;
    let absolute =
        ["https://mcp.example.com", "https://localhost", "http://localhost"].map(|host| format!("{host}{PATH}"));
    for connection in [None, plain("203.0.113.9:4000"), plain("10.0.0.1:4000"), plain("[2001:db8::1]:4000")] {
        for uri in absolute.iter().map(String::as_str).chain([PATH]) {
            for headers in
                [&[][..], &[LOCAL], &[PUBLIC], &[LOCAL, ("x-forwarded-proto", "https"), ("forwarded", "proto=https")]]
            {
                assert!(
                    !is_let_in(&site, TlsPolicy::Require, connection, uri, headers).await,
                    "{connection:?} {uri} {headers:?}"
                );
            }
        }
    }
}

#[tokio::test]
async fn https_require_takes_tls_and_loopback_peers_with_local_host() {
    let site = Site::open().await;
    let tls = Some(Connection::tls("203.0.113.9:4000".parse().unwrap()));
    assert!(is_let_in(&site, TlsPolicy::Require, tls, PATH, &[PUBLIC]).await);
    for peer in ["127.0.0.1:4000", "127.9.9.9:1", "[::1]:4000", "[::ffff:127.0.0.1]:4000"] {
        assert!(is_let_in(&site, TlsPolicy::Require, plain(peer), PATH, &[LOCAL]).await, "{peer}");
        assert!(
            is_let_in(&site, TlsPolicy::Require, plain(peer), &format!("http://[::1]:80{PATH}"), &[]).await,
            "{peer}"
        );
        for (uri, headers) in [
            (PATH.to_owned(), &[PUBLIC][..]),
            (PATH.to_owned(), &[]),
            (PATH.to_owned(), &[LOCAL, LOCAL]),
            (PATH.to_owned(), &[("host", "evil.example@localhost")]),
            (format!("http://mcp.example.com{PATH}"), &[LOCAL]),
            (format!("http://localhost{PATH}"), &[PUBLIC]),
        ] {
            assert!(!is_let_in(&site, TlsPolicy::Require, plain(peer), &uri, headers).await, "{uri} {headers:?}");
        }
    }
}

#[tokio::test]
async fn https_loopback_refuses_a_peer_that_is_known_to_be_elsewhere() {
    let site = Site::open().await;
    for (connection, expected) in [(None, true), (plain("127.0.0.1:1"), true), (plain("203.0.113.9:1"), false)] {
        assert_eq!(is_let_in(&site, TlsPolicy::Loopback, connection, PATH, &[LOCAL]).await, expected, "{connection:?}");
        assert!(
            !is_let_in(&site, TlsPolicy::Loopback, connection, PATH, &[PUBLIC]).await,
            "a name of the client's choice"
        );
    }
}

/// A proxy on this machine takes in requests from anywhere, and may put the loopback name of its upstream into `Host`.
#[tokio::test]
async fn https_for_loopback_refuses_what_a_proxy_has_passed_on() {
    let site = Site::open().await;
    for mark in [
        ("forwarded", "for=203.0.113.9"),
        ("forwarded", ""),
        ("via", "1.1 proxy"),
        ("x-forwarded-for", "203.0.113.9"),
        ("X-Forwarded-Proto", "https"),
        ("x-forwarded-host", "localhost"),
        ("x-real-ip", "127.0.0.1"),
    ] {
        for https in [TlsPolicy::Require, TlsPolicy::Loopback] {
            let local = plain("127.0.0.1:4000");
            assert!(is_let_in(&site, https, local, PATH, &[LOCAL]).await);
            assert!(!is_let_in(&site, https, local, PATH, &[LOCAL, mark]).await, "{https:?} {mark:?}");
        }
        let tls = Some(Connection::tls("127.0.0.1:4000".parse().unwrap()));
        assert!(is_let_in(&site, TlsPolicy::Require, tls, PATH, &[PUBLIC, mark]).await, "{mark:?}");
    }
}

#[test]
fn https_for_listener_is_loopback_for_loopback_addresses_alone() {
    for address in ["127.0.0.1:0", "127.1.2.3:80", "[::1]:8000", "[::ffff:127.0.0.1]:1"] {
        assert_eq!(TlsPolicy::for_listener(address.parse().unwrap()), TlsPolicy::Loopback, "{address}");
    }
    for address in ["0.0.0.0:80", "[::]:80", "10.0.0.1:80", "203.0.113.9:443", "[fe80::1]:1"] {
        assert_eq!(TlsPolicy::for_listener(address.parse().unwrap()), TlsPolicy::Require, "{address}");
    }
}

/// spec: OAuth 2.1 §7.1.3.3
#[tokio::test]
async fn https_trust_proxy_goes_by_last_forwarded_proto() {
    let site = Site::open_with(|server| server.with_tls(TlsPolicy::TrustProxy)).await;
    let host = ("host", "mcp.example.com");
    let said = |text: &'static str| ("x-forwarded-proto", text);
    for headers in [
        &[host, said("https")][..],
        &[host, said("HTTPS")],
        &[host, said("https,https")],
        &[host, said("https, https")],
        &[host, said("http, https")],
        &[host, said("https"), said("https")],
        &[host, said("http"), said("https")],
        &[host, said("\"http\", https")],
    ] {
        assert_eq!(statuses(&site, headers).await, REACHED, "{headers:?}");
    }
    let local = ("host", "localhost");
    for headers in [
        &[host][..],
        &[host, said("http")],
        &[host, said("")],
        &[host, said("https, http")],
        &[host, said("https,")],
        &[host, said("https"), said("http")],
        &[host, said("https"), said("")],
        &[host, said("https http")],
        &[host, said("\", https")],
        &[host, ("forwarded", "proto=https")],
        // A proxy that puts the name of its upstream there, and takes in plain HTTP.
        &[local],
        &[local, said("http")],
    ] {
        assert_eq!(statuses(&site, headers).await, REFUSED, "{headers:?}");
    }
}

#[tokio::test]
async fn trusted_proxies_go_by_the_entry_of_the_outermost() {
    let site = Site::open().await;
    let two = NonZero::new(2).unwrap();
    let proxies = TrustedProxies::new(ProxyHeader::XForwardedProto).with_hops(two);
    for (said, expected) in [
        ("https, http", true),
        ("https, https", true),
        ("http, https, http", true),
        ("http, http", false),
        ("https, http, https", false),
        ("https, http, http", false),
        ("https", false),
        ("", false),
    ] {
        let headers = [PUBLIC, ("x-forwarded-proto", said)];
        assert_eq!(is_let_in(&site, TlsPolicy::TrustProxies(proxies), None, PATH, &headers).await, expected, "{said}");
    }
}

#[tokio::test]
async fn trusted_proxies_with_forwarded_header_read_it_alone() {
    let site = Site::open().await;
    let https = TlsPolicy::TrustProxies(TrustedProxies::new(ProxyHeader::Forwarded));
    for (said, expected) in [
        (&["proto=https"][..], true),
        (&["for=192.0.2.60;Proto=HTTPS;by=203.0.113.43"], true),
        (&["for=\"[2001:db8::1]:4711\"; proto=\"https\""], true),
        (&["proto=http, for=\"a,b;proto=http\";proto=https"], true),
        (&["proto=http", "proto=https"], true),
        (&["for=192.0.2.60"], false),
        (&["proto=https, for=192.0.2.60"], false),
        (&["proto=https, proto=http"], false),
        (&["proto=https", "proto=http"], false),
        (&["proto=https;proto=http"], false),
        (&["proto=https;x=\", for=192.0.2.60;proto=http"], false),
        (&["proto=https;x=\"\\\", for=192.0.2.60;proto=http"], false),
        (&["for=\"proto=https\""], false),
        (&[""], false),
    ] {
        let mut headers = vec![PUBLIC, ("x-forwarded-proto", "https")];
        headers.extend(said.iter().map(|said| ("forwarded", *said)));
        assert_eq!(is_let_in(&site, https, None, PATH, &headers).await, expected, "{said:?}");
    }
    assert!(!is_let_in(&site, https, None, PATH, &[PUBLIC, ("x-forwarded-proto", "https")]).await);
}

#[tokio::test]
async fn https_terminate_accepts_plain_requests() {
    let site = Site::open_with(|server| server.with_tls(TlsPolicy::Terminate)).await;
    assert_eq!(statuses(&site, &[("host", "mcp.example.com")]).await, REACHED);
}
