//! Where a client keeps its credential.

use std::any::Any;
use std::fmt;
use std::path::Path;

use zeroize::Zeroizing;

use super::error::StorageError;

/// A place for one credential, and a lock that every process that uses the place respects.
///
/// The methods block. [`TokenManager`](super::TokenManager) calls them on a thread of their own, so that a disk that
/// is slow, or a prompt of the operating system, holds up nobody but the call that waits for it.
pub trait CredentialStorage: Send + Sync {
    /// Take the lock if nobody has it, in this process or another; `None` if somebody has. It must not wait.
    ///
    /// The lock is free again once the [`StorageLock`] is dropped, and when the process that holds it ends in whatever way.
    fn try_lock(&self) -> Result<Option<StorageLock>, StorageError>;

    /// What was written last, whole; `None` if there is nothing. It is called with and without the lock.
    fn read(&self) -> Result<Option<Zeroizing<Vec<u8>>>, StorageError>;

    /// Replace what is there. It is called with the lock.
    ///
    /// When it returns, `content` must outlive a crash of the process and of the system; when it is cut off, what is there must
    /// be all of the old or all of the new.
    fn write(&self, content: &[u8]) -> Result<(), StorageError>;

    /// The file that the credential is in, if it is in one: for error texts and for nothing else.
    fn path(&self) -> Option<&Path> {
        None
    }

    /// Delete what is there, if anything. It is called with the lock, which must stay usable.
    fn delete(&self) -> Result<(), StorageError>;
}

/// The lock of a [`CredentialStorage`], held until it is dropped.
pub struct StorageLock {
    _held: Box<dyn Any + Send + Sync>,
}

impl StorageLock {
    /// The lock that `held` lets go of when it is dropped.
    pub fn new(held: impl Any + Send + Sync) -> Self {
        Self { _held: Box::new(held) }
    }
}

impl fmt::Debug for StorageLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StorageLock").finish_non_exhaustive()
    }
}
