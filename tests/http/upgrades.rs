//! A connection that leaves HTTP: only where the application asks for it, and then until the token ends.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use futures_util::FutureExt;
use hyper_util::rt::TokioIo;
use mcp_token_lifecycle::http::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower::{Layer, ServiceExt, service_fn};

use crate::drip::Alarm;
use crate::site::*;

/// Switches to another protocol for every request, greets, and closes the connection with the token.
async fn switch(mut request: Request<Body>) -> Result<Response<Body>, Infallible> {
    let upgrade = hyper::upgrade::on(&mut request);
    let watch = request.extensions().get::<TokenWatch>().cloned();
    tokio::spawn(async move {
        let mut connection = TokioIo::new(upgrade.await.unwrap());
        connection.write_all(b"hello").await.unwrap();
        if let Some(watch) = watch {
            watch.ended().await;
        }
        connection.shutdown().await.unwrap();
    });
    let asked = request.headers().contains_key("upgrade");
    let response = Response::builder().status(101).header("connection", "upgrade").header("upgrade", "echo");
    Ok(response.header("x-asked", asked.to_string()).body(Body::empty()).unwrap())
}

/// Connect to the service behind `layer` and ask for another protocol; the head of the answer, and what is left.
async fn connect(layer: BearerLayer, token: &str) -> (String, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().route_service("/mcp", layer.layer(service_fn(switch)));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "GET /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    (String::from_utf8(head).unwrap(), stream)
}

#[tokio::test]
async fn upgrade_is_refused_unless_the_application_asks_for_it() {
    let site = Site::open().await;
    let token = site.login().await.access;
    for layer in [site.server.bearer(), site.server.bearer_live()] {
        let (head, _) = connect(layer, &token).await;
        assert!(head.starts_with("HTTP/1.1 501 ") && !head.contains("x-asked"), "{head}");
    }
}

#[tokio::test]
async fn upgrade_header_stays_at_the_door_and_the_request_is_served() {
    let site = Site::open().await;
    let token = site.login().await.access;
    let request = site.request("GET", "/mcp").header("authorization", format!("Bearer {token}"));
    let request = request.header("connection", "Upgrade, HTTP2-Settings").header("upgrade", "h2c");
    let answer = send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, 200, "some clients ask for HTTP/2 with every request");
    assert!(!String::from_utf8(answer.body).unwrap().contains("h2c"));
}

#[tokio::test]
async fn connect_method_reaches_no_service_unless_asked_for() {
    let site = Site::open().await;
    let token = site.login().await.access;
    let reached = Arc::new(AtomicUsize::new(0));
    for (layer, status) in [(site.server.bearer(), 501), (site.server.bearer().with_upgrades(), 200)] {
        let count = Arc::clone(&reached);
        let service = layer.layer(service_fn(move |_: Request<Body>| {
            count.fetch_add(1, Ordering::SeqCst);
            async { Ok::<_, Infallible>(Response::new(Body::empty())) }
        }));
        let request = site.request("CONNECT", "/mcp").header("authorization", format!("Bearer {token}"));
        let answer = service.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(answer.status(), StatusCode::from_u16(status).unwrap());
    }
    assert_eq!(reached.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn upgraded_connection_ends_with_its_token() {
    let (site, alarm) = (Site::open().await, Alarm::default());
    for revoked in [false, true] {
        let tokens = site.login().await;
        let wake = alarm.clone();
        let layer = site.server.bearer_live().with_sleep(move |duration| wake.sleep(duration)).with_upgrades();
        let (head, mut stream) = connect(layer, &tokens.access).await;
        assert!(head.starts_with("HTTP/1.1 101 ") && head.contains("x-asked: true"), "{head}");
        let mut greeting = [0; 5];
        stream.read_exact(&mut greeting).await.unwrap();
        assert_eq!(&greeting, b"hello");
        let mut rest = Vec::new();
        assert!(stream.read_to_end(&mut rest).now_or_never().is_none(), "it is open");
        if revoked {
            site.post("/revoke", &[("client_id", CLIENT), ("token", &tokens.refresh)]).await;
            alarm.pass(&site.clock, 60);
        } else {
            alarm.pass(&site.clock, tokens.all["expires_in"].as_u64().unwrap() + 5);
        }
        let end = tokio::time::timeout(Duration::from_secs(60), stream.read_to_end(&mut rest)).await;
        assert_eq!(end.expect("it ends").unwrap(), 0);
    }
}
