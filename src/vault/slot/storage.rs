//! How the vault reads and writes its records.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use super::error::{VaultError, VaultErrorKind, corrupt};
use super::held::Held;
use super::record::{self, context};
use super::root::Root;
use super::{CredentialVault, content};
use crate::id::{IndexKey, RecordKey};
use crate::issuer::{MAX_ATTEMPTS, PAGE};
use crate::store::{Commit, Record, Select, StoreError, TokenStore};
use crate::time::Timestamp;
use crate::vault::keys::Envelope;
use crate::vault::{Account, WrapError};

const NEVER_EXPIRES: Timestamp = Timestamp::from_unix(i64::MAX as u64);

/// For how long the store keeps a record whose credential is gone, as a tombstone.
///
/// After the record is deleted, versions start again, and a write that was meant for the earlier record could match a
/// later one of the same version. No operation takes nearly that long: the longest retries for five minutes.
const TOMBSTONE_LIFETIME: Duration = Duration::from_secs(60 * 60);

/// The place of a record in the store, and what a write to it needs.
pub(crate) struct Place {
    pub(crate) key: RecordKey,
    /// The version that a write replaces; 0 if there is no record.
    version: u64,
    /// The data key of the record. If it is `None`, the write creates a new one.
    envelope: Option<Arc<Envelope>>,
}

impl Place {
    /// The place of a record that does not exist.
    pub(crate) fn empty(key: RecordKey) -> Self {
        Self { key, version: 0, envelope: None }
    }

    /// Whether the store has no record here, not even a tombstone.
    pub(crate) fn is_new(&self) -> bool {
        self.version == 0
    }

    /// The same place with a new data key, for another credential.
    pub(crate) fn with_new_key(self) -> Self {
        Self { envelope: None, ..self }
    }
}

impl<S: TokenStore> CredentialVault<S> {
    /// Finds the credential of `account` and its place.
    pub(crate) async fn find(&self, account: &Account) -> Result<(Place, Option<Held>), VaultError> {
        let (place, held) = self.load(self.root().await?.locate(account)).await?;
        if held.as_ref().is_none_or(|held| held.account == *account) { Ok((place, held)) } else { Err(corrupt()) }
    }

    /// Loads the record under `key`. Returns no credential if there is no record or its credential is gone.
    pub(crate) async fn load(&self, key: RecordKey) -> Result<(Place, Option<Held>), VaultError> {
        match self.noted(self.store.get(key).await)? {
            None => Ok((Place::empty(key), None)),
            Some(record) if record.key == key => self.open(&record).await,
            Some(_) => Err(corrupt()),
        }
    }

    /// Records whether the store answered, and returns its answer.
    pub(crate) fn noted<T>(&self, answer: Result<T, StoreError>) -> Result<T, StoreError> {
        self.reach.note(answer, self.now())
    }

    /// Opens `record`.
    pub(crate) async fn open(&self, record: &Record) -> Result<(Place, Option<Held>), VaultError> {
        let (envelope, content) = self.unseal(record).await?;
        let place = Place { key: record.key, version: record.version, envelope: Some(envelope) };
        Ok((place, content::decode(&content)?))
    }

    /// Unwraps the data key of `record` and decrypts its content.
    async fn unseal(&self, record: &Record) -> Result<(Arc<Envelope>, Zeroizing<Vec<u8>>), VaultError> {
        let (key_id, bytes) = record::wrapped(record)?;
        let envelope = self.keys.open(key_id, bytes, &context(record.key), self.now()).await;
        let envelope = envelope.map_err(|error| match error {
            WrapError::UnknownKey => VaultError::from(error).about(key_id),
            _ => error.into(),
        })?;
        let content = record::open(record, &envelope)?;
        Ok((envelope, content))
    }

    /// Writes `held` to `place`; `None` writes a tombstone.
    pub(crate) async fn write(&self, place: &Place, held: Option<&Held>) -> Result<Commit, VaultError> {
        let (indexes, expires_at) = match held {
            Some(held) => (self.root().await?.indexes(held), NEVER_EXPIRES),
            None => (Vec::new(), self.now().saturating_add(TOMBSTONE_LIFETIME)),
        };
        let content = content::encode(held)?;
        self.commit(place, indexes, expires_at, &content).await
    }

    /// Writes like [`write`](Self::write). If the store does not confirm the write, reads the record to find out.
    pub(crate) async fn write_or_look(&self, place: &Place, held: Option<&Held>) -> Result<Commit, VaultError> {
        match self.write(place, held).await {
            Err(error) if error.kind() == VaultErrorKind::StoreUncertain => {
                let (now, found) = self.load(place.key).await?;
                let is_newer = now.version > place.version;
                let is_there = is_newer && content::encode(found.as_ref())? == content::encode(held)?;
                Ok(if is_there { Commit::Applied } else { Commit::Conflict })
            }
            outcome => outcome,
        }
    }

    /// Seals `content` and commits it to the store.
    async fn commit(
        &self,
        place: &Place,
        indexes: Vec<IndexKey>,
        expires_at: Timestamp,
        content: &[u8],
    ) -> Result<Commit, VaultError> {
        let envelope = match &place.envelope {
            Some(envelope) => envelope.clone(),
            None => self.keys.make(&context(place.key), &self.rng, self.now()).await?,
        };
        let record = Record::new(place.key, place.version.saturating_add(1), expires_at, indexes, Vec::new());
        let record = record::seal(record, content, &envelope, &self.random()?)?;
        Ok(self.noted(self.store.commit(record).await)?)
    }

    /// All credentials listed under `index`, by record key, and the last error of a record that does not open.
    ///
    /// Index keys derive from the [`Root`], which a rotation of wrapping keys does not change, so a rewrap moves no
    /// record out of the listing.
    pub(crate) async fn listed(
        &self,
        index: IndexKey,
    ) -> Result<(BTreeMap<RecordKey, Held>, Option<VaultError>), VaultError> {
        let (mut all, mut fault, mut after) = (BTreeMap::new(), None, None);
        loop {
            let page = self.noted(self.store.list(Select::Index(index), after, PAGE).await)?;
            // The seal authenticates the index keys of a record. The store's listing alone is not trusted.
            for record in page.records.iter().filter(|record| record.indexes.contains(&index)) {
                match self.open(record).await {
                    Ok((place, held)) => all.extend(held.map(|held| (place.key, held))),
                    Err(error) if error.is_about_one_record() => fault = Some(error),
                    Err(error) => return Err(error),
                }
            }
            after = page.next;
            if after.is_none() {
                return Ok((all, fault));
            }
        }
    }

    /// Returns the root, which is read once. The first vault that finds none creates it.
    pub(crate) async fn root(&self) -> Result<&Root, VaultError> {
        if let Some(root) = self.root.get() {
            return Ok(root);
        }
        for _ in 0..MAX_ATTEMPTS {
            if let Some(root) = self.find_or_make_root().await? {
                return Ok(self.root.get_or_init(|| root));
            }
        }
        Err(VaultError::new(VaultErrorKind::Contention))
    }

    /// Reads or creates the root. `None` if another vault was faster.
    async fn find_or_make_root(&self) -> Result<Option<Root>, VaultError> {
        let place = Root::place();
        if let Some(record) = self.noted(self.store.get(place).await)? {
            if record.key != place {
                return Err(corrupt());
            }
            let (_, secret) = self.unseal(&record).await?;
            let secret: &[u8; Root::LEN] = secret.as_slice().try_into().map_err(|_| corrupt())?;
            return Ok(Some(Root::derive(secret)));
        }
        let secret = Zeroizing::new(self.random::<{ Root::LEN }>()?);
        let made = self.commit(&Place::empty(place), Vec::new(), NEVER_EXPIRES, secret.as_ref()).await?;
        Ok((made == Commit::Applied).then(|| Root::derive(&secret)))
    }
}
