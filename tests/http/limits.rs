//! How much of a request is read.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Body;
use axum::http::{Request, Response};
use mcp_token_lifecycle::http::BearerLayer;
use tower::{Layer, ServiceExt, service_fn};

use crate::site::*;

const FORM: &str = "application/x-www-form-urlencoded";
const LIMIT: usize = 16 * 1024;

/// A refresh with an unknown token, of exactly `length` bytes.
fn padded(length: usize) -> String {
    let start = format!("grant_type=refresh_token&client_id={CLIENT}&refresh_token=");
    format!("{start}{}", "a".repeat(length - start.len()))
}

#[tokio::test]
async fn body_limit_exceeded_is_413_at_every_endpoint() {
    let site = Site::open().await;
    assert_eq!(site.post_as("/token", FORM, &padded(LIMIT)).await.refusal(), (400, "invalid_grant".into()));
    for path in ["/token", "/revoke", "/introspect", "/register", "/authorize"] {
        let refused = site.post_as(path, FORM, &padded(LIMIT + 1)).await;
        assert_eq!(refused.refusal(), (413, "invalid_request".into()), "{path}");
    }
}

#[tokio::test]
async fn body_limit_holds_for_streamed_bodies() {
    let site = Site::open().await;
    for (length, status) in [(LIMIT, 400), (LIMIT + 1, 413), (100 * LIMIT, 413)] {
        let request = site.request("POST", "/token").header("content-type", FORM).body(streamed(&padded(length)));
        assert_eq!(send(request.unwrap()).await.status, status, "{length}");
    }
}

#[tokio::test]
async fn body_limit_holds_for_handle_without_transport() {
    let site = Site::open().await;
    let (parts, ()) = site.request("POST", "/token").header("content-type", FORM).body(()).unwrap().into_parts();
    assert_eq!(site.server.handle(&parts, padded(LIMIT + 1).as_bytes()).await.status(), 413);
    assert_eq!(site.server.handle(&parts, padded(LIMIT).as_bytes()).await.status(), 400);
}

#[tokio::test]
async fn body_that_breaks_off_is_400() {
    let site = Site::open().await;
    let chunks = [Ok("grant_type=refresh_token".to_owned()), Err(std::io::Error::other("the line is dead"))];
    let body = Body::from_stream(futures_util::stream::iter(chunks));
    let request = site.request("POST", "/token").header("content-type", FORM).body(body).unwrap();
    let answer = site.server.service().oneshot(request).await.unwrap();
    assert_eq!(answer.status(), 400);
}

#[tokio::test]
async fn query_limit_exceeded_is_413() {
    let site = Site::open().await;
    let state = "a".repeat(8 * 1024);
    assert_eq!(site.authorize(&[("state", &state)]).await.refusal(), (413, "invalid_request".into()));
    assert_eq!(site.authorize(&[("state", &state[..7 * 1024])]).await.sent_back("state").len(), 7 * 1024);
}

#[tokio::test]
async fn malformed_http_is_400_before_any_endpoint() {
    let site = Site::open().await;
    for request in [
        "POST /token\r\n\r\n",
        "POST /token HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello!",
        "POST /token HTTP/1.1\r\nHost: localhost\r\nAuthorization: a\x01b\r\nConnection: close\r\n\r\n",
    ] {
        let answer = send_raw(&site.origin, request.into()).await;
        assert!(answer.starts_with("HTTP/1.1 400 ") && !answer.contains("{"), "{answer}");
    }
    // Two lengths that agree, and a body in chunks: plain HTTP, if unusual.
    let body = padded(100);
    let chunked = format!(
        "POST /token HTTP/1.1\r\nHost: localhost\r\nContent-Type: {FORM}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n64\r\n{body}\r\n0\r\n\r\n"
    );
    assert!(send_raw(&site.origin, chunked).await.contains("\"invalid_grant\""));
}

/// How much of `chunks` is read, in bytes, of a request that the check in front of the MCP server refuses.
async fn read_of_a_refused(
    layer: &BearerLayer,
    token: &str,
    chunks: impl Iterator<Item = usize> + Send + 'static,
) -> usize {
    let read = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&read);
    let chunks = chunks.map(move |length| {
        count.fetch_add(length, Ordering::Relaxed);
        Ok::<_, Infallible>("a".repeat(length))
    });
    let body = Body::from_stream(futures_util::stream::iter(chunks));
    let request = Request::post("http://127.0.0.1/mcp").header("authorization", format!("Bearer {token}")).body(body);
    let inside = service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(Response::new(Body::empty())) });
    assert_eq!(layer.layer(inside).oneshot(request.unwrap()).await.unwrap().status(), 401);
    read.load(Ordering::Relaxed)
}

#[tokio::test]
async fn refused_body_is_drained_up_to_a_limit() {
    let site = Site::open().await;
    let token = site.login().await.access;
    site.pass(3600);
    for layer in [site.server.bearer(), site.server.bearer_live()] {
        assert_eq!(read_of_a_refused(&layer, &token, [1, 2, 3].into_iter()).await, 6);
        assert_eq!(read_of_a_refused(&layer, "garbage", [1, 2, 3].into_iter()).await, 6);
        let endless = read_of_a_refused(&layer, &token, std::iter::repeat(LIMIT)).await;
        assert_eq!(endless, 4 * 1024 * 1024 + LIMIT, "and no further than a message may go on");
    }
}
