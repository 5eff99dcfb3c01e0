//! A pending authorization in the store.

use std::sync::Arc;

use super::one_time::State;
use super::pending::Pending;
use crate::store::{Commit, Record, TokenStore};
use crate::vault::keys::Envelope;
use crate::vault::record;
use crate::vault::{CredentialVault, VaultError};

/// A pending authorization as it was read.
pub(super) struct Found {
    pub(super) pending: Pending,
    version: u64,
    envelope: Arc<Envelope>,
}

impl<S: TokenStore> CredentialVault<S> {
    /// Reads the authorization with this state.
    pub(super) async fn find_pending(&self, state: &State) -> Result<Option<Found>, VaultError> {
        let Some(record) = self.get(state.record_key()).await? else { return Ok(None) };
        let (envelope, content) = self.unseal(&record).await?;
        Ok(Some(Found { pending: Pending::decode(&content)?, version: record.version, envelope }))
    }

    /// Writes a new authorization, under a data key of its own.
    pub(super) async fn insert_pending(&self, state: &State, pending: &Pending) -> Result<Commit, VaultError> {
        let envelope = self.keys.make(&record::context(state.record_key()), &self.rng, self.now()).await?;
        self.write_pending(state, pending, 1, &envelope).await
    }

    /// Replaces the authorization that was `found`.
    pub(super) async fn replace_pending(
        &self,
        state: &State,
        found: &Found,
        pending: &Pending,
    ) -> Result<Commit, VaultError> {
        self.write_pending(state, pending, found.version.saturating_add(1), &found.envelope).await
    }

    async fn write_pending(
        &self,
        state: &State,
        pending: &Pending,
        version: u64,
        envelope: &Envelope,
    ) -> Result<Commit, VaultError> {
        // Without an index key, the store does not learn whose it is.
        let record = Record::new(state.record_key(), version, pending.purged_from(), Vec::new(), Vec::new());
        let record = record::seal(record, &pending.encode()?, envelope, &self.random()?)?;
        Ok(self.watch.observe(&*self.clock, self.store.commit(record)).await?)
    }
}
