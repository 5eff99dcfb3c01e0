//! A lock between processes: an advisory lock of the operating system on a file that is never deleted.

use std::fs::TryLockError;
use std::path::{Path, PathBuf};

use super::error::StorageError;
use super::private;
use super::storage::StorageLock;

/// The path of the lock file.
#[derive(Debug)]
pub(super) struct LockFile(PathBuf);

impl LockFile {
    /// Opens the lock file at `path`. Creates its folder if it is missing.
    pub(super) fn new(path: &Path) -> Result<Self, StorageError> {
        private::place(path).map(Self)
    }

    /// Takes the lock; `None` if it is held. The operating system frees it when the file is closed, so also when the
    /// process is killed.
    pub(super) fn try_lock(&self) -> Result<Option<StorageLock>, StorageError> {
        let file = private::open(&self.0, private::options().read(true).write(true).create(true))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(StorageLock::new(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(StorageError::io(&self.0, error)),
        }
    }
}
