//! Stores the tokens in the credential store of the operating system.

use std::fmt;
use std::path::Path;

use keyring_core::{Entry, Error};
use zeroize::Zeroizing;

use super::error::StorageError;
use super::lock_file::LockFile;
use super::storage::{CredentialStorage, StorageLock};
use crate::vault::keys::without_content;

/// Stores the tokens in the macOS Keychain, the Windows Credential Manager, the Secret Service, or another store that
/// the application has given to `keyring-core`.
///
/// Credential stores have no lock between processes, so a file serves as the lock and holds nothing. If the store
/// fails, the call fails; tokens are never written to a file instead.
///
/// # Security
///
/// The store decides which programs may read the entry: on most systems all programs of the user. It also decides how
/// durable a write is. The Windows Credential Manager takes at most 2,560 bytes, which long tokens exceed.
pub struct OsStorage {
    entry: Entry,
    lock: LockFile,
}

impl OsStorage {
    /// Opens the storage in `entry`. All processes that use the entry must name the same `lock_file`, in a folder that
    /// other users may not write to. The file and its folder are created if they are missing.
    ///
    /// # Errors
    ///
    /// [`StorageError::Permissions`] if others may write to the folder; [`StorageError::Io`] if the folder cannot be
    /// created.
    pub fn open(entry: Entry, lock_file: impl AsRef<Path>) -> Result<Self, StorageError> {
        Ok(Self { entry, lock: LockFile::new(lock_file.as_ref())? })
    }
}

impl CredentialStorage for OsStorage {
    fn try_lock(&self) -> Result<Option<StorageLock>, StorageError> {
        self.lock.try_lock()
    }

    fn read(&self) -> Result<Option<Zeroizing<Vec<u8>>>, StorageError> {
        unless_missing(self.entry.get_secret().map(|content| Some(Zeroizing::new(content))))
    }

    fn write(&self, content: &[u8]) -> Result<(), StorageError> {
        self.entry.set_secret(content).map_err(fault)
    }

    fn delete(&self) -> Result<(), StorageError> {
        unless_missing(self.entry.delete_credential())
    }
}

fn unless_missing<T: Default>(result: Result<T, Error>) -> Result<T, StorageError> {
    match result {
        Err(Error::NoEntry) => Ok(T::default()),
        result => result.map_err(fault),
    }
}

fn fault(error: Error) -> StorageError {
    StorageError::Other(without_content(error))
}

impl fmt::Debug for OsStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { entry: _, lock } = self;
        f.debug_struct("OsStorage").field("lock", lock).finish_non_exhaustive()
    }
}
