//! A storage around another one, which gets only sealed bytes.

use std::path::Path;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::error::StorageError;
use super::storage::{CredentialStorage, StorageLock};
use crate::crypto::random::RandomSource;
use crate::error::{Error, ErrorKind};
use crate::id::RecordKey;
use crate::keys::Keyring;
use crate::record::sealed::{self, Kind};
use crate::store::Record;
use crate::time::Timestamp;

/// Seals what it writes to `storage` under the primary key of `keyring`.
pub(super) struct Sealed {
    pub(super) storage: Arc<dyn CredentialStorage>,
    pub(super) keyring: Keyring,
}

impl CredentialStorage for Sealed {
    fn try_lock(&self) -> Result<Option<StorageLock>, StorageError> {
        self.storage.try_lock()
    }

    fn read(&self) -> Result<Option<Zeroizing<Vec<u8>>>, StorageError> {
        let Some(content) = self.storage.read()? else { return Ok(None) };
        let mut record = record(content.to_vec());
        let opened =
            sealed::open(&mut record, &self.keyring).map_err(|error| StorageError::from(error).at(self.path()))?;
        match opened.kind {
            Kind::TOKEN_MANAGER => Ok(Some(Zeroizing::new(opened.content().to_vec()))),
            _ => Err(StorageError::malformed().at(self.path())),
        }
    }

    fn path(&self) -> Option<&Path> {
        self.storage.path()
    }

    fn write(&self, content: &[u8]) -> Result<(), StorageError> {
        let nonce = RandomSource::default().bytes().map_err(StorageError::other)?;
        let sealed = sealed::seal(Kind::TOKEN_MANAGER, record(Vec::new()), content, self.keyring.primary(), &nonce)?;
        self.storage.write(&sealed.payload)
    }

    fn delete(&self) -> Result<(), StorageError> {
        self.storage.delete()
    }
}

/// The record that is sealed. A storage has no record keys and versions, so both are constant.
fn record(payload: Vec<u8>) -> Record {
    Record::new(RecordKey::from_bytes([0; 16]), 1, Timestamp::default(), Vec::new(), payload)
}

impl From<Error> for StorageError {
    fn from(error: Error) -> Self {
        match error.kind() {
            ErrorKind::UnknownKey(id) => Self::UnknownKey(id),
            _ => Self::malformed(),
        }
    }
}
