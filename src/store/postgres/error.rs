//! The errors of the store, and whether a write may have happened all the same.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::PoolError;
use tokio_postgres::error::{Severity, SqlState};

use crate::store::{Record, StoreError};

/// How long a connection may take, and how long an answer may take.
pub(super) const TIMEOUT: Duration = Duration::from_secs(5);

/// The longest identifier in bytes. PostgreSQL truncates identifiers at 63 bytes, and the longest suffix of an index
/// name takes 11 of them.
pub(super) const MAX_IDENTIFIER: usize = 52;

/// How many jobs may wait. When more wait, the store returns `Unavailable`, so that the queue stays bounded.
pub(super) const WAITING: usize = 8192;

/// Why a [`PostgresStore`](super::PostgresStore) could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PostgresError {
    /// The connection string is malformed. It is not shown, because it may contain a password.
    #[error(
        "connection string must be postgres://user:password@host:port/database or host=… user=…{}; it is not shown, since it may \
         hold a password",
        option.map_or(String::new(), |option| format!(", and option {option} must have a value that it takes"))
    )]
    ConnectionString {
        /// The option whose value is not valid, if that is what is wrong.
        option: Option<&'static str>,
    },
    /// The name of the table is not made of lower-case letters, digits and underscores, or is too long.
    #[error(
        "table must be table or schema.table, each up to {MAX_IDENTIFIER} lower-case letters, digits and underscores and no digit \
         first, got {found}"
    )]
    TableName {
        /// The refused name.
        found: String,
    },
    /// No connection could be opened in time.
    #[error("PostgreSQL at {hosts} did not take a connection within {} s", TIMEOUT.as_secs())]
    Connect {
        /// The hosts and their ports.
        hosts: String,
        /// Why the connection failed.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The table could not be looked up or created.
    #[error("table {table} could not be looked up or created")]
    Schema {
        /// The name of the table.
        table: String,
        /// Why this failed.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The table is not a token store, or has a layout that this version does not know.
    #[error("table {table} must have the comment {expected:?} of a token store, got {found}")]
    UnknownLayout {
        /// The name of the table.
        table: String,
        /// The comment of a table in the layout that this version knows.
        expected: String,
        /// The comment that the table has.
        found: String,
    },
}

/// Why an operation failed.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("no connection became free in time")]
    NoConnection,
    #[error("no connection could be opened")]
    Connect(#[source] Arc<PoolError>),
    #[error("the server did not answer in time")]
    NoAnswer,
    #[error("the statement failed")]
    Statement(#[source] Arc<tokio_postgres::Error>),
    #[error("a row is malformed")]
    Row,
    #[error(
        "a record must have at most {} index keys, {} bytes of payload, and no number above i64::MAX",
        Record::MAX_INDEXES,
        Record::MAX_PAYLOAD
    )]
    TooLarge,
    #[error("at most {WAITING} operations may wait, and that many do")]
    Overloaded,
    #[error("the store must be called on a tokio runtime")]
    NoRuntime,
    #[error("the tokio runtime has ended")]
    Stopped,
    #[error("other transactions keep expired records locked")]
    Locked,
}

/// The value of a column is not of the expected type.
impl From<tokio_postgres::Error> for Fault {
    fn from(_: tokio_postgres::Error) -> Self {
        Self::Row
    }
}

impl Fault {
    pub(super) fn statement(error: tokio_postgres::Error) -> Self {
        Self::Statement(Arc::new(error))
    }

    /// Converts the fault of a statement that writes.
    pub(super) fn of_write(self) -> StoreError {
        let uncertain = match &self {
            // A row of the answer that cannot be read belongs to a write that happened.
            Self::NoAnswer | Self::Stopped | Self::Row => true,
            Self::Statement(error) => !was_rolled_back(error),
            _ => false,
        };
        if uncertain { StoreError::uncertain(self) } else { StoreError::unavailable(self) }
    }
}

/// Whether the server reported that it rolled back the statement, which is a transaction of its own. If it ended the
/// session as well, the commit may have happened before.
fn was_rolled_back(error: &tokio_postgres::Error) -> bool {
    let Some(error) = error.as_db_error() else { return false };
    let in_doubt = error.code().code().starts_with("08")
        || *error.code() == SqlState::T_R_STATEMENT_COMPLETION_UNKNOWN
        || *error.code() == SqlState::TRANSACTION_RESOLUTION_UNKNOWN;
    error.parsed_severity() == Some(Severity::Error) && !in_doubt
}

/// Whether the server rolled the statement back because of another one, so that it may be sent again.
pub(super) fn may_be_sent_again(error: &tokio_postgres::Error) -> bool {
    error
        .code()
        .is_some_and(|code| [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED].contains(code))
}

#[cfg(test)]
mod tests {
    use crate::PostgresStore;

    #[tokio::test]
    async fn connect_error_names_hosts_and_time_and_no_password() {
        let url = "postgres://user:secret@127.0.0.1:1,127.0.0.1:2/auth";
        let Err(error) = PostgresStore::connect(url).await else { panic!("there is no server") };
        let expected = "PostgreSQL at 127.0.0.1:1, 127.0.0.1:2 did not take a connection within 5 s";
        assert_eq!(error.to_string(), expected);
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    }
}
