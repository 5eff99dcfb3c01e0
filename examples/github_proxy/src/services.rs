//! The two simulated services. Each is an HTTP server that records all requests. GitHub uses tokens that expire and rotate;
//! the ticket system uses keys that do not change.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use tokio::net::TcpListener;

use super::clock::AdjustableClock;
use super::github::GitHub;
use super::setup::Result;
use super::tracker::Tracker;

pub struct Services {
    pub github: Arc<GitHub>,
    pub github_url: String,
    pub tracker: Arc<Tracker>,
    pub tracker_url: String,
    requests: Requests,
}

impl Services {
    pub async fn start(clock: AdjustableClock) -> Result<Self> {
        let (github, tracker, requests) = (GitHub::new(clock), Arc::<Tracker>::default(), Requests::default());
        let github_url = start(github.clone().router(), &requests).await?;
        let tracker_url = start(tracker.clone().router(), &requests).await?;
        Ok(Self { github, github_url, tracker, tracker_url, requests })
    }

    /// All requests so far, each with method, path, headers and body.
    pub fn requests(&self) -> Vec<String> {
        lock(&self.requests).clone()
    }

    /// The number of requests that begin with `begin`.
    pub fn count(&self, begin: &str) -> usize {
        self.requests().iter().filter(|request| request.starts_with(begin)).count()
    }

    /// All secrets of the services, which only the MCP server may see.
    pub fn secrets(&self) -> Vec<String> {
        [self.github.secrets(), self.tracker.keys()].concat()
    }
}

type Requests = Arc<Mutex<Vec<String>>>;

async fn start(router: Router, requests: &Requests) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let router = router.layer(from_fn_with_state(requests.clone(), record));
    tokio::spawn(async { axum::serve(listener, router).await });
    Ok(url)
}

async fn record(State(requests): State<Requests>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, 65_536).await else { return StatusCode::PAYLOAD_TOO_LARGE.into_response() };
    let mut text = format!("{} {}\n", parts.method, parts.uri);
    for (name, value) in &parts.headers {
        text += &format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes()));
    }
    text += &String::from_utf8_lossy(&body);
    lock(&requests).push(text);
    next.run(Request::from_parts(parts, body.into())).await
}

/// Returns a new random secret.
pub fn secret(prefix: &str) -> String {
    let mut bytes = [0; 20];
    getrandom::fill(&mut bytes).expect("the operating system has random bytes");
    format!("{prefix}_{}", BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
