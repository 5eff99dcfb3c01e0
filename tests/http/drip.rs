//! A body that moves when the test says so, and a timer that goes off when the test turns the clock.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{Request, Response};
use futures_util::FutureExt;
use http_body_util::BodyExt;
use hyper::body::{Frame, SizeHint};
use mcp_token_lifecycle::http::*;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tower::{Layer, ServiceExt, service_fn};

use crate::site::Site;
use crate::support::TestClock;

/// A timer that runs on time of its own, as the monotonic clock of a machine does.
#[derive(Clone, Default)]
pub struct Alarm(Arc<Mutex<Time>>);

/// The time that has passed, and who waits until when.
type Time = (Duration, Vec<(Duration, Waker)>);

impl Alarm {
    pub fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send + use<> {
        let (alarm, mut until) = (self.clone(), None);
        poll_fn(move |cx| {
            let mut state = alarm.0.lock().unwrap();
            let until = *until.get_or_insert(state.0 + duration);
            if state.0 >= until {
                return Poll::Ready(());
            }
            state.1.push((until, cx.waker().clone()));
            Poll::Pending
        })
    }

    /// Let time pass, on the wall clock too, and wake those whose time has come.
    pub fn pass(&self, clock: &TestClock, seconds: u64) {
        clock.advance(Duration::from_secs(seconds));
        let wakers: Vec<_> = {
            let mut state = self.0.lock().unwrap();
            state.0 += Duration::from_secs(seconds);
            let now = state.0;
            state.1.extract_if(.., |(until, _)| *until <= now).collect()
        };
        wakers.into_iter().for_each(|(_, waker)| waker.wake());
    }
}

/// A body of the frames that come through a channel.
pub struct Drip {
    frames: UnboundedReceiver<Frame<Bytes>>,
    length: Option<u64>,
}

pub type Tap = UnboundedSender<Frame<Bytes>>;

impl Drip {
    pub fn new(length: Option<u64>) -> (Tap, Self) {
        let (tap, frames) = unbounded_channel();
        (tap, Self { frames, length })
    }
}

impl hyper::body::Body for Drip {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let frame = self.frames.poll_recv(cx);
        if let (Poll::Ready(Some(frame)), Some(length)) = (&frame, &mut self.length) {
            *length -= frame.data_ref().map_or(0, |data| data.len() as u64);
        }
        frame.map(|frame| frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.length == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// A response that is open, and what feeds it.
pub struct Stream {
    pub tap: Tap,
    pub body: ProtectedBody<Drip>,
}

impl Stream {
    /// Open a stream behind `layer`.
    pub async fn open(site: &Site, layer: &BearerLayer, token: &str) -> Self {
        Self::open_with(site, layer, token, None).await
    }

    /// Of a length that is announced.
    pub async fn open_with(site: &Site, layer: &BearerLayer, token: &str, length: Option<u64>) -> Self {
        let (tap, body) = Drip::new(length);
        let body = Arc::new(Mutex::new(Some(body)));
        let service = layer.layer(service_fn(move |_: Request<Body>| {
            let body = body.lock().unwrap().take().unwrap();
            async { Ok::<_, Infallible>(Response::new(body)) }
        }));
        let request = site.request("GET", "/mcp").header("authorization", format!("Bearer {token}"));
        let response = service.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), 200);
        Self { tap, body: response.into_body() }
    }

    pub fn feed(&self, text: &'static str) {
        let _gone = self.tap.send(Frame::data(Bytes::from_static(text.as_bytes())));
    }

    /// What the client reads without waiting: the text of a frame, "end", or "nothing".
    pub fn read(&mut self) -> String {
        // Not within the budget of one task: a test reads many streams in one go.
        match tokio::task::unconstrained(self.body.frame()).now_or_never() {
            None => "nothing".into(),
            Some(None) => "end".into(),
            Some(Some(frame)) => match frame.unwrap().into_data() {
                Ok(data) => String::from_utf8(data.to_vec()).unwrap(),
                Err(frame) => format!("{:?}", frame.trailers_ref().unwrap()),
            },
        }
    }

    /// What comes out of it when `text` is fed.
    pub fn through(&mut self, text: &'static str) -> String {
        self.feed(text);
        self.read()
    }
}
