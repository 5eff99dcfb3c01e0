//! The errors of the file, and what they mean for the caller.

use std::error::Error as StdError;
use std::path::Path;
use std::sync::Arc;

use crate::shown::{mode_of, shown_mode, shown_path};
use crate::store::{Record, StoreError};
use redb::{DatabaseError, StorageError};
use std::io;

/// How many jobs may wait for a thread. When more wait, the store returns [`StoreError::Unavailable`], so that the
/// queue stays bounded.
pub(super) const QUEUE: usize = 8192;

/// Why [`RedbStore::open`](super::RedbStore::open) failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RedbOpenError {
    /// This or another process has the file open.
    #[error("token store {path} is already open")]
    AlreadyOpen {
        /// The path of the file.
        path: String,
    },
    /// The file is not a token store, or has a layout that this version does not know.
    #[error("file {path} is not a token store, or has a layout that this version does not know")]
    NotAStore {
        /// The path of the file.
        path: String,
    },
    /// The file is a database that is damaged beyond what redb repairs.
    #[error("token store {path} is damaged")]
    Damaged {
        /// The path of the file.
        path: String,
        /// What is wrong with the file.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The operating system refused to open or create the file.
    #[error("token store {path}{} could not be opened", shown_mode(*mode))]
    Io {
        /// The path of the file.
        path: String,
        /// The permission bits of the file, if they are known.
        mode: Option<u32>,
        /// The error of the operating system.
        source: io::Error,
    },
}

/// The same as [`RedbOpenError`], without the path.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenFault {
    #[error("the file is already open")]
    AlreadyOpen,
    #[error("the file is not a token store")]
    NotAStore,
    #[error("the file is damaged")]
    Damaged(#[source] Box<dyn StdError + Send + Sync>),
    #[error("the operating system refused to open the file")]
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
            // redb reports a wrong magic number like this.
            DatabaseError::Storage(StorageError::Io(e)) if e.kind() == io::ErrorKind::InvalidData => Self::NotAStore,
            DatabaseError::Storage(StorageError::Io(e)) => Self::Io(e),
            other => Self::Damaged(other.into()),
        }
    }
}

/// Why an operation failed.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("the storage engine failed")]
    Engine(#[source] Arc<redb::Error>),
    #[error("the storage engine failed during a commit")]
    Commit(#[source] Arc<redb::Error>),
    #[error("the storage engine panicked")]
    Panic,
    #[error("the file was closed after a failure")]
    Closed(#[source] Arc<Fault>),
    #[error("the file could not be reopened")]
    Reopen(#[source] Arc<OpenFault>),
    #[error("a row is malformed: {0}")]
    Row(&'static str),
    #[error(
        "a record must have at most {} index keys and {} bytes of payload",
        Record::MAX_INDEXES,
        Record::MAX_PAYLOAD
    )]
    TooLarge,
    #[error("at most {QUEUE} operations may wait, and that many do")]
    Overloaded,
    #[error("the thread of the store has ended")]
    Stopped,
}

impl Fault {
    pub(super) fn commit(error: redb::CommitError) -> Self {
        Self::Commit(Arc::new(error.into()))
    }

    /// Whether the engine may be unusable now. A malformed row does not affect other rows.
    pub(super) fn is_of_engine(&self) -> bool {
        matches!(self, Self::Engine(_) | Self::Commit(_) | Self::Panic)
    }

    /// Whether a sync may have failed, after which the cache of the operating system cannot be trusted. A lack of
    /// space, and a failure that redb only repeats, occur before the sync.
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
