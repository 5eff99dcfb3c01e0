//! No token over plain HTTP.

use axum::body::Body;
use mcp_token_lifecycle::http::Https;

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
    assert_eq!(statuses(&site, &forwarded).await, REFUSED, "nobody said that a proxy is trusted");
}

#[tokio::test]
async fn the_refusal_says_why_and_every_endpoint_gives_it() {
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
        assert_eq!(refused.json()["error_description"], "https is required");
    }
    assert_eq!(site.reached(), 0);
}

#[tokio::test]
async fn http_2_says_https_in_the_request_itself() {
    let site = Site::open().await;
    for (uri, status) in [
        ("https://mcp.example.com/.well-known/oauth-authorization-server", 200),
        ("http://mcp.example.com/.well-known/oauth-authorization-server", 400),
    ] {
        let (parts, ()) = axum::http::Request::get(uri).body(()).unwrap().into_parts();
        assert_eq!(site.server.handle(&parts, &[]).await.status(), status, "{uri}");
    }
}

#[tokio::test]
async fn a_trusted_proxy_has_the_last_word() {
    let site = Site::open_with(|server| server.with_https(Https::TrustProxy)).await;
    let host = ("host", "mcp.example.com");
    assert_eq!(statuses(&site, &[host, ("x-forwarded-proto", "https")]).await, REACHED);
    assert_eq!(statuses(&site, &[host, ("x-forwarded-proto", "HTTPS")]).await, REACHED);
    let local = ("host", "localhost");
    for headers in [
        &[host][..],
        &[host, ("x-forwarded-proto", "http")],
        &[host, ("x-forwarded-proto", "")],
        &[host, ("x-forwarded-proto", "https, http")],
        &[host, ("x-forwarded-proto", "https"), ("x-forwarded-proto", "https")],
        &[host, ("forwarded", "proto=https")],
        // A proxy that puts the name of its upstream there, and takes in plain HTTP.
        &[local],
        &[local, ("x-forwarded-proto", "http")],
    ] {
        assert_eq!(statuses(&site, headers).await, REFUSED, "{headers:?}");
    }
}

#[tokio::test]
async fn a_process_that_terminates_tls_itself_need_not_be_told() {
    let site = Site::open_with(|server| server.with_https(Https::Terminate)).await;
    assert_eq!(statuses(&site, &[("host", "mcp.example.com")]).await, REACHED);
}
