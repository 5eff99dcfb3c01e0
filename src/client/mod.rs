//! The tokens of a program that is itself an OAuth client, such as an MCP client: stored locally and shared by all its
//! processes.
//!
//! | file | what it holds |
//! |---|---|
//! | `storage` | what a storage must do; `file` and `os` implement it |
//! | `private`, `lock_file` | files that only their owner can read, and a lock on one |
//! | `sealed` | a storage around another one, which then gets sealed bytes |
//! | `stored` | the state of a login, and its stored form |
//! | `decision` | serve, refresh or hold off: pure functions |
//! | `refresh` | one refresh for all processes |
//! | `logout` | revoke, then delete |
//! | `error` | why there is no access token |

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

/// Keeps the login of a program that is itself an OAuth client, such as an MCP client.
///
/// The tokens survive a restart. One of the processes that share them refreshes them before they expire.
///
/// ```no_run
/// # use mcp_token_lifecycle::vault::*;
/// # use mcp_token_lifecycle::client::*;
/// # async fn example(provider: impl UpstreamProvider + 'static, tokens: TokenSet) -> Result<(), Box<dyn std::error::Error>> {
/// let runtime = Runtime::new(tokio::time::sleep, |task| drop(tokio::spawn(task)));
/// let storage = FileStorage::open("/home/alice/.config/my-client/credentials")?;
/// let manager = TokenManager::new(storage, provider, runtime);
///
/// manager.store(tokens).await?;   // after the login
/// match manager.access_token().await {
///     Ok(token) => { /* Authorization: Bearer … */ }
///     Err(TokenManagerError::NoCredentials | TokenManagerError::NeedsAuthorization) => { /* start a login */ }
///     Err(error) => return Err(error.into()),   // the login is kept; try again later
/// }
/// # Ok(()) }
/// ```
///
/// # When it refreshes
///
/// A refresh is due at 80 % of the lifetime of the access token, or up to 5 % earlier. From then on one caller
/// refreshes and waits for the result, at most 15 seconds. All other callers, in each process, get the token that is
/// still valid. In the last 5 seconds of the lifetime (or the last tenth of a lifetime under 50 seconds) all callers
/// wait for the refresh, at most about a minute. Each call reads the storage, so all processes see what one of them has
/// stored.
///
/// # What it survives
///
/// * Two processes at the same time: the process that refreshes holds the storage's lock and reads the stored tokens
///   again under it.
/// * A process that is killed at any point: the operating system frees the lock, and the storage holds the old or the
///   new tokens. If it holds the old ones, the server may have rotated. The next call presents the old refresh token
///   again, and a server with a reuse leeway (permitted by RFC 9700 §4.14.2; [`RotationPolicy`](crate::RotationPolicy))
///   answers with the same successor, if the call comes within the leeway. With a server without a leeway the user has
///   to log in again.
/// * A lost answer: the same call asks again, up to three times, and not later than 25 seconds after the first request.
///   If each request runs into a time limit of 20 seconds, it asks again once.
/// * A call that is dropped: the refresh continues in the background and its result is stored.
/// * A server that is down: callers get the token while it is valid, then
///   [`Unavailable`](TokenManagerError::Unavailable). Nothing is deleted. The number of failures is stored too, so that
///   all processes pause together: for one second, doubled with each failure up to 5 minutes, or for as long as the
///   server asks, at most a day.
/// * A full disk: it is detected before the refresh token is spent, and callers get the token while it is valid. New
///   tokens are returned only after they were stored.
///
/// Only `invalid_grant`, or a code of the server with that meaning, ends the login; the invalid tokens are then deleted
/// from the storage. If the server refuses for 12 hours with a code that is not known, the user is asked to log in
/// again. The server is still asked, and a refresh that succeeds makes the login good again.
#[derive(Clone)]
pub struct TokenManager {
    storage: Arc<dyn CredentialStorage>,
    provider: Arc<dyn UpstreamProvider>,
    runtime: Runtime,
    clock: Arc<dyn Clock>,
}

impl TokenManager {
    /// Creates a manager for the login in `storage`, at the authorization server that `provider` talks to.
    pub fn new(
        storage: impl CredentialStorage + 'static,
        provider: impl UpstreamProvider + 'static,
        runtime: Runtime,
    ) -> Self {
        Self { storage: Arc::new(storage), provider: Arc::new(provider), runtime, clock: Arc::new(SystemClock) }
    }

    /// Seals the stored tokens (XChaCha20-Poly1305) under the primary key of `keyring`. Tokens that were stored without
    /// a seal are refused.
    ///
    /// # Security
    ///
    /// The seal protects copies of the storage, such as backups, if the key is not with them. It does not protect
    /// against an attacker who can read the key, and it does not detect an old copy of the storage.
    #[must_use]
    pub fn sealed_with(self, keyring: Keyring) -> Self {
        Self { storage: Arc::new(Sealed { storage: self.storage, keyring }), ..self }
    }

    /// Sets the clock. The clocks of all processes that share the storage must agree to within a minute.
    #[must_use]
    pub fn with_clock(self, clock: impl Clock + 'static) -> Self {
        Self { clock: Arc::new(clock), ..self }
    }

    /// Returns a valid access token, for one request. Call it again for the next request.
    ///
    /// # Errors
    ///
    /// [`TokenManagerError`] says whether the user has to log in or a retry may help.
    pub async fn access_token(&self) -> Result<SecretText, TokenManagerError> {
        self.serve(None).await
    }

    /// Returns another access token after the resource server has refused `refused` with a 401 although it has not
    /// expired.
    ///
    /// If another caller has refreshed since, this returns its token. Call it at most once for each request: a server
    /// may refuse each token.
    ///
    /// # Errors
    ///
    /// The errors of [`access_token`](Self::access_token).
    pub async fn access_token_after(&self, refused: &SecretText) -> Result<SecretText, TokenManagerError> {
        self.serve(Some(refused)).await
    }

    /// Stores the tokens of a new login. Tokens that were stored before are replaced but not revoked;
    /// [`forget`](Self::forget) revokes them.
    ///
    /// # Errors
    ///
    /// [`TokenManagerError::Storage`] if they could not be stored. [`TokenManagerError::Unavailable`] if another
    /// process holds the lock for about a minute.
    pub async fn store(&self, tokens: TokenSet) -> Result<(), TokenManagerError> {
        let lock = Arc::new(self.lock().await?);
        Ok(self.keep(&Stored::Held(Held::new(tokens, self.clock.now())), lock).await?)
    }

    /// Logs out: revokes the tokens at the authorization server, if it supports that, and deletes them from the
    /// storage. A call that is dropped continues in the background.
    ///
    /// # Errors
    ///
    /// [`TokenManagerError::Unavailable`] if the server did not answer or refused: nothing is deleted, and a retry may
    /// help. [`CredentialStorage::delete`] deletes without the server. [`TokenManagerError::AnswerLost`] if tokens that
    /// never arrived may be valid: the stored ones are deleted. [`TokenManagerError::Storage`] if the storage failed.
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
