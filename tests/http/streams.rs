//! What stays open ends with the token that opened it.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Request, Response};
use futures_util::FutureExt;
use http_body_util::BodyExt;
use hyper::body::{Body as _, Frame};
use mcp_token_lifecycle::http::*;
use mcp_token_lifecycle::{AccessVerifier, Action, Clock, ErrorKind, HttpEndpoint, Reason, SystemClock};
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tower::{Layer, ServiceExt, service_fn};

use crate::drip::*;
use crate::site::*;
use crate::support::{Fault, Op, keyring};

/// A layer that is woken by `alarm`.
fn layer(site: &Site, alarm: &Alarm, live: bool) -> BearerLayer {
    let (layer, alarm) = (if live { site.server.bearer_live() } else { site.server.bearer() }, alarm.clone());
    layer.with_sleep(move |duration| alarm.sleep(duration))
}

/// How many seconds a token is good for.
fn lifetime(tokens: &Tokens) -> u64 {
    tokens.all["expires_in"].as_u64().unwrap() + 5
}

async fn revoke(site: &Site, tokens: &Tokens) {
    assert_eq!(site.post("/revoke", &[("client_id", CLIENT), ("token", &tokens.refresh)]).await.status, 200);
}

/// How often the store was read.
fn reads(site: &Site) -> usize {
    site.store.operations().into_iter().filter(|op| *op == Op::Get).count()
}

#[tokio::test]
async fn stream_ends_at_the_expiry_of_its_token() {
    let (site, alarm) = (Site::open().await, Alarm::default());
    let tokens = site.login().await;
    for live in [false, true] {
        let mut stream = Stream::open(&site, &layer(&site, &alarm, live), &tokens.access).await;
        assert_eq!((stream.through("one"), stream.read()), ("one".into(), "nothing".into()));
        assert!(!stream.body.is_end_stream() && stream.body.size_hint().exact().is_none());
    }
    let mut open = Vec::new();
    for live in [false, true] {
        open.push(Stream::open(&site, &layer(&site, &alarm, live), &tokens.access).await);
    }
    site.pass(lifetime(&tokens) - 1);
    for stream in &mut open {
        assert_eq!(stream.through("last"), "last");
    }
    site.pass(1);
    for stream in &mut open {
        assert_eq!((stream.through("too late"), stream.read()), ("end".into(), "end".into()));
        assert!(stream.tap.is_closed(), "what is behind it learns that no client listens");
        assert!(stream.body.is_end_stream() && stream.body.size_hint().exact() == Some(0));
    }
}

#[tokio::test]
async fn idle_stream_is_woken_and_ends_at_the_expiry() {
    let (site, alarm) = (Site::open().await, Alarm::default());
    let tokens = site.login().await;
    for live in [false, true] {
        let mut stream = Stream::open(&site, &layer(&site, &alarm, live), &tokens.access).await;
        assert_eq!(stream.read(), "nothing");
        let reading = tokio::spawn(async move { stream.body.frame().await.is_none() });
        tokio::task::yield_now().await;
        assert!(!reading.is_finished());
        if live {
            alarm.pass(&site.clock, lifetime(&tokens));
            assert!(reading.await.unwrap());
        } else {
            // Woken once a minute at the least, and not ended before its time.
            for _ in 0..lifetime(&tokens) / 60 - 1 {
                alarm.pass(&site.clock, 60);
                tokio::task::yield_now().await;
            }
            assert!(!reading.is_finished());
            alarm.pass(&site.clock, 120);
            assert!(reading.await.unwrap());
            site.clock.set(mcp_token_lifecycle::Timestamp::from_unix(crate::support::START));
        }
    }
}

#[tokio::test]
async fn revocation_ends_streams_at_the_next_look_or_the_expiry() {
    let (site, alarm) = (Site::open().await, Alarm::default());
    let tokens = site.login().await;
    let mut live = Stream::open(&site, &layer(&site, &alarm, true), &tokens.access).await;
    let mut offline = Stream::open(&site, &layer(&site, &alarm, false), &tokens.access).await;
    revoke(&site, &tokens).await;
    site.pass(59);
    assert_eq!((live.through("covered"), offline.through("covered")), ("covered".into(), "covered".into()));
    site.pass(1);
    assert_eq!((live.through("not any more"), offline.through("still")), ("end".into(), "still".into()));
    site.pass(lifetime(&tokens) - 61);
    assert_eq!(offline.through("last"), "last");
    site.pass(1);
    assert_eq!(offline.through("too late"), "end");
}

#[tokio::test]
async fn idle_stream_is_woken_and_ends_after_a_revocation() {
    let (site, alarm) = (Site::open().await, Alarm::default());
    let tokens = site.login().await;
    let mut stream = Stream::open(&site, &layer(&site, &alarm, true), &tokens.access).await;
    let reading = tokio::spawn(async move { stream.body.frame().await.is_none() });
    tokio::task::yield_now().await;
    revoke(&site, &tokens).await;
    alarm.pass(&site.clock, 60);
    assert!(reading.await.unwrap());
}

#[tokio::test]
async fn streams_of_one_family_share_one_read_an_interval() {
    let (site, alarm) = (Site::open().await, Alarm::default());
    let (tokens, others) = (site.login().await, site.login().await);
    site.store.operations();
    let (layer, twin) = (layer(&site, &alarm, true), layer(&site, &alarm, true));
    let mut streams = Vec::new();
    for n in 0..40 {
        streams.push(Stream::open(&site, if n % 2 == 0 { &layer } else { &twin }, &tokens.access).await);
    }
    let mut other = Stream::open(&site, &layer, &others.access).await;
    assert_eq!(reads(&site), 41, "one for each request");
    for minute in 1..=5 {
        site.pass(59);
        assert!(streams.iter_mut().all(|stream| stream.through("a") == "a"));
        assert_eq!(reads(&site), 0, "minute {minute}");
        site.pass(1);
        assert!(streams.iter_mut().all(|stream| stream.through("b") == "b"));
        assert_eq!(reads(&site), 1, "minute {minute}");
        assert_eq!(other.through("c"), "c");
        assert_eq!(reads(&site), 1, "another family has its own");
        // One that is opened meanwhile falls in with the others.
        site.pass(30);
        let late = Stream::open(&site, &layer, &tokens.access).await;
        assert_eq!(reads(&site), 1);
        streams.push(late);
        site.pass(30);
        assert!(streams.iter_mut().all(|stream| stream.through("d") == "d") && other.through("d") == "d");
        assert_eq!(reads(&site), 2);
    }
    revoke(&site, &tokens).await;
    site.pass(60);
    site.store.operations();
    assert!(streams.iter_mut().all(|stream| stream.through("e") == "end"));
    assert_eq!((reads(&site), other.through("e")), (1, "e".into()));
}

#[tokio::test]
async fn streams_that_wait_for_one_read_are_all_woken() {
    let alarm = Alarm::default();
    let site = Site::open().await;
    let tokens = site.login().await;
    let layer = layer(&site, &alarm, true);
    let (mut readers, mut taps) = (Vec::new(), Vec::new());
    for n in 0..20 {
        let Stream { tap, mut body } = Stream::open(&site, &layer, &tokens.access).await;
        // Some are dropped while they wait, the first of them included, which began the read.
        readers.push((n % 3 == 0, tokio::spawn(async move { body.frame().await.is_none() })));
        taps.push(tap);
    }
    tokio::task::yield_now().await;
    revoke(&site, &tokens).await;
    let gate = site.store.hold(Op::Get);
    site.store.operations();
    alarm.pass(&site.clock, 60);
    tokio::task::yield_now().await;
    assert_eq!(reads(&site), 1);
    for (dropped, reading) in &readers {
        if *dropped {
            reading.abort();
        }
    }
    tokio::task::yield_now().await;
    drop(gate);
    for (dropped, reading) in readers {
        assert_eq!(reading.await.ok(), (!dropped).then_some(true));
    }
    assert_eq!(reads(&site), 0, "no response read again");
}

#[tokio::test]
async fn outage_at_a_look_ends_no_stream_but_the_expiry_does() {
    let (site, alarm) = (Site::open().await, Alarm::default());
    let (tokens, revoked) = (site.login().await, site.login().await);
    let layer = layer(&site, &alarm, true);
    let mut stream = Stream::open(&site, &layer, &tokens.access).await;
    let mut other = Stream::open(&site, &layer, &revoked.access).await;
    site.store.fail_every(Op::Get, Fault::Unavailable);
    for _ in 0..3 {
        site.pass(60);
        assert_eq!(
            (stream.through("a"), stream.through("b"), other.through("c")),
            ("a".into(), "b".into(), "c".into())
        );
        assert_eq!(site.faults(), 2, "one for each family");
    }
    site.store.heal();
    revoke(&site, &revoked).await;
    site.pass(60);
    assert_eq!((stream.through("a"), other.through("c")), ("a".into(), "end".into()));
    site.store.fail_every(Op::Get, Fault::Unavailable);
    site.pass(lifetime(&tokens) - 4 * 60);
    assert_eq!(stream.through("too late"), "end");
}

#[tokio::test]
async fn store_that_never_answers_holds_a_stream_until_its_expiry() {
    let (site, alarm) = (Site::open().await, Alarm::default());
    let tokens = site.login().await;
    let mut stream = Stream::open(&site, &layer(&site, &alarm, true), &tokens.access).await;
    let _gate = site.store.hold(Op::Get);
    site.pass(60);
    assert_eq!(stream.through("held"), "nothing", "it is not known whether it is still live");
    let reading = tokio::spawn(async move { stream.body.frame().await.is_none() });
    tokio::task::yield_now().await;
    alarm.pass(&site.clock, lifetime(&tokens) - 60);
    assert!(reading.await.unwrap());
}

#[tokio::test]
async fn look_that_fails_is_repeated_after_5_seconds() {
    let (site, alarm) = (Site::open().await, Alarm::default());
    let tokens = site.login().await;
    let mut stream = Stream::open(&site, &layer(&site, &alarm, true), &tokens.access).await;
    site.store.fail_every(Op::Get, Fault::Unavailable);
    site.pass(60);
    assert_eq!(stream.through("a"), "a");
    site.store.heal();
    revoke(&site, &tokens).await;
    site.pass(4);
    assert_eq!(stream.through("b"), "b");
    site.pass(1);
    assert_eq!(stream.through("c"), "end");
}

/// The pause until the token's expiry, while the store is slow, is not the pause until the next look.
#[tokio::test]
async fn look_interval_holds_for_an_idle_stream_after_a_slow_look() {
    let (site, alarm) = (Site::open().await, Alarm::default());
    let tokens = site.login().await;
    let layer = layer(&site, &alarm, true).with_look_interval(Duration::from_secs(5)).unwrap();
    let mut stream = Stream::open(&site, &layer, &tokens.access).await;
    let reading = tokio::spawn(async move { stream.body.frame().await.is_none() });
    tokio::task::yield_now().await;
    let gate = site.store.hold(Op::Get);
    site.store.operations();
    alarm.pass(&site.clock, 5);
    tokio::task::yield_now().await;
    assert_eq!(reads(&site), 1);
    drop(gate);
    revoke(&site, &tokens).await;
    assert!(!reading.is_finished());
    alarm.pass(&site.clock, 5);
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert!(reading.is_finished());
}

/// A stream that opened after a read began is not judged by what that read has shown.
#[tokio::test]
async fn read_that_is_older_than_a_token_ends_no_stream_of_it() {
    let (site, alarm) = (Site::open().await, Alarm::default());
    let tokens = site.login().await;
    let often = |seconds| layer(&site, &alarm, true).with_look_interval(Duration::from_secs(seconds)).unwrap();
    let mut old = Stream::open(&site, &often(10), &tokens.access).await;
    site.pass(10);
    let late = site.store.hold_answers();
    assert_eq!(old.through("a"), "nothing", "the store has read and does not answer yet");
    site.store.hold_no_answers();
    site.pass(1);
    let newer = site.refresh(&tokens.refresh, &[]).await.tokens();
    let mut new = Stream::open(&site, &often(1), &newer.access).await;
    site.pass(1);
    assert_eq!(new.through("b"), "nothing");
    drop(late);
    tokio::task::yield_now().await;
    assert_eq!((old.read(), new.read()), ("a".into(), "b".into()));
}

#[tokio::test]
async fn look_interval_is_the_applications_within_its_bound() {
    let (site, alarm) = (Site::open().await, Alarm::default());
    let tokens = site.login().await;
    let often = layer(&site, &alarm, true).with_look_interval(Duration::from_secs(1)).unwrap();
    let seldom = layer(&site, &alarm, true).with_look_interval(Duration::from_secs(600)).unwrap();
    let mut often = Stream::open(&site, &often, &tokens.access).await;
    let mut seldom = Stream::open(&site, &seldom, &tokens.access).await;
    revoke(&site, &tokens).await;
    site.pass(1);
    assert_eq!((often.through("a"), seldom.through("a")), ("end".into(), "a".into()));
    site.pass(598);
    assert_eq!(seldom.through("b"), "b");
    site.pass(1);
    assert_eq!(seldom.through("c"), "end");
    let refused = site.server.bearer_live().with_look_interval(Duration::from_millis(999)).unwrap_err();
    assert_eq!(refused.to_string(), "the look interval must be at least 1s, got 999ms");
}

#[tokio::test]
async fn clock_that_is_set_ends_or_looks_again_and_no_more() {
    let (site, alarm) = (Site::open().await, Alarm::default());
    let tokens = site.login().await;
    let mut live = Stream::open(&site, &layer(&site, &alarm, true), &tokens.access).await;
    let mut offline = Stream::open(&site, &layer(&site, &alarm, false), &tokens.access).await;
    site.store.operations();
    // An hour back: nothing expires early, the live check is repeated at once.
    let now = site.clock.now().as_unix();
    site.clock.set(mcp_token_lifecycle::Timestamp::from_unix(now - 3_600));
    assert_eq!((live.through("a"), offline.through("a"), reads(&site)), ("a".into(), "a".into(), 1));
    // A clock so far behind the record can say nothing about the family.
    let skew = site.audit().pop().unwrap();
    assert_eq!((skew.action, skew.reason), (Action::Fault, Some(Reason::Fault(ErrorKind::ClockSkew))));
    assert_eq!((skew.endpoint, skew.client_id.as_deref()), (Some(HttpEndpoint::Resource), Some(CLIENT)));
    site.clock.set(mcp_token_lifecycle::Timestamp::from_unix(now));
    assert_eq!((live.through("b"), reads(&site)), ("b".into(), 1));
    // An hour ahead: an idle stream ends within a minute of the machine's own time.
    let reading = tokio::spawn(async move { offline.body.frame().await.is_none() });
    tokio::task::yield_now().await;
    site.clock.advance(Duration::from_secs(3_600));
    tokio::task::yield_now().await;
    assert!(!reading.is_finished());
    alarm.pass(&site.clock, 60);
    assert!(reading.await.unwrap());
    assert_eq!(live.through("c"), "end");
}

#[tokio::test]
async fn complete_answer_passes_whole_with_its_length() {
    let (site, alarm) = (Site::open().await, Alarm::default());
    let tokens = site.login().await;
    for live in [false, true] {
        let layer = layer(&site, &alarm, live);
        let clock = site.clock.clone();
        // The service takes longer than the token lives.
        let slow = layer.layer(service_fn(move |_: Request<Body>| {
            clock.advance(Duration::from_secs(3_600));
            async { Ok::<_, std::convert::Infallible>(Response::new(Body::from("done"))) }
        }));
        let request = site.request("POST", "/mcp").header("authorization", format!("Bearer {}", tokens.access));
        let body = slow.oneshot(request.body(Body::empty()).unwrap()).await.unwrap().into_body();
        assert_eq!((body.size_hint().exact(), body.is_end_stream()), (Some(4), false));
        assert_eq!(body.collect().await.unwrap().to_bytes(), "done");
        site.clock.set(mcp_token_lifecycle::Timestamp::from_unix(crate::support::START));
    }
    for path in ["/mcp", "/offline"] {
        let answer = site.call(path, &tokens.access).await;
        assert_eq!((answer.status, answer.header("content-length")), (200, &*answer.body.len().to_string()));
        assert_eq!(answer.header("transfer-encoding"), "");
    }
}

#[tokio::test]
async fn announced_length_stays_true_and_is_cut_off_at_the_expiry() {
    let (site, alarm) = (Site::open().await, Alarm::default());
    let tokens = site.login().await;
    let mut stream = Stream::open_with(&site, &layer(&site, &alarm, false), &tokens.access, Some(9)).await;
    assert_eq!(stream.body.size_hint().exact(), Some(9));
    assert_eq!((stream.through("abc"), stream.body.size_hint().exact()), ("abc".into(), Some(6)));
    assert_eq!((stream.through("def"), stream.body.is_end_stream()), ("def".into(), false));
    site.pass(lifetime(&tokens));
    assert_eq!(stream.through("ghi"), "end");
    // With a first frame that is held back while the store is asked.
    site.clock.set(mcp_token_lifecycle::Timestamp::from_unix(crate::support::START));
    let mut stream = Stream::open_with(&site, &layer(&site, &alarm, true), &tokens.access, Some(6)).await;
    let gate = site.store.hold(Op::Get);
    site.pass(60);
    assert_eq!(stream.through("abc"), "nothing");
    assert_eq!((stream.body.size_hint().exact(), stream.body.is_end_stream()), (Some(6), false));
    drop(gate);
    tokio::task::yield_now().await;
    assert_eq!((stream.read(), stream.through("def")), ("abc".into(), "def".into()));
    assert!(stream.body.is_end_stream());
}

#[tokio::test]
async fn trailers_pass_while_the_token_is_good() {
    let (site, alarm) = (Site::open().await, Alarm::default());
    let tokens = site.login().await;
    let trailers = || Frame::trailers(HeaderMap::from_iter([("x-sum".parse().unwrap(), "1".parse().unwrap())]));
    for (late, expected) in [(false, r#"{"x-sum": "1"}"#), (true, "end")] {
        let mut stream = Stream::open(&site, &layer(&site, &alarm, true), &tokens.access).await;
        assert_eq!(stream.through("a"), "a");
        if late {
            site.pass(lifetime(&tokens));
        }
        stream.tap.send(trailers()).unwrap();
        assert_eq!(stream.read(), expected);
    }
}

#[tokio::test]
async fn client_of_a_stream_sees_a_clean_end_and_then_401() {
    let (site, alarm) = (Site::open().await, Alarm::default());
    let tokens = site.login().await;
    let (tap, drip) = Drip::new(None);
    let drip = Arc::new(Mutex::new(Some(drip)));
    let service = layer(&site, &alarm, true).layer(service_fn(move |_: Request<Body>| {
        let drip = Arc::clone(&drip);
        async move { Ok::<_, std::convert::Infallible>(Response::new(Body::new(drip.lock().await.take().unwrap()))) }
    }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let router = Router::new().route_service("/mcp", service);
    tokio::spawn(async move { axum::serve(listener, router).await });
    let client = reqwest::Client::new();
    let mut response = client.get(&url).bearer_auth(&tokens.access).send().await.unwrap();
    tap.send(Frame::data(Bytes::from_static(b"data: 1\n\n"))).unwrap();
    assert_eq!(response.chunk().await.unwrap().unwrap(), "data: 1\n\n");
    alarm.pass(&site.clock, lifetime(&tokens));
    assert_eq!(response.chunk().await.unwrap(), None, "no error");
    let again = client.get(&url).bearer_auth(&tokens.access).send().await.unwrap();
    assert_eq!(again.status(), 401);
}

#[tokio::test]
async fn stream_without_timer_ends_at_next_frame_after_expiry() {
    let site = Site::open().await;
    let tokens = site.login().await;
    let mut stream = Stream::open(&site, &site.server.bearer(), &tokens.access).await;
    let clock = site.clock.clone();
    let expiry = lifetime(&tokens);
    std::thread::spawn(move || {
        // No runtime here.
        assert_eq!(stream.through("a"), "a");
        clock.advance(Duration::from_secs(expiry));
        assert_eq!(stream.through("b"), "end");
    })
    .join()
    .unwrap();
}

#[tokio::test]
async fn timer_of_tokio_wakes_an_idle_stream_by_default() {
    let site = Site::open().await;
    let tokens = site.login().await;
    site.pass(lifetime(&tokens) - 1);
    let mut stream = Stream::open(&site, &site.server.bearer(), &tokens.access).await;
    assert_eq!(stream.read(), "nothing");
    site.pass(1);
    let end = tokio::time::timeout(Duration::from_secs(60), stream.body.frame()).await;
    assert!(end.expect("it is woken").is_none());
}

#[tokio::test]
async fn layer_with_access_keys_alone_ends_streams_by_its_own_clock() {
    let site = Site::open().await;
    let tokens = site.login().await;
    let resource = ProtectedResource::new(&format!("{}/mcp", site.origin), "notes:read").unwrap();
    let layer = BearerLayer::offline(AccessVerifier::new(keyring().access_keys()), resource);
    let layer = layer.with_tls(TlsPolicy::Loopback);
    let mut stream = Stream::open(&site, &layer.with_clock(site.clock.clone()), &tokens.access).await;
    assert_eq!(stream.through("a"), "a");
    site.pass(lifetime(&tokens));
    assert_eq!(stream.through("b"), "end");
    assert!(SystemClock.now() > mcp_token_lifecycle::Timestamp::default());
}

#[tokio::test]
async fn message_that_takes_longer_than_its_token_reaches_no_tool() {
    let (site, alarm) = (Site::open().await, Alarm::default());
    let tokens = site.login_for("notes:read").await;
    let layer = layer(&site, &alarm, true);
    let tools = layer.tools([("delete_note", "notes:write")]).unwrap();
    let reached = Arc::new(Mutex::new(0));
    let (tap, drip) = Drip::new(None);
    let count = Arc::clone(&reached);
    let service = layer.layer(tools.layer(service_fn(move |_: Request<Body>| {
        let count = Arc::clone(&count);
        async move {
            *count.lock().await += 1;
            Ok::<_, std::convert::Infallible>(Response::new(Body::empty()))
        }
    })));
    let request = site.request("POST", "/mcp").header("authorization", format!("Bearer {}", tokens.access));
    let mut answer = Box::pin(service.oneshot(request.body(Body::new(drip)).unwrap()));
    tap.send(Frame::data(Bytes::from_static(br#"{"method":"tools/call","#))).unwrap();
    assert!((&mut answer).now_or_never().is_none());
    site.pass(lifetime(&tokens));
    tap.send(Frame::data(Bytes::from_static(br#""params":{"name":"read_note"}}"#))).unwrap();
    drop(tap);
    assert_eq!((answer.await.unwrap().status(), *reached.lock().await), (401.try_into().unwrap(), 0));
}
