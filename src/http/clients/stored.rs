//! Clients in the token store, sealed like its other records.

use std::sync::Arc;
use std::time::Duration;

use super::memory::MemoryClients;
use super::{ClientRegistry, RegisteredClient};
use crate::crypto::{sha256, truncated};
use crate::error::Error;
use crate::id::RecordKey;
use crate::issuer::TokenIssuer;
use crate::record::sealed::{self, Kind, corrupt};
use crate::store::{BoxFuture, Record, StoreError, TokenStore};
use crate::time::Timestamp;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The new content of a registration, and when it ends.
type Next = (Option<RegisteredClient>, Timestamp);

/// A [`ClientRegistry`] in the store of an issuer. Registrations survive a restart and are shared by all its processes.
/// Preregistered clients are not written to the store; add them with [`with`](Self::with) at each start.
///
/// A registration ends one day after it was made, unless a user agrees to the client by then. It ends one year after
/// the client was last used. A public client that registers again with the same metadata, with any port on a loopback
/// host, is the same client with the same id and takes no more space. Each use extends the registration, with at most
/// one write a day.
///
/// [`TokenIssuer::rekey`] moves registrations to the primary key, and [`TokenIssuer::purge`] deletes expired ones.
pub struct StoredClients<S> {
    issuer: Arc<TokenIssuer<S>>,
    lifetime: Duration,
    unused_lifetime: Duration,
    known: MemoryClients,
}

impl<S: TokenStore> StoredClients<S> {
    /// Creates a registry in the store of `issuer`.
    pub fn new(issuer: Arc<TokenIssuer<S>>) -> Self {
        Self { issuer, lifetime: DAY * 365, unused_lifetime: DAY, known: MemoryClients::new() }
    }

    /// Adds a preregistered client.
    #[must_use]
    pub fn with(self, client: RegisteredClient) -> Self {
        Self { known: self.known.with(client), ..self }
    }

    /// Sets the lifetime of a registration after each use. The default is 365 days. It should exceed the idle lifetime
    /// of each family by a day: a client whose registration has ended registers again, and its users have to log in
    /// again.
    #[must_use]
    pub fn with_lifetime(self, lifetime: Duration) -> Self {
        Self { lifetime, ..self }
    }

    /// Sets the lifetime of a registration that was not used yet. The default is one day. It should leave a user enough
    /// time to log in.
    #[must_use]
    pub fn with_unused_lifetime(self, unused_lifetime: Duration) -> Self {
        Self { unused_lifetime, ..self }
    }

    /// Removes a client. Returns whether it was there. Revoke its families with [`TokenIssuer::revoke_client`].
    ///
    /// To keep it out, refuse its registration in
    /// [`with_registration`](crate::http::AuthorizationServer::with_registration): a public client that registers again
    /// gets the same id.
    ///
    /// # Errors
    ///
    /// [`Error`] if the store, the keys or the random source failed, or other processes wrote the record in each
    /// attempt.
    pub async fn remove(&self, client_id: &str) -> Result<bool, Error> {
        // Expired for all readers immediately, and deleted by the next purge.
        self.change(client_id, |found| Ok(found.map(|_| (None, self.issuer.clock.now())))).await
    }

    /// Writes what `change` makes of the stored registration, and its new end. Returns whether there was a write.
    async fn change(
        &self,
        client_id: &str,
        change: impl Fn(Option<RegisteredClient>) -> Result<Option<Next>, Error> + Sync,
    ) -> Result<bool, Error> {
        let next = |record: Option<Record>| {
            let version = record.as_ref().map_or(0, |record| record.version).saturating_add(1);
            let next = change(record.map_or(Ok(None), |record| self.open(record))?)?;
            next.map(|(client, end)| self.seal(client_id, version, client.as_ref(), end)).transpose()
        };
        self.issuer.replace(key(client_id), next).await
    }

    /// The new end of the registration of `client`, which lives for `lifetime` from now; `None` if it is too little
    /// later than before to be worth a write.
    fn later_end(&self, client: &RegisteredClient, lifetime: Duration) -> Option<Timestamp> {
        let end = self.issuer.clock.now().saturating_add(lifetime);
        (end.since(client.expires_at?) > DAY.min(lifetime / 24)).then_some(end)
    }

    /// Opens a record; `None` if the registration was removed or has ended.
    fn open(&self, mut record: Record) -> Result<Option<RegisteredClient>, Error> {
        let expires_at = record.expires_at;
        let opened = sealed::open(&mut record, &self.issuer.keyring)?;
        if opened.kind != Kind::CLIENT {
            return Err(corrupt());
        }
        let client: Option<RegisteredClient> = postcard::from_bytes(opened.content()).map_err(|_| corrupt())?;
        let client = client.filter(|_| expires_at > self.issuer.clock.now());
        Ok(client.map(|client| RegisteredClient { expires_at: Some(expires_at), ..client }))
    }

    fn seal(
        &self,
        client_id: &str,
        version: u64,
        client: Option<&RegisteredClient>,
        expires_at: Timestamp,
    ) -> Result<Record, Error> {
        let record = Record::new(key(client_id), version, expires_at, Vec::new(), Vec::new());
        let (nonce, content) = (self.issuer.rng.bytes()?, sealed::encode(&client)?);
        sealed::seal(Kind::CLIENT, record, &content, self.issuer.keyring.primary(), &nonce)
    }
}

/// The record key of a client. It does not depend on the keyring, so a re-key leaves the record where it is. A client
/// id is random or a keyed hash, so its hash reveals nothing.
fn key(client_id: &str) -> RecordKey {
    RecordKey::from_bytes(truncated(sha256(format!("mcp-token-lifecycle client {client_id}").as_bytes())))
}

impl<S: TokenStore> ClientRegistry for StoredClients<S> {
    fn find<'a>(&'a self, client_id: &'a str) -> BoxFuture<'a, Result<Option<RegisteredClient>, Error>> {
        Box::pin(async move {
            if let Some(client) = self.known.get(client_id) {
                return Ok(Some(client));
            }
            self.issuer.get(key(client_id)).await?.map_or(Ok(None), |record| self.open(record))
        })
    }

    fn register(&self, client: RegisteredClient) -> BoxFuture<'_, Result<Option<Timestamp>, Error>> {
        Box::pin(async move {
            let lifetime = self.unused_lifetime.min(self.lifetime);
            let taken = || StoreError::unavailable("the client id is registered with other metadata");
            if self.known.get(client.id()).is_some() {
                return Err(taken().into());
            }
            let keep = |found: Option<RegisteredClient>| match found {
                None => Ok(Some((Some(client.clone()), self.issuer.clock.now().saturating_add(lifetime)))),
                Some(found) if found.is_registered_as(&client) => {
                    Ok(self.later_end(&found, lifetime).map(|end| (Some(found), end)))
                }
                Some(_) => Err(taken().into()),
            };
            self.change(client.id(), keep).await.map(|_| None)
        })
    }

    fn used<'a>(&'a self, client: &'a RegisteredClient) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            // The client that was found with the request shows whether a write is due. Nearly always this call reads
            // and writes nothing.
            if self.later_end(client, self.lifetime).is_none() {
                return Ok(());
            }
            let prolong = |found: Option<RegisteredClient>| {
                Ok(found.and_then(|found| self.later_end(&found, self.lifetime).map(|end| (Some(found), end))))
            };
            self.change(client.id(), prolong).await.map(drop)
        })
    }
}

impl<S> std::fmt::Debug for StoredClients<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredClients")
            .field("lifetime", &self.lifetime)
            .field("unused_lifetime", &self.unused_lifetime)
            .finish_non_exhaustive()
    }
}
