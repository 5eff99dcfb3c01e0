//! This crate's issuer behind HTTP as the authorization server, with a clock that its clients can read in a file.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use axum::extract::{Form, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use mcp_token_lifecycle::client::{FileStorage, TokenManager};
use mcp_token_lifecycle::vault::{Runtime, SecretText, TokenSet};
use mcp_token_lifecycle::{
    Action, Answer, Clock, ErrorResponse, Expectation, MemoryStore, RefreshRequest, RotationPolicy,
};
use mcp_token_lifecycle::{Timestamp, clock_from_fn};
use tempfile::TempDir;
use tokio::net::TcpListener;

use super::support::*;
use super::wire::Wire;

pub static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| tokio::runtime::Runtime::new().unwrap());

pub struct Server {
    bench: Arc<Bench<MemoryStore>>,
    pub url: String,
    pub folder: TempDir,
}

impl Server {
    pub fn start() -> Self {
        let bench = Arc::new(bench(RotationPolicy::standard()));
        let routes =
            Router::new().route("/token", post(token)).route("/revoke", post(revoke)).with_state(bench.clone());
        let listener = RUNTIME.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        RUNTIME.spawn(async move { axum::serve(listener, routes).await });
        let server = Self { bench, url, folder: tempfile::tempdir().unwrap() };
        server.pass(0);
        RUNTIME.block_on(server.credentials().store(server.log_in())).unwrap();
        server
    }

    fn log_in(&self) -> TokenSet {
        let tokens = self.bench.begin(grant());
        let access_token = SecretText::new(tokens.access_token.expose());
        let refresh_token = SecretText::new(tokens.refresh_token.expose());
        let expires_at = self.bench.clock.now().saturating_add(seconds(tokens.expires_in));
        TokenSet::new(access_token, scope("mcp:read mcp:write")).refresh_token(refresh_token).expires_at(expires_at)
    }

    /// The login, as every process has it.
    pub fn credentials(&self) -> TokenManager {
        let storage = FileStorage::open(self.folder.path().join("credentials")).unwrap();
        let runtime = Runtime::new(tokio::time::sleep, |task| drop(tokio::spawn(task)));
        let clock = clock(self.folder.path());
        TokenManager::new(storage, Wire::new(&self.url), runtime).with_clock(clock)
    }

    pub fn pass(&self, seconds: u64) {
        self.bench.pass(seconds);
        let (next, now) = (self.folder.path().join("next"), self.bench.clock.now().as_unix());
        fs::write(&next, now.to_string()).unwrap();
        fs::rename(&next, self.folder.path().join("clock")).unwrap();
    }

    /// How often `action` was reported.
    pub fn count(&self, action: Action) -> usize {
        self.bench.audit.events().iter().filter(|event| event.action == action).count()
    }

    pub fn count_reuse(&self) -> usize {
        self.bench.audit.events().iter().filter(|event| matches!(event.action, Action::Reuse(_))).count()
    }

    #[track_caller]
    pub fn assert_accepts(&self, access_token: &str) {
        let here = resource();
        let verifier = self.bench.issuer.verifier();
        let verified = verifier.verify(access_token, &Expectation::resource(&here), self.bench.clock.now());
        assert!(verified.is_ok(), "{:?} for {access_token}", verified.err());
    }
}

/// The clock that a server's folder holds.
pub fn clock(folder: &Path) -> impl Clock + 'static {
    let path: PathBuf = folder.join("clock");
    clock_from_fn(move || Timestamp::from_unix(fs::read_to_string(&path).unwrap().parse().unwrap()))
}

type Fields = Form<Vec<(String, String)>>;

fn field<'a>(fields: &'a Fields, name: &str) -> &'a str {
    fields.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value)
}

async fn token(State(bench): State<Arc<Bench<MemoryStore>>>, fields: Fields) -> Response {
    match bench.issuer.refresh(&RefreshRequest::new(&client(), field(&fields, "refresh_token"))).await {
        Ok(Answer::Issue(tokens)) => Json(tokens).into_response(),
        Ok(Answer::Deny(refusal)) => (StatusCode::BAD_REQUEST, Json(refusal)).into_response(),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, Json(ErrorResponse::unavailable())).into_response(),
    }
}

async fn revoke(State(bench): State<Arc<Bench<MemoryStore>>>, fields: Fields) -> StatusCode {
    match bench.issuer.revoke(&client(), field(&fields, "token"), None).await {
        Ok(()) => StatusCode::OK,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}
