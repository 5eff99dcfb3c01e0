//! The interface to the place where a client stores its tokens.

use crate::pointers::pointers;
use std::any::Any;
use std::fmt;
use std::path::Path;

use zeroize::Zeroizing;

use super::error::StorageError;

/// Stores the tokens of one login, and a lock that all processes that share them respect.
///
/// The methods block. [`TokenManager`](super::TokenManager) calls them on a thread of their own, so that a slow disk or
/// a prompt of the operating system delays only the call that waits for it.
pub trait CredentialStorage: Send + Sync {
    /// Takes the lock; `None` if another caller, in this process or another, holds it. It must not wait.
    ///
    /// The lock must be free again after the [`StorageLock`] is dropped, and after the process that holds it ends for
    /// any reason.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if it cannot be found out whether the lock is free.
    fn try_lock(&self) -> Result<Option<StorageLock>, StorageError>;

    /// Reads what was written last, completely; `None` if there is nothing. It is called with and without the lock.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if there is content that cannot be read.
    fn read(&self) -> Result<Option<Zeroizing<Vec<u8>>>, StorageError>;

    /// Replaces the content. It is called with the lock.
    ///
    /// When it returns, `content` must survive a crash of the process and of the system. When it is interrupted, the
    /// storage must hold all of the old content or all of the new.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if `content` was not stored, or may not have been.
    fn write(&self, content: &[u8]) -> Result<(), StorageError>;

    /// Returns the file that holds the content, if there is one. It is used only for error texts.
    fn path(&self) -> Option<&Path> {
        None
    }

    /// Deletes the content, if there is any. It is called with the lock, which must stay usable.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the content was not deleted, or may not have been.
    fn delete(&self) -> Result<(), StorageError>;
}

pointers! {
    impl CredentialStorage {
        fn try_lock(&self) -> Result<Option<StorageLock>, StorageError> {
            T::try_lock(self)
        }
        fn read(&self) -> Result<Option<Zeroizing<Vec<u8>>>, StorageError> {
            T::read(self)
        }
        fn write(&self, content: &[u8]) -> Result<(), StorageError> {
            T::write(self, content)
        }
        fn delete(&self) -> Result<(), StorageError> {
            T::delete(self)
        }
        fn path(&self) -> Option<&Path> {
            T::path(self)
        }
    }
}

/// The lock of a [`CredentialStorage`]. It is held until it is dropped.
pub struct StorageLock {
    _held: Box<dyn Any + Send + Sync>,
}

impl StorageLock {
    /// Creates a lock that is released when `held` is dropped.
    pub fn new(held: impl Any + Send + Sync) -> Self {
        Self { _held: Box::new(held) }
    }
}

impl fmt::Debug for StorageLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StorageLock").finish_non_exhaustive()
    }
}
