//! The other side: the tokens that a program holds as a client, kept by itself and shared by all its processes.
//!
//! | file | concept |
//! |---|---|
//! | `storage` | what a storage must do; `file` and `os` are two |
//! | `private`, `lock_file` | files that are their owner's alone, and a lock on one |
//! | `sealed` | a storage around another, which gets to see sealed bytes only |
//! | `stored` | the state of a login, and how it is written down |
//! | `decision` | serve, refresh, hold off: the pure functions |
//! | `refresh` | one refresh for all processes |
//! | `logout` | revoke, then delete |

mod decision;
mod error;
mod file;
mod lock_file;
mod logout;
#[cfg(feature = "os-keyring")]
mod os;
mod private;
mod refresh;
mod sealed;
mod storage;
mod stored;

use std::fmt;
use std::sync::Arc;

use self::error::still_busy;
pub use self::error::{StorageError, TokenManagerError};
pub use self::file::FileStorage;
#[cfg(feature = "os-keyring")]
pub use self::os::OsStorage;
use self::sealed::Sealed;
pub use self::storage::{CredentialStorage, StorageLock};
use self::stored::{Held, Stored};
use crate::keys::Keyring;
use crate::time::{Clock, SystemClock};
use crate::vault::{Runtime, SecretText, TokenSet, UpstreamProvider};

/// The login of a program that is itself an OAuth client, such as an MCP client: kept across restarts, refreshed ahead of
/// expiry, by one of the processes that share it.
///
/// ```no_run
/// # use mcp_token_lifecycle::vault::*;
/// # async fn example(provider: impl UpstreamProvider + 'static, tokens: TokenSet) -> Result<(), Box<dyn std::error::Error>> {
/// let runtime = Runtime::new(tokio::time::sleep, |task| drop(tokio::spawn(task)));
/// let storage = FileStorage::open("/home/alice/.config/my-client/credentials")?;
/// let credentials = TokenManager::new(storage, provider, runtime);
///
/// credentials.store(tokens).await?;   // after the login
/// match credentials.access_token().await {
///     Ok(token) => { /* Authorization: Bearer … */ }
///     Err(TokenManagerError::NoCredentials | TokenManagerError::NeedsAuthorization) => { /* to the login */ }
///     Err(error) => return Err(error.into()),   // nothing is lost; try again later
/// }
/// # Ok(()) }
/// ```
///
/// # When it refreshes
///
/// At 80 % of the lifetime of the access token, or up to 5 % sooner. From then on one caller refreshes and waits for it, 15
/// seconds at most, and the others, in whichever process, are served the token that is still valid. In its last 5 seconds (or
/// the last tenth of a shorter lifetime) they all wait for the one, about a minute at most. Every call reads the storage, so
/// what one process has stored all others use.
///
/// # What it survives
///
/// * Two processes at once: who refreshes holds the storage's lock and has read again what is stored.
/// * A process that is killed at any point: the lock is free, and what is stored is whole, old or new. If it is the old, the
///   server may have rotated; the next call presents the old refresh token again, and a server with a leeway (RFC 9700 §4.14.2
///   allows for one; [`RotationPolicy`](crate::RotationPolicy)) answers with the same successor. That call must come within
///   the leeway. Against a server without one the user has to log in again.
/// * An answer that is lost: the same, by itself, up to three times, none of them later than 25 seconds after the first request.
///   With a time limit of 20 seconds, which a server that never answers uses up, that is once.
/// * A call that is dropped: the refresh goes on in the background and is stored.
/// * A server that is down: the valid token is served, then [`Unavailable`](TokenManagerError::Unavailable); nothing is
///   deleted. How often it has failed is stored too, so that all processes hold off together: for a second, doubled with every
///   failure up to 5 minutes, or for as long as the server asks, a day at most.
/// * A disk that is full: it is found out before the refresh token is spent, and the valid token is served. New tokens that
///   could not be stored are not.
///
/// Only `invalid_grant`, or what the server says instead, ends the login; the dead tokens are then deleted from the storage. If the
/// server refuses for 12 hours for a reason that is not known, the user is asked to log in again; it is still asked, and a refresh
/// that succeeds undoes that.
#[derive(Clone)]
pub struct TokenManager {
    storage: Arc<dyn CredentialStorage>,
    provider: Arc<dyn UpstreamProvider>,
    runtime: Runtime,
    clock: Arc<dyn Clock>,
}

impl TokenManager {
    /// The login in `storage`, at the authorization server that `provider` speaks to.
    pub fn new(
        storage: impl CredentialStorage + 'static,
        provider: impl UpstreamProvider + 'static,
        runtime: Runtime,
    ) -> Self {
        Self { storage: Arc::new(storage), provider: Arc::new(provider), runtime, clock: Arc::new(SystemClock) }
    }

    /// With what is stored sealed (XChaCha20-Poly1305) under a key of `keyring`.
    ///
    /// That protects copies of the file, such as backups, as long as the key is not with them. It does not protect against
    /// whoever can read the key, nor does it tell an old copy of the file from a new one. What was stored without a seal is
    /// refused.
    #[must_use]
    pub fn sealed_with(self, keyring: Keyring) -> Self {
        Self { storage: Arc::new(Sealed { storage: self.storage, keyring }), ..self }
    }

    /// With this clock. All processes that share the storage must agree on the time to within a minute.
    #[must_use]
    pub fn with_clock(self, clock: impl Clock + 'static) -> Self {
        Self { clock: Arc::new(clock), ..self }
    }

    /// An access token that works, for one request: it is to be asked for again for the next.
    ///
    /// # Errors
    ///
    /// [`TokenManagerError`] tells apart whether the user has to log in, or it is worth another try.
    pub async fn access_token(&self) -> Result<SecretText, TokenManagerError> {
        self.serve(None).await
    }

    /// Another access token than `refused`, which the resource server did not accept though it has not expired (401). If
    /// somebody has refreshed meanwhile, it is that one. To be called once per request: a server may refuse whatever it gets.
    ///
    /// # Errors
    ///
    /// As [`access_token`](Self::access_token).
    pub async fn access_token_after(&self, refused: &SecretText) -> Result<SecretText, TokenManagerError> {
        self.serve(Some(refused)).await
    }

    /// Store what a login has brought. What was there before is replaced, and not revoked: [`forget`](Self::forget) does that.
    ///
    /// # Errors
    ///
    /// [`TokenManagerError::Storage`]; [`TokenManagerError::Unavailable`] if another process has the lock for too long.
    pub async fn store(&self, tokens: TokenSet) -> Result<(), TokenManagerError> {
        let lock = Arc::new(self.lock().await?);
        Ok(self.keep(&Stored::Held(Held::new(tokens, self.clock.now())), lock).await?)
    }

    /// Log out: revoke the login at the authorization server, if it can, then delete it here. A call that is dropped goes on in
    /// the background.
    ///
    /// # Errors
    ///
    /// If the server could not be asked, or refused, nothing is deleted, and it is worth another try;
    /// [`CredentialStorage::delete`] does it without the server. After [`AnswerLost`](TokenManagerError::AnswerLost) it is
    /// deleted.
    pub async fn forget(&self) -> Result<(), TokenManagerError> {
        let lock = self.lock().await?;
        let this = self.clone();
        self.runtime
            .in_background(async move { this.log_out(Arc::new(lock)).await })
            .await
            .unwrap_or_else(|_| Err(still_busy()))
    }
}

impl fmt::Debug for TokenManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenManager").finish_non_exhaustive()
    }
}
