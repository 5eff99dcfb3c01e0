//! What may go wrong with the file, and what it means for the caller.

use std::error::Error as StdError;
use std::path::Path;
use std::sync::Arc;

use crate::crypto::shown::{mode_of, shown_mode, shown_path};
use crate::store::StoreError;
use redb::{DatabaseError, StorageError};
use std::io;

/// Why [`RedbStore::open`](super::RedbStore::open) failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RedbOpenError {
    /// This or another process has the file open.
    #[error("token store {path} must be open once, and is open already")]
    AlreadyOpen {
        /// The file.
        path: String,
    },
    /// The file is something else than a token store, or one of a layout this version does not know.
    #[error("file {path} is not a token store of a layout that this version knows")]
    NotAStore {
        /// The file.
        path: String,
    },
    /// The file is a database, but damaged beyond what redb repairs.
    #[error("token store {path} is damaged")]
    Damaged {
        /// The file.
        path: String,
        /// What is wrong with it.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The operating system refused.
    #[error("token store {path}{} cannot be opened", shown_mode(*mode))]
    Io {
        /// The file.
        path: String,
        /// Its permission bits, if they can be found out.
        mode: Option<u32>,
        /// Why.
        source: io::Error,
    },
}

/// The same of a file whose name is known elsewhere.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenFault {
    #[error("the file is open already")]
    AlreadyOpen,
    #[error("the file is not a token store")]
    NotAStore,
    #[error("the file is damaged")]
    Damaged(#[source] Box<dyn StdError + Send + Sync>),
    #[error("the operating system refused")]
    Io(#[from] io::Error),
}

impl OpenFault {
    pub(super) fn at(self, path: &Path) -> RedbOpenError {
        let mode = mode_of(path);
        let path = shown_path(path);
        match self {
            Self::AlreadyOpen => RedbOpenError::AlreadyOpen { path },
            Self::NotAStore => RedbOpenError::NotAStore { path },
            Self::Damaged(source) => RedbOpenError::Damaged { path, source },
            Self::Io(source) => RedbOpenError::Io { path, mode, source },
        }
    }
}

impl From<DatabaseError> for OpenFault {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::DatabaseAlreadyOpen => Self::AlreadyOpen,
            // redb's word for a wrong magic number.
            DatabaseError::Storage(StorageError::Io(e)) if e.kind() == io::ErrorKind::InvalidData => Self::NotAStore,
            DatabaseError::Storage(StorageError::Io(e)) => Self::Io(e),
            other => Self::Damaged(other.into()),
        }
    }
}

/// Why an operation failed.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("the storage engine failed: {0}")]
    Engine(#[source] Arc<redb::Error>),
    #[error("the storage engine failed during a commit: {0}")]
    Commit(#[source] Arc<redb::Error>),
    #[error("the storage engine panicked")]
    Panic,
    #[error("the file was closed: {0}")]
    Closed(#[source] Arc<Fault>),
    #[error("the file could not be opened again")]
    Reopen(#[source] Arc<OpenFault>),
    #[error("a row is malformed: {0}")]
    Row(&'static str),
    #[error("too many index keys, or too large a payload")]
    TooLarge,
    #[error("too many operations are waiting")]
    Overloaded,
    #[error("the store's thread has ended")]
    Stopped,
}

impl Fault {
    pub(super) fn commit(error: redb::CommitError) -> Self {
        Self::Commit(Arc::new(error.into()))
    }

    /// Whether the engine may be unusable now. A malformed row says nothing about the others.
    pub(super) fn is_of_engine(&self) -> bool {
        matches!(self, Self::Engine(_) | Self::Commit(_) | Self::Panic)
    }

    /// Whether a sync may have failed, after which the system's cache cannot be trusted. Running out of space, and a failure
    /// that redb only passes on, come before the sync.
    pub(super) fn may_be_failed_sync(&self) -> bool {
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        match self {
            Self::Commit(error) => match &**error {
                redb::Error::Io(e) => !matches!(e.kind(), StorageFull | QuotaExceeded | FileTooLarge),
                _ => false,
            },
            _ => false,
        }
    }
}

impl<E: Into<redb::Error>> From<E> for Fault {
    fn from(error: E) -> Self {
        Self::Engine(Arc::new(error.into()))
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Commit(_) | Fault::Panic => Self::uncertain(fault),
            _ => Self::unavailable(fault),
        }
    }
}
