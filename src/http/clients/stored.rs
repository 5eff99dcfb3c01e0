//! Clients in the token store, sealed like everything else there.

use std::sync::Arc;
use std::time::Duration;

use super::{ClientRegistry, MemoryClients, RegisteredClient};
use crate::crypto::sha256;
use crate::entropy::random;
use crate::error::Error;
use crate::issuer::{MAX_ATTEMPTS, TokenIssuer};
use crate::sealed::{self, Kind, corrupt};
use crate::store::{BoxFuture, Commit, Record, RecordKey, StoreError, TokenStore};
use crate::time::Timestamp;

/// A [`ClientRegistry`] in the store of an issuer: registrations survive a restart and are shared by all its processes. Clients
/// that are known beforehand are not put into the store; name them with [`with`](Self::with) at every start.
///
/// [`TokenIssuer::rekey`] moves them to the primary key, [`TokenIssuer::purge`] deletes those whose lifetime is over.
pub struct StoredClients<S> {
    issuer: Arc<TokenIssuer<S>>,
    lifetime: Duration,
    known: MemoryClients,
}

impl<S: TokenStore> StoredClients<S> {
    /// In the store of `issuer`. A registration lives for a year.
    pub fn new(issuer: Arc<TokenIssuer<S>>) -> Self {
        Self { issuer, lifetime: Duration::from_secs(365 * 24 * 60 * 60), known: MemoryClients::new() }
    }

    /// With a client that is known beforehand.
    #[must_use]
    pub fn with(self, client: RegisteredClient) -> Self {
        Self { known: self.known.with(client), ..self }
    }

    /// With another lifetime of registrations; it should be longer than any family's. A client whose registration is over
    /// registers again, and its users log in again.
    #[must_use]
    pub fn with_lifetime(self, lifetime: Duration) -> Self {
        Self { lifetime, ..self }
    }

    /// Forget a client. Returns whether it was known. Revoke its families with [`TokenIssuer::revoke_client`].
    ///
    /// # Errors
    ///
    /// A fault of the server.
    pub async fn remove(&self, client_id: &str) -> Result<bool, Error> {
        for _ in 0..MAX_ATTEMPTS {
            let Some(record) = self.issuer.get(key(client_id)).await? else { return Ok(false) };
            let version = record.version;
            if self.open(record)?.is_none() {
                return Ok(false);
            }
            // Gone for every reader at once, and from the store with the next purge.
            let now = self.issuer.clock.now();
            if self.write(client_id, version.saturating_add(1), None, now).await? == Commit::Apply {
                return Ok(true);
            }
        }
        Err(Error::new(crate::error::ErrorKind::Contention))
    }

    /// `None` for one that was removed, or whose lifetime is over.
    fn open(&self, mut record: Record) -> Result<Option<RegisteredClient>, Error> {
        let over = record.expires_at <= self.issuer.clock.now();
        let opened = sealed::open(&mut record, &self.issuer.keyring)?;
        if opened.kind != Kind::CLIENT {
            return Err(corrupt());
        }
        let client: Option<RegisteredClient> = postcard::from_bytes(opened.content()).map_err(|_| corrupt())?;
        Ok(client.filter(|_| !over))
    }

    async fn write(
        &self,
        client_id: &str,
        version: u64,
        client: Option<&RegisteredClient>,
        expires_at: Timestamp,
    ) -> Result<Commit, Error> {
        let record = Record::new(key(client_id), version, expires_at, Vec::new(), Vec::new());
        let (nonce, content) = (random(&*self.issuer.entropy)?, sealed::encode(&client)?);
        let record = sealed::seal(Kind::CLIENT, record, &content, self.issuer.keyring.primary(), &nonce)?;
        Ok(self.issuer.store.commit(record).await?)
    }
}

/// The same under every key of the keyring, so that a re-key leaves the record where it is. A client id is random, so its hash
/// tells nothing.
fn key(client_id: &str) -> RecordKey {
    let hash = sha256(format!("mcp-token-lifecycle client {client_id}").as_bytes());
    let mut key = [0; 16];
    key.copy_from_slice(&hash[..16]);
    RecordKey::from_bytes(key)
}

impl<S: TokenStore> ClientRegistry for StoredClients<S> {
    fn find<'a>(&'a self, client_id: &'a str) -> BoxFuture<'a, Result<Option<RegisteredClient>, StoreError>> {
        Box::pin(async move {
            if let Some(client) = self.known.find(client_id).await? {
                return Ok(Some(client));
            }
            let found = self.issuer.get(key(client_id)).await;
            found
                .and_then(|record| record.map_or(Ok(None), |record| self.open(record)))
                .map_err(StoreError::unavailable)
        })
    }

    fn register(&self, client: RegisteredClient) -> BoxFuture<'_, Result<Option<Timestamp>, StoreError>> {
        Box::pin(async move {
            let until = self.issuer.clock.now().saturating_add(self.lifetime);
            match self.write(client.id(), 1, Some(&client), until).await.map_err(StoreError::uncertain)? {
                Commit::Apply => Ok(Some(until)),
                Commit::Conflict => Err(StoreError::unavailable("the client id is taken")),
            }
        })
    }
}

impl<S> std::fmt::Debug for StoredClients<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredClients").field("lifetime", &self.lifetime).finish_non_exhaustive()
    }
}
