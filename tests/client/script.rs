//! An authorization server that answers as it was told, and credentials that use it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mcp_token_lifecycle::BoxFuture;
use mcp_token_lifecycle::client::{CredentialStorage, FileStorage, StorageLock, TokenManager};
use mcp_token_lifecycle::vault::{
    Credential, CredentialStatus, Refreshed, Revocation, Runtime, SecretText, TokenSet, UpstreamError, UpstreamProvider,
};
use tempfile::TempDir;
use tokio::sync::Semaphore;

use super::support::*;

pub const HOUR: Duration = seconds(3600);
/// How long a caller with a valid token waits for a refresh; no pause is as long.
const PATIENCE: Duration = seconds(15);

type Answers<T> = Mutex<VecDeque<Result<T, UpstreamError>>>;

/// Answers in order, and what was asked.
#[derive(Clone)]
pub struct Script {
    refreshes: Arc<Answers<Refreshed>>,
    revocations: Arc<Answers<Revocation>>,
    presented: Arc<Mutex<Vec<String>>>,
    revoked: Arc<Mutex<Vec<String>>>,
    gate: Arc<Semaphore>,
    clock: TestClock,
    takes: Duration,
}

impl Script {
    pub fn new(refreshes: impl IntoIterator<Item = Result<Refreshed, UpstreamError>>) -> Self {
        Self {
            refreshes: Arc::new(Mutex::new(refreshes.into_iter().collect())),
            revocations: Arc::default(),
            presented: Arc::default(),
            revoked: Arc::default(),
            gate: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)),
            clock: TestClock::default(),
            takes: Duration::ZERO,
        }
    }

    /// No refresh is answered before [`open`](Self::open).
    pub fn gated(self) -> Self {
        Self { gate: Arc::new(Semaphore::new(0)), ..self }
    }

    /// Each answer to a refresh takes so long.
    pub fn taking(self, takes: Duration) -> Self {
        Self { takes, ..self }
    }

    pub fn open(&self) {
        self.gate.add_permits(1000);
    }

    pub fn on_revoke(&self, answer: Result<Revocation, UpstreamError>) {
        self.revocations.lock().unwrap().push_back(answer);
    }

    /// The refresh tokens that were presented.
    pub fn presented(&self) -> Vec<String> {
        self.presented.lock().unwrap().clone()
    }

    /// The refresh tokens that were revoked.
    pub fn revoked(&self) -> Vec<String> {
        self.revoked.lock().unwrap().clone()
    }

    pub async fn asked(&self) {
        while self.presented().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

fn refresh_token(tokens: &TokenSet) -> String {
    tokens.refresh_token.as_ref().unwrap().expose().to_owned()
}

impl UpstreamProvider for Script {
    fn refresh<'a>(&'a self, tokens: &'a TokenSet) -> BoxFuture<'a, Result<Refreshed, UpstreamError>> {
        Box::pin(async move {
            self.presented.lock().unwrap().push(refresh_token(tokens));
            self.gate.acquire().await.unwrap().forget();
            self.clock.advance(self.takes);
            self.refreshes.lock().unwrap().pop_front().expect("one refresh less")
        })
    }

    fn revoke<'a>(&'a self, credential: &'a Credential) -> BoxFuture<'a, Result<Revocation, UpstreamError>> {
        Box::pin(async move {
            let Credential::OAuth(tokens) = credential else { panic!("no tokens") };
            self.revoked.lock().unwrap().push(refresh_token(tokens));
            self.revocations.lock().unwrap().pop_front().expect("one revocation less")
        })
    }

    fn introspect<'a>(&'a self, _: &'a Credential) -> BoxFuture<'a, Result<CredentialStatus, UpstreamError>> {
        Box::pin(async { Ok(CredentialStatus::Unknown) })
    }
}

/// `access-n` and `refresh-n`, for an hour.
pub fn successor(n: u32) -> Result<Refreshed, UpstreamError> {
    let refreshed = Refreshed::new(SecretText::new(format!("access-{n}"))).expires_in(HOUR);
    Ok(refreshed.refresh_token(SecretText::new(format!("refresh-{n}"))))
}

/// A file of its own, a clock to turn, and pauses that are noted down rather than waited for. Who waits for a refresh has
/// endless patience, until it [loses it](Self::lose_patience).
pub struct Lab {
    pub folder: TempDir,
    pub clock: TestClock,
    pub script: Script,
    pub pauses: Arc<Mutex<Vec<Duration>>>,
    impatience: Arc<Semaphore>,
}

impl Lab {
    pub fn new(script: Script) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let impatience = Arc::new(Semaphore::new(0));
        Self { folder, clock: script.clock.clone(), script, pauses: Arc::default(), impatience }
    }

    pub fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("credentials")
    }

    pub fn file(&self) -> FileStorage {
        FileStorage::open(self.path()).unwrap()
    }

    /// Credentials in the file, as another process would open them too.
    pub fn credentials(&self) -> TokenManager {
        self.credentials_in(self.file())
    }

    pub fn credentials_in(&self, storage: impl CredentialStorage + 'static) -> TokenManager {
        let (pauses, impatience) = (self.pauses.clone(), self.impatience.clone());
        let sleep = move |time| {
            let patience = (time >= PATIENCE).then(|| impatience.clone());
            if patience.is_none() {
                pauses.lock().unwrap().push(time);
            }
            async move {
                match patience {
                    Some(impatience) => impatience.acquire().await.unwrap().forget(),
                    None => tokio::time::sleep(Duration::from_millis(1)).await,
                }
            }
        };
        let runtime = Runtime::new(sleep, |task| drop(tokio::spawn(task)));
        TokenManager::new(storage, self.script.clone(), runtime).with_clock(self.clock.clone())
    }

    /// `access-0` and `refresh-0`, for an hour.
    pub async fn log_in(&self, credentials: &TokenManager) {
        let now = mcp_token_lifecycle::Clock::now(&self.clock);
        let tokens = TokenSet::new(SecretText::new("access-0"), scope("mcp:read"));
        let tokens = tokens.refresh_token(SecretText::new("refresh-0")).expires_at(now.saturating_add(HOUR));
        credentials.store(tokens).await.unwrap();
    }

    /// A caller who has logged in so many seconds ago, and whose refresh the gated script has been asked for.
    pub async fn refreshing_after(&self, seconds: u64) -> tokio::task::JoinHandle<String> {
        let credentials = self.credentials();
        self.log_in(&credentials).await;
        self.pass(seconds);
        loop {
            let again = credentials.clone();
            let caller = tokio::spawn(async move { token(&again).await });
            while !caller.is_finished() && self.script.presented().is_empty() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            // A process that another test is just starting has a copy of the lock for a moment: who refreshes ahead lets it be.
            if !self.script.presented().is_empty() {
                return caller;
            }
        }
    }

    /// One caller has waited for a refresh for long enough.
    pub fn lose_patience(&self) {
        self.impatience.add_permits(1);
    }

    pub fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

pub async fn token(credentials: &TokenManager) -> String {
    credentials.access_token().await.unwrap().expose().to_owned()
}

/// The lock, which no other process has. A process that is just being started from this one has a copy of it for a moment, though.
pub fn lock_of(storage: &FileStorage) -> StorageLock {
    let begun = Instant::now();
    loop {
        if let Some(lock) = storage.try_lock().unwrap() {
            return lock;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "another process has the lock");
        std::thread::sleep(Duration::from_millis(1));
    }
}
