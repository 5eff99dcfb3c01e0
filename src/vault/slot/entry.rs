//! An entry: the slot of one account as it was read, and what a write to it needs.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::CredentialVault;
use super::state::Slot;
use crate::id::{IndexKey, RecordKey};
use crate::record::compare_and_swap;
use crate::store::{Commit, Pages, Record, Select, TokenStore};
use crate::time::Timestamp;
use crate::vault::keys::Envelope;
use crate::vault::record::{self, Root};
use crate::vault::vault_error::corrupt;
use crate::vault::{Account, VaultError, VaultErrorKind, WrapError};

/// The record of an account is never deleted, so that its version never starts again. Otherwise a write that was meant
/// for an earlier record could replace a later one of the same version, however long the process slept in between. An
/// empty slot has no account in it, and no index keys.
const NEVER_EXPIRES: Timestamp = Timestamp::from_unix(i64::MAX as u64);

/// The slot of one account as it was read.
pub(crate) struct Entry {
    pub(crate) account: Account,
    pub(crate) slot: Slot,
    key: RecordKey,
    /// The version that a write replaces; 0 if there is no record.
    version: u64,
    /// The data key of the record. If it is `None`, the next write makes a new one.
    envelope: Option<Arc<Envelope>>,
}

impl Entry {
    /// The same place with an empty slot and a new data key.
    fn emptied(key: RecordKey, account: &Account, version: u64) -> Self {
        Self { account: account.clone(), slot: Slot::default(), key, version, envelope: None }
    }
}

impl<S: TokenStore> CredentialVault<S> {
    /// Reads the entry of `account`.
    pub(crate) async fn find(&self, account: &Account) -> Result<Entry, VaultError> {
        let key = self.root().await?.locate(account);
        match self.get(key).await? {
            Some(record) => self.open(&record, Some(account)).await?.ok_or_else(corrupt),
            None => Ok(Entry::emptied(key, account, 0)),
        }
    }

    /// Reads the entry of `account`. If its record does not open, returns an empty entry in its place, and `true`.
    pub(crate) async fn find_or_replace(&self, account: &Account) -> Result<(Entry, bool), VaultError> {
        let error = match self.find(account).await {
            Err(error) if error.is_about_one_record() => error,
            found => return Ok((found?, false)),
        };
        let key = self.root().await?.locate(account);
        let record = self.get(key).await?.ok_or(error)?;
        Ok((Entry::emptied(key, account, record.version), true))
    }

    pub(crate) async fn get(&self, key: RecordKey) -> Result<Option<Record>, VaultError> {
        match self.watch.observe(&*self.clock, self.store.get(key)).await? {
            Some(record) if record.key != key => Err(corrupt()),
            found => Ok(found),
        }
    }

    /// Opens `record`. Returns `None` if its slot is empty and `account` unknown.
    pub(crate) async fn open(&self, record: &Record, account: Option<&Account>) -> Result<Option<Entry>, VaultError> {
        let (envelope, content) = self.unseal(record).await?;
        let (found, slot) = record::decode(&content)?;
        if found.is_some() && account.is_some() && found.as_ref() != account {
            return Err(corrupt());
        }
        let Some(account) = found.or(account.cloned()) else { return Ok(None) };
        Ok(Some(Entry { account, slot, key: record.key, version: record.version, envelope: Some(envelope) }))
    }

    /// Unwraps the data key of `record` and decrypts its content.
    pub(crate) async fn unseal(&self, record: &Record) -> Result<(Arc<Envelope>, Zeroizing<Vec<u8>>), VaultError> {
        let (key_id, bytes) = record::wrapped(record)?;
        let envelope = self.keys.open(key_id, bytes, &record::context(record.key), self.now()).await;
        let envelope = envelope.map_err(|error| match error {
            WrapError::UnknownKey => VaultError::from(error).about(key_id),
            _ => error.into(),
        })?;
        let content = record::open(record, &envelope)?;
        Ok((envelope, content))
    }

    /// Replaces the slot of `entry` with `next`, under a new data key if `has_new_key`. Returns `false` if another
    /// process has written; `entry` is then what was found.
    ///
    /// If the store does not confirm the write, reads the record to find out. The error `StoreUncertain` remains if
    /// that is not certain either.
    pub(crate) async fn swap(&self, entry: &mut Entry, next: Slot, has_new_key: bool) -> Result<bool, VaultError> {
        let envelope = match &entry.envelope {
            Some(envelope) if !has_new_key => envelope.clone(),
            _ => self.keys.make(&record::context(entry.key), &self.rng, self.now()).await?,
        };
        let version = entry.version.saturating_add(1);
        let content = record::encode(&entry.account, &next)?;
        let indexes = self.root().await?.indexes(&entry.account, &next);
        let written = self.commit(entry.key, version, indexes, &content, &envelope).await;
        if matches!(written, Ok(Commit::Applied)) {
            (entry.slot, entry.version, entry.envelope) = (next, version, Some(envelope));
            return Ok(true);
        }
        let error = match written {
            Err(error) if error.kind() != VaultErrorKind::StoreUncertain => return Err(error),
            Err(error) => Some(error),
            Ok(_) => None,
        };
        match (self.find(&entry.account).await, error) {
            (Ok(found), error) => {
                *entry = found;
                let is_there = entry.version == version && record::encode(&entry.account, &entry.slot)? == content;
                error.filter(|_| !is_there).map_or(Ok(is_there), Err)
            }
            (Err(error), None) | (Err(_), Some(error)) => Err(error),
        }
    }

    /// Seals `content` and commits it to the store.
    async fn commit(
        &self,
        key: RecordKey,
        version: u64,
        indexes: Vec<IndexKey>,
        content: &[u8],
        envelope: &Envelope,
    ) -> Result<Commit, VaultError> {
        let record = Record::new(key, version, NEVER_EXPIRES, indexes, Vec::new());
        let record = record::seal(record, content, envelope, &self.random()?)?;
        Ok(self.watch.observe(&*self.clock, self.store.commit(record)).await?)
    }

    /// All entries that are listed under `index`, each once, and the last error of a record that does not open.
    ///
    /// Index keys derive from the [`Root`], which a rotation of wrapping keys does not change, so a rewrap moves no
    /// record out of the listing.
    pub(crate) async fn listed(&self, index: IndexKey) -> Result<(Vec<Entry>, Option<VaultError>), VaultError> {
        let (mut all, mut fault) = (std::collections::BTreeMap::new(), None);
        let mut pages = Pages::new(&*self.store, Select::Index(index));
        while let Some(records) = self.watch.observe(&*self.clock, pages.next()).await? {
            // The seal authenticates the index keys of a record. The store's listing alone is not trusted.
            for record in records.iter().filter(|record| record.indexes.contains(&index)) {
                match self.open(record, None).await {
                    Ok(entry) => all.extend(entry.map(|entry| (entry.key, entry))),
                    Err(error) if error.is_about_one_record() => fault = Some(error),
                    Err(error) => return Err(error),
                }
            }
        }
        Ok((all.into_values().collect(), fault))
    }

    /// Returns the root, which is read once. The first vault that finds none creates it.
    pub(crate) async fn root(&self) -> Result<&Root, VaultError> {
        if let Some(root) = self.root.get() {
            return Ok(root);
        }
        let root = compare_and_swap(|| self.find_or_make_root()).await?;
        Ok(self.root.get_or_init(|| root))
    }

    /// Reads or creates the root. `None` if another vault was faster.
    async fn find_or_make_root(&self) -> Result<Option<Root>, VaultError> {
        let key = Root::place();
        if let Some(record) = self.get(key).await? {
            let (_, secret) = self.unseal(&record).await?;
            let secret: &[u8; Root::LEN] = secret.as_slice().try_into().map_err(|_| corrupt())?;
            return Ok(Some(Root::derive(secret)));
        }
        let secret = Zeroizing::new(self.random::<{ Root::LEN }>()?);
        let envelope = self.keys.make(&record::context(key), &self.rng, self.now()).await?;
        let made = self.commit(key, 1, Vec::new(), secret.as_ref(), &envelope).await?;
        Ok((made == Commit::Applied).then(|| Root::derive(&secret)))
    }
}
