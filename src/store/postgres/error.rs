//! What goes wrong, and whether the write may have happened all the same.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::PoolError;
use tokio_postgres::error::{Severity, SqlState};

use crate::store::StoreError;

/// How long each of the two, a connection and an answer, may take.
pub(super) const TIMEOUT: Duration = Duration::from_secs(5);

/// PostgreSQL cuts identifiers at 63 bytes; the longest suffix of an index name needs 11 of them.
pub(super) const MAX_IDENTIFIER: usize = 52;

/// Why a [`PostgresStore`](super::PostgresStore) could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PostgresError {
    /// The connection string is malformed. It is not shown, for it may hold a password.
    #[error(
        "connection string must be postgres://user:password@host:port/database or host=… user=…{}; it is not shown, since it may \
         hold a password",
        option.map_or(String::new(), |option| format!(", and option {option} must have a value that it takes"))
    )]
    ConnectionString {
        /// The option with a value that it does not take, if that is what is wrong.
        option: Option<&'static str>,
    },
    /// The name of the table is not made of lower-case letters, digits and underscores, or is too long.
    #[error(
        "table must be table or schema.table, each up to {MAX_IDENTIFIER} lower-case letters, digits and underscores and no digit \
         first, got {found}"
    )]
    TableName {
        /// What it is.
        found: String,
    },
    /// There is no connection to be had.
    #[error("PostgreSQL at {hosts} must take a connection within {} s, and does not", TIMEOUT.as_secs())]
    Connect {
        /// Hosts and ports.
        hosts: String,
        /// Why not.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The table could not be looked up or created.
    #[error("table {table} could not be created")]
    Schema {
        /// Its name.
        table: String,
        /// Why not.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The table is something else than a token store, or one of a layout this version does not know.
    #[error("table {table} must have the comment {expected:?} of a token store, got {found}")]
    UnknownLayout {
        /// Its name.
        table: String,
        /// The comment of a table in the layout that this version knows.
        expected: String,
        /// The comment that it has.
        found: String,
    },
}

/// Why an operation failed.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("there was no connection to be had in time")]
    NoConnection,
    #[error("there is no connection to be had: {0}")]
    Connect(#[source] Arc<PoolError>),
    #[error("there was no answer in time")]
    NoAnswer,
    #[error("the statement failed: {0}")]
    Statement(#[source] Arc<tokio_postgres::Error>),
    #[error("a row is malformed")]
    Row,
    #[error("too many index keys, too large a payload, or too large a number")]
    TooLarge,
    #[error("too many operations are waiting")]
    Overloaded,
    #[error("there is no tokio runtime here")]
    NoRuntime,
    #[error("the runtime has ended")]
    Stopped,
    #[error("expired records are locked by others")]
    Locked,
}

/// Of a value that is not what the column should hold.
impl From<tokio_postgres::Error> for Fault {
    fn from(_: tokio_postgres::Error) -> Self {
        Self::Row
    }
}

impl Fault {
    pub(super) fn statement(error: tokio_postgres::Error) -> Self {
        Self::Statement(Arc::new(error))
    }

    /// After a statement that writes.
    pub(super) fn of_write(self) -> StoreError {
        let uncertain = match &self {
            // A row that cannot be read is one that was written.
            Self::NoAnswer | Self::Stopped | Self::Row => true,
            Self::Statement(error) => !was_rolled_back(error),
            _ => false,
        };
        if uncertain { StoreError::uncertain(self) } else { StoreError::unavailable(self) }
    }
}

/// Whether the server itself said that the statement, a transaction of its own, came to nothing. When it ends the session
/// as well, the commit may have come before.
fn was_rolled_back(error: &tokio_postgres::Error) -> bool {
    let Some(error) = error.as_db_error() else { return false };
    let in_doubt = error.code().code().starts_with("08")
        || *error.code() == SqlState::T_R_STATEMENT_COMPLETION_UNKNOWN
        || *error.code() == SqlState::TRANSACTION_RESOLUTION_UNKNOWN;
    error.parsed_severity() == Some(Severity::Error) && !in_doubt
}

/// Whether the server rolled the statement back for the sake of another one, so that it may simply be sent again.
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
        let expected = "PostgreSQL at 127.0.0.1:1, 127.0.0.1:2 must take a connection within 5 s, and does not";
        assert_eq!(error.to_string(), expected);
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    }
}
