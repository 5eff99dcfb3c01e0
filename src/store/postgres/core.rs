//! What the workers share: the table, the sessions, and the jobs that wait.

use super::queue::Queue;
use super::session::Sessions;
use super::statements::Statements;
use super::table::TableName;
use crate::id::RecordKey;
use crate::store::contract::{Commit, Record, StoreError};
use futures_channel::oneshot;
use std::sync::Arc;
use std::time::Duration;
/// Where an answer goes. Nobody may be listening any more: what was begun is done all the same.
pub(super) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// A key that is looked up, and who asked.
pub(super) struct Read {
    pub(super) key: RecordKey,
    pub(super) reply: Reply<Option<Record>>,
}

/// A record that is committed, and who asked.
pub(super) struct Write {
    pub(super) record: Record,
    pub(super) reply: Reply<Commit>,
}

/// What the workers share.
pub(super) struct Core {
    pub(super) table: TableName,
    pub(super) statements: Statements,
    pub(super) sessions: Sessions,
    pub(super) reads: Arc<Queue<Read>>,
    pub(super) inserts: Arc<Queue<Write>>,
    pub(super) replacements: Arc<Queue<Write>>,
}

impl Core {
    /// For how long a caller waits: for one statement of others and one's own, each with its connection.
    pub(super) fn limit(&self) -> Duration {
        self.sessions.timeout() * 4
    }
}
