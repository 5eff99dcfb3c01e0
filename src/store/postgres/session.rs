//! One statement on a connection of the pool, within its time limit.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Object, Pool};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, error::Elapsed, sleep, timeout, timeout_at};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, Row};

use super::error::{Fault, may_be_sent_again};

/// How often a statement is sent again if the server rolled it back because of another one.
const RETRIES: u32 = 8;

/// How long a connection may take to open, even if its caller does not wait for it any more.
const OPENING: Duration = Duration::from_secs(20);

/// A parameter with its type. Giving the type saves asking the server for it.
pub(super) type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// What a connection is used for.
#[derive(Clone, Copy)]
pub(super) enum Access {
    Read,
    Write,
}

/// The source of connections, and the time limit for a connection and for an answer.
#[derive(Clone)]
pub(super) struct Sessions {
    pool: Pool,
    /// Permits for half of the connections. The other half is for reads, which continue when every write hangs.
    writes: Arc<Semaphore>,
    timeout: Duration,
}

impl Sessions {
    pub(super) fn new(pool: Pool, timeout: Duration) -> Self {
        let writes = Arc::new(Semaphore::new((pool.status().max_size / 2).max(1)));
        Self { pool, writes, timeout }
    }

    pub(super) fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Returns how long a connection may take, and how long an answer may take.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Returns the rows of `statement`.
    pub(super) async fn query(
        &self,
        access: Access,
        statement: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, Fault> {
        let mut attempt = 0;
        loop {
            let mut pending = PendingStatement(None);
            let client = pending.on(self.open(access).await?);
            let answer = timeout(self.timeout, client.query_typed(statement, parameters)).await;
            match pending.settle(answer) {
                Err(Fault::Statement(error)) if may_be_sent_again(&error) && attempt < RETRIES => {
                    attempt += 1;
                    sleep(Duration::from_millis(2) * attempt).await;
                }
                outcome => return outcome,
            }
        }
    }

    /// Runs `script` as one transaction.
    pub(super) async fn execute(&self, script: &str) -> Result<(), Fault> {
        let mut pending = PendingStatement(None);
        let client = pending.on(self.open(Access::Write).await?);
        let answer = timeout(self.timeout, client.batch_execute(script)).await;
        pending.settle(answer)
    }

    /// Takes a connection from the pool, which opens one if necessary.
    pub(super) async fn open(&self, access: Access) -> Result<Session, Fault> {
        let until = Instant::now() + self.timeout;
        let right = match access {
            Access::Read => None,
            Access::Write => match timeout_at(until, self.writes.clone().acquire_owned()).await {
                // The semaphore is never closed.
                Ok(permit) => permit.ok(),
                Err(_) => return Err(Fault::NoConnection),
            },
        };
        let pool = self.pool.clone();
        let mut opening = Box::pin(async move { Ok(Session { connection: pool.get().await?, _right: right }) });
        match timeout_at(until, &mut opening).await {
            Ok(session) => session.map_err(|error| Fault::Connect(Arc::new(error))),
            Err(_) => {
                // The first host may be silent, and the next one not tried yet. So the attempt continues, and a later
                // caller finds the connection open.
                tokio::spawn(timeout(OPENING, opening));
                Err(Fault::NoConnection)
            }
        }
    }
}

/// An exclusive connection, with the permit to write on it.
pub(super) struct Session {
    connection: Object,
    _right: Option<OwnedSemaphorePermit>,
}

/// The session that a statement was sent on, until the statement is settled.
///
/// The server continues a statement whose caller has gone. Until it is done, neither the connection nor the permit to
/// write is given to another statement: that one would wait behind it, and with a new connection each time the server
/// would run out of connections. No cancel request is sent: it would end the wait for a standby and acknowledge the
/// commit.
struct PendingStatement(Option<Session>);

impl PendingStatement {
    fn on(&mut self, session: Session) -> &Client {
        &self.0.insert(session).connection
    }

    fn settle<T>(mut self, answer: Result<Result<T, Error>, Elapsed>) -> Result<T, Fault> {
        match answer {
            Ok(Ok(rows)) => {
                self.0 = None;
                Ok(rows)
            }
            Ok(Err(error)) => {
                if let Some(session) = self.0.take().filter(|_| !may_be_sent_again(&error)) {
                    session.close();
                }
                Err(Fault::statement(error))
            }
            Err(_) => Err(Fault::NoAnswer),
        }
    }
}

impl Drop for PendingStatement {
    fn drop(&mut self) {
        let Some(session) = self.0.take() else { return };
        match Handle::try_current() {
            // The server answers this query once it has answered everything that was sent before.
            Ok(runtime) => drop(runtime.spawn(async move {
                if session.connection.simple_query("").await.is_err() {
                    session.close();
                }
            })),
            Err(_) => session.close(),
        }
    }
}

impl Session {
    /// Closes the connection instead of returning it to the pool: a server that refused may not be the primary any
    /// more.
    fn close(self) {
        drop(Object::take(self.connection));
    }
}
