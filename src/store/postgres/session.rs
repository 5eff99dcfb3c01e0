//! One statement on a connection of the pool, within its time.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Object, Pool};
use tokio::time::{sleep, timeout};
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use super::error::{Fault, may_be_sent_again};

/// How often a statement is sent again that the server rolled back for the sake of another.
const RETRIES: u32 = 8;

/// A parameter and its type, which the server is told rather than asked.
pub(super) type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// Where connections come from, and how long one may wait for them and for an answer.
#[derive(Clone)]
pub(super) struct Sessions {
    pub(super) pool: Pool,
    pub(super) timeout: Duration,
}

impl Sessions {
    /// The rows that `statement` gives.
    pub(super) async fn query(&self, statement: &str, parameters: &[Parameter<'_>]) -> Result<Vec<Row>, Fault> {
        let mut attempt = 0;
        loop {
            let session = self.open().await?;
            let failure = match timeout(self.timeout, session.query_typed(statement, parameters)).await {
                Ok(Ok(rows)) => return Ok(rows),
                Ok(Err(error)) if may_be_sent_again(&error) && attempt < RETRIES => {
                    drop(session);
                    attempt += 1;
                    sleep(Duration::from_millis(2) * attempt).await;
                    continue;
                }
                Ok(Err(error)) => Fault::statement(error),
                Err(_) => Fault::NoAnswer,
            };
            // Not back to the pool: the next would wait behind what this one waited for, and a server that refused may no
            // longer be the primary. No cancel request either: it would end the wait for a standby and acknowledge the commit.
            drop(Object::take(session));
            return Err(failure);
        }
    }

    /// A connection of the pool, or a new one.
    pub(super) async fn open(&self) -> Result<Object, Fault> {
        match timeout(self.timeout, self.pool.get()).await {
            Ok(session) => session.map_err(|error| Fault::Connect(Arc::new(error))),
            Err(_) => Err(Fault::NoConnection),
        }
    }
}
