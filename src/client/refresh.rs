//! One refresh for all processes: lock, read again, refresh, store, and then serve.

use super::TokenManager;
use super::decision::{Act, POLICY};
use super::error::{StorageError, TokenManagerError, still_busy};
use super::storage::{CredentialStorage, StorageLock};
use super::stored::{Held, Stored};
use crate::time::Timestamp;
use crate::vault::patience::Patience;
use crate::vault::{Refreshed, SecretText, UpstreamError};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use futures_channel::oneshot;

/// The pauses before a lost answer is requested again, and before a failed write is repeated.
const AGAIN: [Duration; 3] = [Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];

/// The latest time for another request after the first one. A server with a reuse leeway (30 seconds in this crate's
/// standard policy) takes a later one for theft. A first request may run into a time limit of 20 seconds.
const LATEST: Duration = Duration::from_secs(25);

/// Takes the lock, unless another process holds it or has written since `seen` was read. Then writes `asked`, so that a
/// full disk is detected before the refresh token is spent.
fn claim(storage: &dyn CredentialStorage, seen: &[u8], asked: &[u8]) -> Result<Option<StorageLock>, StorageError> {
    let Some(lock) = storage.try_lock()? else { return Ok(None) };
    if storage.read()?.is_none_or(|content| *content != seen) {
        return Ok(None);
    }
    storage.write(asked)?;
    Ok(Some(lock))
}

/// Waits for longer than a refresh takes.
fn patience() -> Patience {
    Patience::new(Duration::from_secs(60), Duration::from_millis(250))
}

impl TokenManager {
    /// Returns an access token other than `refused`, after a refresh if necessary.
    pub(super) async fn serve(&self, refused: Option<&SecretText>) -> Result<SecretText, TokenManagerError> {
        let mut patience = patience();
        loop {
            let content = self.on_thread(|storage| storage.read()).await?;
            let content = content.ok_or(TokenManagerError::NoCredentials)?;
            let Stored::Held(held) = self.decode(&content)? else {
                return Err(TokenManagerError::NeedsAuthorization);
            };
            let longest = match held.act(self.clock.now(), refused) {
                Act::Serve => return Ok(held.tokens.access_token),
                Act::RefreshAhead => Some(POLICY.patience),
                Act::Refresh => None,
                Act::HoldOff(wait) => return Err(TokenManagerError::unavailable(wait, None)),
                Act::Authorize => return Err(TokenManagerError::NeedsAuthorization),
            };
            let (spare, asked) = (held.copy(), Stored::Held(held.asked()).encode()?);
            let failure = match self.on_thread(move |storage| claim(storage, &content, &asked)).await {
                Ok(Some(lock)) => match self.run_to_completion(held, lock, longest).await {
                    Some(Err(failure @ TokenManagerError::Unavailable { .. })) => Some(failure),
                    Some(outcome) => return outcome,
                    None => None,
                },
                Ok(None) => None,
                Err(fault) => Some(fault.into()),
            };
            // The stored token may have expired in the meantime.
            match (spare.act(self.clock.now(), refused), failure) {
                (Act::Serve | Act::RefreshAhead, _) => return Ok(spare.tokens.access_token),
                (_, Some(failure)) => return Err(failure),
                (_, None) if patience.pause(&self.runtime).await => {}
                (_, None) => return Err(still_busy()),
            }
        }
    }

    /// Refreshes in the background, because the server may rotate the refresh token even if the caller is gone. `None`
    /// if it takes longer than `longest`.
    async fn run_to_completion(
        &self,
        held: Held,
        lock: StorageLock,
        longest: Option<Duration>,
    ) -> Option<Result<SecretText, TokenManagerError>> {
        let this = self.clone();
        let receiver = self.runtime.in_background(async move { this.refresh(held, Arc::new(lock)).await });
        let outcome = match longest {
            Some(longest) => self.runtime.within(longest, receiver).await?,
            None => receiver.await,
        };
        // The runtime is shutting down, or the provider has panicked.
        Some(outcome.unwrap_or_else(|_| Err(still_busy())))
    }

    /// Refreshes `held` under `lock`, stores the result, and returns the access token.
    pub(super) async fn refresh(
        &self,
        mut held: Held,
        lock: Arc<StorageLock>,
    ) -> Result<SecretText, TokenManagerError> {
        let asked_at = self.clock.now();
        let answer = self.ask(&mut held, asked_at).await;
        let (stored, outcome) = match answer {
            Ok(new) if new.access_token.is_none() => {
                let error = UpstreamError::configuration("unusable_token");
                let (held, wait) = held.rotated(new, asked_at).failed(&error, self.clock.now());
                // The new refresh token must not be lost, so a failure to store it is the result.
                self.keep(&Stored::Held(held), lock).await?;
                return Err(TokenManagerError::unavailable(wait, Some(error)));
            }
            Ok(new) => {
                let held = held.refreshed(new, asked_at);
                let access_token = held.tokens.access_token.copy();
                (Stored::Held(held), Ok(access_token))
            }
            Err(UpstreamError::InvalidGrant) => {
                let ended = Stored::Ended { answer_lost: held.answer_lost };
                (ended, Err(TokenManagerError::NeedsAuthorization))
            }
            Err(error) => {
                let now = self.clock.now();
                let (held, wait) = held.failed(&error, now);
                let failure = match held.act(now, None) {
                    Act::Authorize => TokenManagerError::NeedsAuthorization,
                    _ => TokenManagerError::unavailable(wait, Some(error)),
                };
                (Stored::Held(held), Err(failure))
            }
        };
        match (self.keep(&stored, lock).await, outcome) {
            (Err(fault), Ok(_)) => Err(fault.into()),
            // A failed refresh is reported even if it could not be recorded.
            (_, outcome) => outcome,
        }
    }

    /// Requests new tokens. If the answer is lost, requests again with the same refresh token, which a server with a
    /// reuse leeway answers with the same successor.
    async fn ask(&self, held: &mut Held, asked_at: Timestamp) -> Result<Refreshed, UpstreamError> {
        let mut again = AGAIN.into_iter();
        loop {
            let answer = self.provider.refresh(&held.tokens).await;
            let is_lost = matches!(answer, Err(UpstreamError::Uncertain(_)));
            held.answer_lost |= is_lost;
            match again.next() {
                Some(pause) if is_lost && self.clock.now().since(asked_at) + pause <= LATEST => {
                    self.runtime.sleep(pause).await;
                }
                _ => return answer,
            }
        }
    }

    /// Writes `stored`, and releases the lock after that, even if the caller is dropped.
    pub(super) async fn keep(&self, stored: &Stored, lock: Arc<StorageLock>) -> Result<(), StorageError> {
        let kept = Arc::new((stored.encode()?, lock));
        let mut again = AGAIN.into_iter();
        loop {
            let kept = kept.clone();
            match (self.on_thread(move |storage| storage.write(&kept.0)).await, again.next()) {
                (Err(_), Some(pause)) => self.runtime.sleep(pause).await,
                (written, _) => return written,
            }
        }
    }

    /// Decodes stored content.
    pub(super) fn decode(&self, content: &[u8]) -> Result<Stored, StorageError> {
        Stored::decode(content).map_err(|error| error.at(self.storage.path()))
    }

    /// Waits for the lock.
    pub(super) async fn lock(&self) -> Result<StorageLock, TokenManagerError> {
        let mut patience = patience();
        loop {
            match self.on_thread(|storage| storage.try_lock()).await? {
                Some(lock) => return Ok(lock),
                None if patience.pause(&self.runtime).await => {}
                None => return Err(still_busy()),
            }
        }
    }

    /// Runs `act` on a thread of its own, because storage blocks.
    pub(super) async fn on_thread<T: Send + 'static>(
        &self,
        act: impl FnOnce(&dyn CredentialStorage) -> Result<T, StorageError> + Send + 'static,
    ) -> Result<T, StorageError> {
        let (sender, receiver) = oneshot::channel();
        let storage = self.storage.clone();
        let run = move || drop(sender.send(act(&*storage)));
        let thread = thread::Builder::new().name("token-manager".into());
        thread.spawn(run).map_err(StorageError::other)?;
        receiver.await.unwrap_or_else(|_| Err(StorageError::other("the storage panicked")))
    }
}
