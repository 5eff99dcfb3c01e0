//! The credential in the operating system's credential store.

use std::fmt;
use std::path::Path;

use keyring_core::{Entry, Error};
use zeroize::Zeroizing;

use super::error::StorageError;
use super::lock_file::LockFile;
use super::storage::{CredentialStorage, StorageLock};
use crate::vault::keys::without_content;

/// A credential in the macOS Keychain, the Windows Credential Manager, the Secret Service, or whatever store the application
/// has given to `keyring-core`.
///
/// Credential stores have no lock that processes could share, so there is a file for that and nothing else. If the store fails
/// there is an error; nothing is ever kept in a file instead.
///
/// # Security
///
/// The store decides who gets to read the entry: on most systems every program of the user. How durable a write is, is the
/// store's affair too. The Windows Credential Manager takes at most 2,560 bytes, which long tokens exceed.
pub struct OsStorage {
    entry: Entry,
    lock: LockFile,
}

impl OsStorage {
    /// The credential in `entry`. All processes that use the entry must name the same `lock_file`, in a folder that others may
    /// not write to; it is made if it is missing, as is the folder.
    ///
    /// # Errors
    ///
    /// [`StorageError::Permissions`] if others may write to the folder; [`StorageError::Io`].
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
