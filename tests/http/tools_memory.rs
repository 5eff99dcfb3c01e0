//! How much memory the check of tool calls takes for one body.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use allocation_counter::measure;
use axum::body::{Body, Bytes, HttpBody};
use axum::http::{Request, Response};
use http_body::{Frame, SizeHint};
use tower::{Layer, ServiceExt, service_fn};

use crate::site::*;
use crate::support::block_on;

/// As much as is read by default.
const LENGTH: usize = 4 * 1024 * 1024;
/// What a request takes with any body.
const BESIDE: usize = 8 * 1024;
const BLOCK: usize = 64 * 1024;

const START: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read_note""#;

/// The most bytes that are allocated at a time while `body` is checked, and the status of the answer. What `body` is made of has
/// been allocated before.
fn peak(site: &Site, token: &str, body: Body) -> (usize, u16) {
    let bearer = site.server.bearer();
    let tools = bearer.tools([("delete_note", "notes:write")]).unwrap();
    let inner = service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(Response::new(Body::empty())) });
    let service = bearer.layer(tools.layer(inner));
    let request = site.request("POST", "/").header("authorization", format!("Bearer {token}")).body(body).unwrap();
    let mut status = 0;
    let used = measure(|| status = block_on(service.oneshot(request)).unwrap().status().as_u16());
    (used.bytes_max as usize, status)
}

/// `unit` again and again between `start` and `end`, `LENGTH` bytes at most.
fn filled(start: &str, unit: &str, end: &str) -> String {
    format!("{start}{}{end}", unit.repeat((LENGTH - start.len() - end.len()) / unit.len()))
}

/// Bodies that cost a reader much: what they say between is long, or much, or deep.
fn bodies() -> Vec<(&'static str, String, u16)> {
    let arguments = |text: &str| format!("{START},\"arguments\":{text}");
    vec![
        ("a long argument", filled(&arguments("{\"text\":\""), "x", "\"}}}"), 200),
        ("a long argument with escapes", filled(&arguments("{\"text\":\""), "\\n", "\"}}}"), 200),
        ("many arguments", filled(&arguments("{"), "\"a\":0,", "\"a\":0}}}"), 200),
        ("many elements", filled(&arguments("["), "[],", "0]}}"), 200),
        ("many parameters", filled(&format!("{START},"), "\"a\":0,", "\"a\":0}}"), 200),
        ("many members", filled("{", "\"a\":0,", "\"a\":0}"), 200),
        ("a long member name", filled("{\"", "x", "\":0}"), 200),
        ("a long member name with escapes", filled("{\"", "\\n", "\":0}"), 200),
        ("a long member name with one escape", filled("{\"", "x", "\":0}").replacen("xx", "\\n", 1), 200),
        ("a long method with escapes", filled("{\"method\":\"", "\\n", "\"}"), 200),
        ("a long name of a tool", filled(&START.replace("read_note\"", ""), "\\n", "\"}}"), 400),
        ("deep nesting", filled(&arguments(""), "[", ""), 400),
        ("a large batch", filled("[", "{},", "{}]"), 400),
        ("many strings", filled("[", "\"\\n\",", "0]"), 400),
        ("white space", filled("{}", " ", ""), 200),
    ]
}

#[tokio::test]
async fn tools_check_adds_little_memory_to_a_body_in_one_piece() {
    let site = Site::open().await;
    let token = site.login_for("notes:read").await.access;
    for (what, text, expected) in bodies() {
        assert!((LENGTH - 16..=LENGTH).contains(&text.len()), "{what}");
        let (used, status) = peak(&site, &token, Body::from(text));
        assert_eq!(status, expected, "{what}");
        assert!(used <= BESIDE, "{what}: {used} bytes");
    }
}

#[tokio::test]
async fn tools_check_takes_a_body_in_pieces_twice_at_most() {
    let site = Site::open().await;
    let token = site.login_for("notes:read").await.access;
    for (what, text, expected) in bodies() {
        for piece in [100, 16 * 1024] {
            // The pieces are parts of the text: the body as it comes is not counted, the copy that is kept of it is.
            let announced = Pieces { rest: text.clone().into(), piece, is_announced: true };
            let (used, status) = peak(&site, &token, Body::new(announced));
            assert_eq!(status, expected, "{what}");
            assert!(used <= text.len() + BESIDE, "{what}, announced: {used} bytes");
            let unannounced = Pieces { rest: text.clone().into(), piece, is_announced: false };
            let (used, status) = peak(&site, &token, Body::new(unannounced));
            assert_eq!(status, expected, "{what}");
            assert!(used <= 2 * text.len() + BLOCK + BESIDE, "{what}, not announced: {used} bytes");
        }
    }
}

#[tokio::test]
async fn tools_check_allocates_nothing_for_what_is_only_announced() {
    let site = Site::open().await;
    let token = site.login_for("notes:read").await.access;
    let endless = Pieces { rest: Bytes::from("{".repeat(LENGTH + 1)), piece: LENGTH + 1, is_announced: true };
    let (used, status) = peak(&site, &token, Body::new(endless));
    assert_eq!(status, 413);
    assert!(used <= BESIDE, "{used} bytes");
}

/// A body that comes in pieces of one text, and says how much is left of it or does not.
struct Pieces {
    rest: Bytes,
    piece: usize,
    is_announced: bool,
}

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let length = self.piece.min(self.rest.len());
        let piece = self.rest.split_to(length);
        Poll::Ready((length > 0).then(|| Ok(Frame::data(piece))))
    }

    fn size_hint(&self) -> SizeHint {
        if self.is_announced { SizeHint::with_exact(self.rest.len() as u64) } else { SizeHint::default() }
    }
}
