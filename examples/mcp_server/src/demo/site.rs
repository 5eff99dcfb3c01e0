//! The server of the demonstration. It uses a temporary folder and a clock that the demonstration advances.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mcp_token_lifecycle::audit_from_fn;
use mcp_token_lifecycle::clock_from_fn;
use mcp_token_lifecycle::{Action, AuditEvent, Clock, Reason, RedbStore, SystemClock, Timestamp, TokenIssuer};
use reqwest::StatusCode;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::server::{Result, Server, keyring};

pub struct Site {
    pub url: String,
    folder: TempDir,
    clock: Arc<AtomicU64>,
    audit: Arc<Mutex<Vec<AuditEvent>>>,
    server: Server,
}

impl Site {
    pub async fn open() -> Result<Self> {
        let (folder, audit) = (tempfile::tempdir()?, Arc::default());
        let clock = Arc::new(AtomicU64::new(SystemClock.now().as_unix()));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let server = start(listener, &folder, &clock, &audit)?;
        Ok(Self { url, folder, clock, audit, server })
    }

    pub async fn restart(self) -> Result<Self> {
        let Self { url, folder, clock, audit, server } = self;
        server.stop().await?;
        let listener = TcpListener::bind(url.trim_start_matches("http://")).await?;
        let server = start(listener, &folder, &clock, &audit)?;
        Ok(Self { url, folder, clock, audit, server })
    }

    pub async fn close(self) -> Result<()> {
        self.server.stop().await
    }

    pub fn mcp(&self) -> String {
        format!("{}/mcp", self.url)
    }

    /// Advances the clock.
    pub fn pass(&self, seconds: u64) {
        self.clock.fetch_add(seconds, Ordering::SeqCst);
    }

    /// The number of audit events with this action.
    pub fn count(&self, action: Action) -> usize {
        lock(&self.audit).iter().filter(|event| event.action == action).count()
    }

    /// The action and the reason of the last audit event.
    pub fn last(&self) -> Option<(Action, Option<Reason>)> {
        lock(&self.audit).last().map(|event| (event.action, event.reason))
    }

    /// Presents a refresh token and returns the status, and the error if there is one.
    pub async fn refresh(&self, client_id: &str, refresh_token: &str) -> Result<(StatusCode, String)> {
        let form = [("grant_type", "refresh_token"), ("client_id", client_id), ("refresh_token", refresh_token)];
        let response = reqwest::Client::new().post(format!("{}/token", self.url)).form(&form).send().await?;
        let (status, body) = (response.status(), response.json::<Value>().await?);
        Ok((status, body["error"].as_str().unwrap_or_default().to_owned()))
    }
}

fn start(
    listener: TcpListener,
    folder: &TempDir,
    clock: &Arc<AtomicU64>,
    audit: &Arc<Mutex<Vec<AuditEvent>>>,
) -> Result<Server> {
    let (clock, audit) = (Arc::clone(clock), Arc::clone(audit));
    let store = RedbStore::open(folder.path().join("tokens.redb"))?;
    let issuer = TokenIssuer::new(store, keyring(&folder.path().join("keys"))?)
        .with_clock(clock_from_fn(move || Timestamp::from_unix(clock.load(Ordering::SeqCst))))
        .with_audit(audit_from_fn(move |event: &AuditEvent| lock(&audit).push(event.clone())));
    Server::start(listener, issuer)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
