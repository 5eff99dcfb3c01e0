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

const FOR_EVER: Timestamp = Timestamp::from_unix(i64::MAX as u64);

/// How long it is kept in the store that a credential is gone. Once its record is deleted, the versions begin anew, and a write
/// that was meant for an earlier record could hit a later one with the same version. No operation takes nearly as long: the
/// longest tries for five minutes.
const GONE_FOR: Duration = Duration::from_secs(60 * 60);

/// Where a record is, or would be, and what a write of it needs.
pub(crate) struct Place {
    pub(crate) key: RecordKey,
    /// The version that a write has to replace; 0 if there is none.
    version: u64,
    /// The data key that it goes on with; without one the write makes a new one.
    envelope: Option<Arc<Envelope>>,
}

impl Place {
    /// Where there is nothing yet.
    pub(crate) fn empty(key: RecordKey) -> Self {
        Self { key, version: 0, envelope: None }
    }

    /// Whether there has never been anything, as far as the store remembers.
    pub(crate) fn is_new(&self) -> bool {
        self.version == 0
    }

    /// The same place, for another credential: it gets a data key of its own.
    pub(crate) fn with_new_key(self) -> Self {
        Self { envelope: None, ..self }
    }
}

impl<S: TokenStore> CredentialVault<S> {
    /// What `account` has, and where.
    pub(crate) async fn find(&self, account: &Account) -> Result<(Place, Option<Held>), VaultError> {
        let (place, held) = self.load(self.root().await?.locate(account)).await?;
        if held.as_ref().is_none_or(|held| held.account == *account) { Ok((place, held)) } else { Err(corrupt()) }
    }

    /// What is in the record under `key`: nothing if there is no such record, or its credential is gone.
    pub(crate) async fn load(&self, key: RecordKey) -> Result<(Place, Option<Held>), VaultError> {
        match self.noted(self.store.get(key).await)? {
            None => Ok((Place::empty(key), None)),
            Some(record) if record.key == key => self.open(&record).await,
            Some(_) => Err(corrupt()),
        }
    }

    /// The answer of the store, of which it is noted that there was one, or none.
    pub(crate) fn noted<T>(&self, answer: Result<T, StoreError>) -> Result<T, StoreError> {
        self.reach.note(answer, self.now())
    }

    /// What is in `record`.
    pub(crate) async fn open(&self, record: &Record) -> Result<(Place, Option<Held>), VaultError> {
        let (envelope, content) = self.unseal(record).await?;
        let place = Place { key: record.key, version: record.version, envelope: Some(envelope) };
        Ok((place, content::decode(&content)?))
    }

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

    /// Write `held`, or that it is gone, where `place` says.
    pub(crate) async fn write(&self, place: &Place, held: Option<&Held>) -> Result<Commit, VaultError> {
        let (indexes, expires_at) = match held {
            Some(held) => (self.root().await?.indexes(held), FOR_EVER),
            None => (Vec::new(), self.now().saturating_add(GONE_FOR)),
        };
        let content = content::encode(held)?;
        self.commit(place, indexes, expires_at, &content).await
    }

    /// The same; and if the store does not say whether it did, look.
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

    /// Every record listed under `index`, by its key, and what kept one from being read.
    ///
    /// Index keys derive from the [`Root`], which no change of wrapping keys alters, so a rewrap moves no record out of the listing.
    pub(crate) async fn listed(
        &self,
        index: IndexKey,
    ) -> Result<(BTreeMap<RecordKey, Held>, Option<VaultError>), VaultError> {
        let (mut all, mut fault, mut after) = (BTreeMap::new(), None, None);
        loop {
            let page = self.noted(self.store.list(Select::Index(index), after, PAGE).await)?;
            // The seal vouches for the index keys of a record; the store's word alone would not do.
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

    /// The root, read once; made by the first vault that finds none.
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

    /// `None` if another vault was faster.
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
        let made = self.commit(&Place::empty(place), Vec::new(), FOR_EVER, secret.as_ref()).await?;
        Ok((made == Commit::Applied).then(|| Root::derive(&secret)))
    }
}
