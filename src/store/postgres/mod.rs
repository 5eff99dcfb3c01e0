//! Records in PostgreSQL, for any number of processes on any number of machines.
//!
//! | file | concept |
//! |---|---|
//! | `table` | the table: its name, its layout, how it is created |
//! | `statements` | every statement, complete in itself |
//! | `address` | the connection string, and the defaults for what it leaves open |
//! | `session` | one statement on a connection of the pool, within its time limit |
//! | `workers` | the tasks that take the waiting jobs |
//! | `writer` | many commits, one statement; the purge |
//! | `reader` | many reads, one statement; the listings |
//! | `error` | the errors, and whether a write may have happened all the same |

use self::core::{Read, Write};
pub use self::error::PostgresError;
use self::error::{Fault, TIMEOUT};
use self::session::{Access, Sessions};
use self::statements::Statements;
use self::table::TableName;
use self::workers::Workers;
use super::{Commit, Cursor, Page, Record, Select, StoreError, TokenStore};
use crate::id::RecordKey;
use crate::store::postgres::core::Core;
use crate::time::Timestamp;
mod address;
mod core;
mod error;
mod reader;
mod session;
mod statements;
mod table;
mod workers;
mod writer;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod};
use futures_channel::oneshot;
use tokio_postgres::NoTls;

/// How many connections [`PostgresStore::connect`] opens at most. Commits and reads share statements, so they need few.
const CONNECTIONS: usize = 8;

/// A [`TokenStore`] in a PostgreSQL table (version 12 or newer), for more than one process or machine.
///
/// ```no_run
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// use mcp_token_lifecycle::PostgresStore;
///
/// let store = PostgresStore::connect("postgres://tokens@db1,db2/auth").await?;
/// store.create_schema().await?;
/// # Ok(()) }
/// ```
///
/// # Durability
///
/// [`Commit::Applied`] is returned after the server has committed, with the durability that the server is configured
/// for. With `synchronous_commit` at `on` or higher (the default) the write survives a crash of the server. It survives
/// the loss of the server only with a synchronous standby (`synchronous_standby_names`) that is then promoted. An
/// asynchronous standby may lack the last rotations, and a rotation or revocation that is lost makes a spent token
/// valid again.
///
/// # Concurrency
///
/// A commit is one statement that compares and swaps. Commits that arrive while one is in progress share the next
/// statement, and so do reads, so the throughput grows with the number of callers. A refresh takes two round trips.
/// Half of the connections are for reads alone, so reads continue when commits hang. No statement is prepared and no
/// transaction spans two statements, so PgBouncer may be used in transaction mode. A statement that the server rolled
/// back because of another transaction (SQLSTATE 40001 and 40P01) is sent again.
///
/// # Runtime
///
/// The futures need a tokio runtime with I/O and time enabled; without one they fail. The connections belong to the
/// runtime that they were opened on, and end with it; a caller on another runtime opens new ones. A commit whose future
/// is dropped is carried out as a whole or not at all. When more than 8,192 reads or writes wait, further ones return
/// [`StoreError::Unavailable`].
///
/// # Failures
///
/// The store returns [`StoreError::Unavailable`] if there was no connection, or if the server reported that it rolled
/// back the statement. It returns [`StoreError::Uncertain`] if the connection broke when the commit was sent or later,
/// or if no answer came in time. A connection that was closed while it was idle is replaced without an error. A later
/// operation opens a new connection. If the connection string has several hosts, that is a connection to the host that
/// accepts writes.
///
/// A statement whose caller has gone continues on the server. It keeps its connection until it is done. So the server
/// never has more sessions than the pool allows, and commits return `Unavailable` while all connections for commits
/// hang.
///
/// The [time limit](Self::with_timeout) applies on the client side. For the server side set `statement_timeout` and
/// `lock_timeout` for the role, or in the connection string (`options=-c%20statement_timeout%3D5s`). Never cancel a
/// commit on the server (`pg_cancel_backend`) while it waits for a standby: PostgreSQL then acknowledges the commit
/// without the standby.
///
/// # Security
///
/// Keys, index keys, versions and expiries are in the clear: random numbers, keyed hashes, and times. Payloads are
/// stored as given, and the issuer seals them. No token, subject or client is in a column, a statement or its
/// parameters, so the log of the server may contain them all. The role needs `SELECT`, `INSERT`, `UPDATE` and `DELETE`
/// on the one table. It does not need the right to create the table if that is created by hand
/// ([`schema_sql`](Self::schema_sql)). [`connect`](Self::connect) uses plain text, for a server on the same host or on
/// a network that encrypts by itself. For TLS give [`from_pool`](Self::from_pool) a pool with a TLS connector.
#[derive(Clone)]
pub struct PostgresStore(Arc<Core>);

impl PostgresStore {
    /// Connects, without TLS, to the server of a connection string:
    /// `postgres://user:password@host:port,host:port/database` or `host=… user=…`. Of several hosts it uses the one
    /// that accepts writes; the setting `target_session_attrs` is ignored.
    ///
    /// Unless the string sets them, `connect_timeout` is a share of five seconds for each host, and a host that gives
    /// no sign of life for five seconds is given up (`tcp_user_timeout`, and keepalives every second).
    ///
    /// # Errors
    ///
    /// * [`PostgresError::ConnectionString`] if the string is malformed.
    /// * [`PostgresError::Connect`] if no connection opens within five seconds.
    pub async fn connect(url: &str) -> Result<Self, PostgresError> {
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let config = address::config(url)?;
        let hosts = address::hosts(&config);
        let failed = |source| PostgresError::Connect { hosts: hosts.clone(), source };
        let pool = Pool::builder(Manager::from_config(config, NoTls, recycling)).max_size(CONNECTIONS);
        let store = Self::from_pool(pool.build().map_err(|error| failed(error.into()))?);
        let _back_to_the_pool = store.0.sessions.open(Access::Read).await.map_err(|fault| failed(fault.into()))?;
        Ok(store)
    }

    /// Uses the connections of `pool`: for TLS, or to share a pool.
    ///
    /// The pool needs at least four connections, because half of them are for reads alone. With several hosts, set
    /// `target_session_attrs=read-write`, and a `connect_timeout` by which a silent host is given up. With
    /// `tcp_user_timeout` and keepalives of a few seconds, a connection to a host that is gone is soon replaced.
    /// [`connect`](Self::connect) sets all four.
    pub fn from_pool(pool: Pool) -> Self {
        Self::new(TableName::default(), Sessions::new(pool, TIMEOUT))
    }

    fn new(table: TableName, sessions: Sessions) -> Self {
        let statements = Statements::of(&table);
        let (reads, inserts, replacements) = (Workers::new(), Workers::new(), Workers::new());
        Self(Arc::new(Core { table, statements, sessions, reads, inserts, replacements }))
    }

    /// Sets the name of the table instead of `mcp_token_records`: `table` or `schema.table`.
    ///
    /// # Errors
    ///
    /// [`PostgresError::TableName`] unless each part consists of lower-case letters, digits and underscores, does not
    /// begin with a digit, and has at most 52 bytes.
    pub fn with_table(self, name: &str) -> Result<Self, PostgresError> {
        Ok(Self::new(TableName::parse(name)?, self.0.sessions.clone()))
    }

    /// Sets the time limit for a connection and, separately, for an answer; the default is five seconds. A caller that
    /// must also wait for the statement before its own waits for at most four times the limit.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self::new(self.0.table.clone(), self.0.sessions.clone().with_timeout(timeout))
    }

    /// Creates the table and its indexes if they are missing, within the time limit for each of two statements.
    ///
    /// Call it at every start: for a table of the current layout it costs one read, and needs no right to create
    /// anything.
    ///
    /// # Errors
    ///
    /// * [`PostgresError::Schema`] if the table cannot be looked up or created.
    /// * [`PostgresError::UnknownLayout`] if the table is not a token store of the layout that this version knows.
    pub async fn create_schema(&self) -> Result<(), PostgresError> {
        let Core { table, sessions, .. } = &*self.0;
        let failed = |fault: Fault| PostgresError::Schema { table: table.quoted(), source: fault.into() };
        let rows = sessions.query(Access::Read, &table.comment(), &[]).await.map_err(failed)?;
        match rows.first().map(|row| row.try_get(0)).transpose() {
            Ok(None) => sessions.execute(&table.create_once()).await.map_err(failed),
            Ok(Some(comment)) => table.check_layout(comment),
            Err(error) => Err(failed(Fault::statement(error))),
        }
    }

    /// Returns the statements that [`create_schema`](Self::create_schema) sends, for those who migrate by hand.
    pub fn schema_sql(&self) -> String {
        self.0.table.create()
    }
}

impl TokenStore for PostgresStore {
    async fn get(&self, key: RecordKey) -> Result<Option<Record>, StoreError> {
        let (reply, answer) = oneshot::channel();
        let core = self.0.clone();
        let work = move |jobs| {
            let core = core.clone();
            async move { core.look_up(jobs).await }
        };
        self.0.reads.ask(Read { key, reply }, answer, self.0.limit(), work).await.map_err(StoreError::unavailable)?
    }

    async fn commit(&self, record: Record) -> Result<Commit, StoreError> {
        let bounded = [record.version, record.expires_at.as_unix()].iter().all(|number| i64::try_from(*number).is_ok());
        if !bounded || !record.is_within_limits() {
            return Err(StoreError::unavailable(Fault::TooLarge));
        }
        let (reply, answer) = oneshot::channel();
        let (core, first) = (self.0.clone(), record.version == 1);
        let queue = if first { &self.0.inserts } else { &self.0.replacements };
        let work = move |jobs| {
            let core = core.clone();
            async move {
                match first {
                    true => core.write(&core.statements.insert, &core.inserts, jobs).await,
                    false => core.write(&core.statements.replace, &core.replacements, jobs).await,
                }
            }
        };
        queue.ask(Write { record, reply }, answer, self.0.limit(), work).await.map_err(Fault::of_write)?
    }

    async fn list(&self, select: Select, after: Option<Cursor>, limit: usize) -> Result<Page, StoreError> {
        self.0.page(select, after, limit).await.map_err(StoreError::unavailable)
    }

    async fn purge(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let mut removed = 0;
        match self.0.purge(now, limit.max(1), &mut removed).await {
            Ok(()) => Ok(removed),
            Err(fault) if removed == 0 => Err(fault.of_write()),
            Err(fault) => Err(StoreError::uncertain(fault)),
        }
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").field("table", &self.0.table.quoted()).finish_non_exhaustive()
    }
}
