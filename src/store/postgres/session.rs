//! One statement on a connection of the pool, within its time.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Object, Pool};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, error::Elapsed, sleep, timeout, timeout_at};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, Row};

use super::error::{Fault, may_be_sent_again};

/// How often a statement is sent again that the server rolled back for the sake of another.
const RETRIES: u32 = 8;

/// How long a connection may take to open, whether or not somebody still waits for it.
const OPENING: Duration = Duration::from_secs(20);

/// A parameter and its type, which the server is told rather than asked.
pub(super) type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// What a connection is for.
#[derive(Clone, Copy)]
pub(super) enum Access {
    Read,
    Write,
}

/// Where connections come from, and how long one may wait for them and for an answer.
#[derive(Clone)]
pub(super) struct Sessions {
    pool: Pool,
    /// Half of the connections: the others are for reads, which go on when every write hangs.
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

    /// How long each of the two may take: a connection, and an answer.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The rows that `statement` gives.
    pub(super) async fn query(
        &self,
        access: Access,
        statement: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, Fault> {
        let mut attempt = 0;
        loop {
            let mut asked = Asked(None);
            let client = asked.on(self.open(access).await?);
            let answer = timeout(self.timeout, client.query_typed(statement, parameters)).await;
            match asked.settle(answer) {
                Err(Fault::Statement(error)) if may_be_sent_again(&error) && attempt < RETRIES => {
                    attempt += 1;
                    sleep(Duration::from_millis(2) * attempt).await;
                }
                outcome => return outcome,
            }
        }
    }

    /// Carry out `script` as one transaction.
    pub(super) async fn execute(&self, script: &str) -> Result<(), Fault> {
        let mut asked = Asked(None);
        let client = asked.on(self.open(Access::Write).await?);
        let answer = timeout(self.timeout, client.batch_execute(script)).await;
        asked.settle(answer)
    }

    /// A connection of the pool, or a new one.
    pub(super) async fn open(&self, access: Access) -> Result<Session, Fault> {
        let until = Instant::now() + self.timeout;
        let right = match access {
            Access::Read => None,
            Access::Write => match timeout_at(until, self.writes.clone().acquire_owned()).await {
                // It is never closed.
                Ok(permit) => permit.ok(),
                Err(_) => return Err(Fault::NoConnection),
            },
        };
        let pool = self.pool.clone();
        let mut opening = Box::pin(async move { Ok(Session { connection: pool.get().await?, _right: right }) });
        match timeout_at(until, &mut opening).await {
            Ok(session) => session.map_err(|error| Fault::Connect(Arc::new(error))),
            Err(_) => {
                // The first host may be silent, and the next one not yet tried: a later caller finds it connected.
                tokio::spawn(timeout(OPENING, opening));
                Err(Fault::NoConnection)
            }
        }
    }
}

/// A connection that one has for oneself, with the right to write on it.
pub(super) struct Session {
    connection: Object,
    _right: Option<OwnedSemaphorePermit>,
}

/// The session that a statement was sent on, until the statement is settled.
///
/// The server goes on with a statement that nobody waits for. Until it is done neither the connection nor the right to write
/// serves another: the next would wait behind it, and with a new connection each time the server would run out of them. No
/// cancel request is sent: it would end the wait for a standby and acknowledge the commit.
struct Asked(Option<Session>);

impl Asked {
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

impl Drop for Asked {
    fn drop(&mut self) {
        let Some(session) = self.0.take() else { return };
        match Handle::try_current() {
            // Answered once all is that was sent before.
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
    /// Not back to the pool: a server that refused may no longer be the primary.
    fn close(self) {
        drop(Object::take(self.connection));
    }
}
