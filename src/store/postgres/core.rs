//! The parts that the workers share: the table, the sessions, and the waiting jobs.

use super::session::Sessions;
use super::statements::Statements;
use super::table::TableName;
use super::workers::Workers;
use crate::id::RecordKey;
use crate::store::contract::{Commit, Record, StoreError};
use futures_channel::oneshot;
use std::sync::Arc;
use std::time::Duration;
/// The channel for an answer. The receiver may be gone; work that has begun is finished all the same.
pub(super) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// A lookup of a key, and the channel for its answer.
pub(super) struct Read {
    pub(super) key: RecordKey,
    pub(super) reply: Reply<Option<Record>>,
}

/// A commit of a record, and the channel for its answer.
pub(super) struct Write {
    pub(super) record: Record,
    pub(super) reply: Reply<Commit>,
}

/// The parts that the workers share.
pub(super) struct Core {
    pub(super) table: TableName,
    pub(super) statements: Statements,
    pub(super) sessions: Sessions,
    pub(super) reads: Arc<Workers<Read>>,
    pub(super) inserts: Arc<Workers<Write>>,
    pub(super) replacements: Arc<Workers<Write>>,
}

impl Core {
    /// How long a caller waits at most: for one statement of others and for its own, each with its connection.
    pub(super) fn limit(&self) -> Duration {
        self.sessions.timeout() * 4
    }
}
