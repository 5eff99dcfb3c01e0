//! Records in Redis or Valkey: one server, a primary under Sentinel, or a Cluster.
//!
//! | file | concept |
//! |---|---|
//! | `layout` | the stored data: names, records, index entries |
//! | `commit.lua`, `enlist.lua`, `fence.lua`, `confirm.lua`, `purge.lua` | every change to it, each in one step |
//! | `scripts` | calling the scripts |
//! | `write`, `listing`, `purge` | the operations |
//! | `replicated_read` | reads that wait for replicas |
//! | `topology`, `connection` | where the servers are, and the connections to them |
//! | `fault` | the errors, and what they mean for a write |

mod connection;
mod fault;
mod layout;
mod listing;
mod purge;
mod replicated_read;
mod scripts;
mod topology;
mod write;

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::time::Duration;

use redis::Client;
use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::sentinel::{SentinelClient, SentinelServerType};
use tokio::sync::Mutex;

use self::connection::{Replicas, SharedConnection};
pub use self::fault::RedisConnectError;
use self::fault::{Fault, TIMEOUT};
use self::layout::{KeyNames, read};
use self::scripts::Scripts;
use self::topology::Topology;
use super::{Commit, Cursor, Page, Record, Select, StoreError, TokenStore};
use crate::id::RecordKey;
use crate::shown::{shown, shown_url};
use crate::time::Timestamp;

/// The most records in one page, for any limit: a larger answer would take much memory on both sides.
const PAGE: usize = 256;

/// A [`TokenStore`] in Redis (6 or later) or Valkey, for any number of processes.
///
/// ```no_run
/// # async fn open() -> Result<(), mcp_token_lifecycle::RedisConnectError> {
/// use mcp_token_lifecycle::RedisStore;
/// use std::time::Duration;
///
/// let store = RedisStore::connect("redis://tokens.internal/").await?;
/// let store = RedisStore::connect_cluster(["redis://a.internal/", "redis://b.internal/"])
///     .await?
///     .with_min_replicas(1, Duration::from_millis(500));
/// # Ok(()) }
/// ```
///
/// It needs a tokio runtime with time and I/O enabled.
///
/// # Durability
///
/// [`Commit::Applied`] is returned once the primary has the write. What the write survives depends on the servers:
///
/// * A crash of the server: with `appendonly yes` and `appendfsync always`, everything that was acknowledged survives.
///   With `everysec` the last second is lost. Without the append-only file, everything since the last snapshot is lost.
/// * A failover to a replica: *nothing is guaranteed*, because Redis replicates after it has answered. With
///   [`with_min_replicas`](Self::with_min_replicas) a write is acknowledged only after that many replicas have received
///   it.
///
/// A write that is lost after it was acknowledged makes a spent refresh token, or the tokens of a revoked family, valid
/// again without any alarm. The servers must not evict: set `maxmemory-policy noeviction`, because every other policy
/// deletes records.
///
/// # Expiry
///
/// The server deletes a record by itself one day after the record's expiry. If the record has index keys, it does so
/// half a day to a day after the latest expiry that the record had with these index keys, because a listing depends on
/// that time. Until then [`purge`](TokenStore::purge) deletes it, by the clock of the issuer and not by that of the
/// server; the two must differ by less than half a day. So nothing accumulates even if no process purges. The exception
/// is a record that keeps its index keys and once had no end.
///
/// A purge deletes the index entries of a record with the record. An entry that remains has no effect without its
/// record. It is deleted a day after its own expiry, or when a listing finds that it cannot belong to a record. This
/// applies to the entry of a first commit that was interrupted, and to entries that could not be deleted. An entry of a
/// record without an end remains.
///
/// # Failures
///
/// The store returns [`StoreError::Unavailable`] if nothing was written: there was no connection, or the server refuses
/// (`READONLY`, `LOADING`, `NOREPLICAS`, `OOM`, `MISCONF`, …). It returns [`StoreError::Uncertain`] if the connection
/// breaks or the time limit passes after a commit was sent. The next operation reopens a broken connection. In a
/// Cluster a commit follows redirections, and is sent again for a third of a second while the nodes refuse it. A
/// command that may have been carried out is not sent twice.
///
/// A server that becomes a replica must close its connections (`CLIENT KILL TYPE normal`), as Sentinel makes it do.
/// Otherwise reads continue there until a commit is refused.
///
/// # Cost
///
/// A read takes one round trip. So does a commit that leaves index keys and expiry unchanged, like nearly every
/// rotation. A new record takes one more for each index key. The store has two connections: one for reads, one for
/// writes. [`with_min_replicas`](Self::with_min_replicas) has further costs.
///
/// # Security
///
/// Keys, index keys, versions and expiries are in the clear; payloads are stored as given, and the issuer seals them.
/// None of them, nor the command log of the server, contains a subject or a token. Anyone who can write to the server
/// can restore it to an earlier state: give access only to the issuers (`ACL`, TLS).
pub struct RedisStore {
    /// For commands that may be sent twice and do not wait for replicas.
    reads: SharedConnection,
    /// For commits, and for reads that wait for replicas.
    writes: SharedConnection,
    scripts: Scripts,
    names: KeyNames,
    timeout: Duration,
    replicas: Option<Replicas>,
    /// The number of the next attempt to commit. It starts at a random number, so that no two processes use the same.
    attempts: AtomicU64,
    /// The shard where the next purge begins: the one where the last purge reached its limit.
    shard: AtomicUsize,
}

impl RedisStore {
    /// Connects to one server: `redis://[user:password@]host[:port][/database]`, or `rediss://` if the application
    /// builds the driver with one of its TLS features.
    ///
    /// # Errors
    ///
    /// [`RedisConnectError::Address`] if the URL is not valid, [`RedisConnectError::Unreachable`] if the server does
    /// not answer within two seconds.
    pub async fn connect(url: &str) -> Result<Self, RedisConnectError> {
        let address = shown_url(url);
        let client = Client::open(url).map_err(|error| RedisConnectError::address(&address, error))?;
        Self::from_client(client).reached(&address).await
    }

    /// Connects to the primary of `service` as the Sentinels at `urls` know it, now and after each failover.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub async fn connect_sentinel<'a>(
        urls: impl IntoIterator<Item = &'a str>,
        service: &str,
    ) -> Result<Self, RedisConnectError> {
        let urls: Vec<_> = urls.into_iter().collect();
        let address = format!("{} (service {})", shown_urls(&urls), shown(service));
        let client = SentinelClient::build(urls, service.to_owned(), None, SentinelServerType::Master);
        let client = client.map_err(|error| RedisConnectError::address(&address, error))?;
        Self::from_sentinel_client(client).reached(&address).await
    }

    /// Connects to the Cluster that the nodes at `urls` belong to. One node is enough; more are useful if it is down.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub async fn connect_cluster<'a>(urls: impl IntoIterator<Item = &'a str>) -> Result<Self, RedisConnectError> {
        let urls: Vec<_> = urls.into_iter().collect();
        let address = shown_urls(&urls);
        Self::cluster(&address, || ClusterClient::builder(urls.iter().copied()))?.reached(&address).await
    }

    /// Uses a client that the application has created. It connects when it is first used.
    pub fn from_client(client: Client) -> Self {
        Self::on(Topology::Server(client.clone()), Topology::Server(client))
    }

    /// Uses a client under Sentinel, as [`from_client`](Self::from_client). The client must be one for the primary.
    pub fn from_sentinel_client(client: SentinelClient) -> Self {
        let topology = Arc::new(Mutex::new(Topology::Sentinel(client)));
        Self::linked(Arc::clone(&topology), topology)
    }

    /// Uses a client of a Cluster, as [`from_client`](Self::from_client).
    ///
    /// The store sets timeouts and retries itself, because a commit must not be sent twice unnoticed. The clients must
    /// not read from replicas: a replica lags, and with a stale read a revoked session stays usable.
    ///
    /// # Errors
    ///
    /// [`RedisConnectError::Address`] if the driver refuses the configuration.
    pub fn from_cluster(client: impl Fn() -> ClusterClientBuilder) -> Result<Self, RedisConnectError> {
        Self::cluster("the client of a Cluster", client)
    }

    fn cluster(address: &str, client: impl Fn() -> ClusterClientBuilder) -> Result<Self, RedisConnectError> {
        let client = || client().overall_response_timeout(None);
        let (reads, writes) = (client().build(), client().retries(0).build());
        let [reads, writes] =
            [reads, writes].map(|client| client.map_err(|error| RedisConnectError::address(address, error)));
        Ok(Self::on(Topology::Cluster(reads?), Topology::Cluster(writes?)))
    }

    fn on(reads: Topology, writes: Topology) -> Self {
        Self::linked(Arc::new(Mutex::new(reads)), Arc::new(Mutex::new(writes)))
    }

    fn linked(reads: Arc<Mutex<Topology>>, writes: Arc<Mutex<Topology>>) -> Self {
        Self {
            reads: SharedConnection::new(reads, TIMEOUT),
            writes: SharedConnection::new(writes, TIMEOUT),
            timeout: TIMEOUT,
            replicas: None,
            scripts: Scripts::new(),
            names: KeyNames::new("mcp-tokens"),
            attempts: AtomicU64::new(RandomState::new().hash_one(())),
            shard: AtomicUsize::new(0),
        }
    }

    async fn reached(self, address: &str) -> Result<Self, RedisConnectError> {
        match self.reads.ask(&redis::cmd("PING")).await {
            Ok(_) => Ok(self),
            Err(failure) => {
                let (address, source) = (address.to_owned(), failure.fault.into());
                Err(RedisConnectError::Unreachable { address, source })
            }
        }
    }

    /// Sets the prefix of all key names, which a colon follows; the default is `mcp-tokens`. It should not contain
    /// braces, which determine the slot in a Cluster.
    #[must_use]
    pub fn with_prefix(self, prefix: &str) -> Self {
        Self { names: KeyNames::new(prefix), ..self }
    }

    /// Sets the time limit of each command, and of the wait for a connection; the default is 2 seconds for each.
    /// Connecting continues after the limit: with a Sentinel or a node that hangs it may take a few seconds.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }.timed()
    }

    /// Acknowledges a commit only after `count` replicas have received it (`WAIT`).
    ///
    /// The time limit of a commit grows by `patience`. If the replicas have not received the commit by then, the store
    /// returns [`StoreError::Uncertain`]: the primary has the write, and a failover may lose it. If they have not
    /// received a new index entry, it returns [`StoreError::Unavailable`], because the record is not written then.
    ///
    /// An acknowledged write is lost only if the primary and these `count` replicas fail together, or if a replica is
    /// promoted that has not received the write. If `count` is the number of replicas of each primary, there is no such
    /// replica. A replica has the write in memory, and on its disk if it keeps an append-only file. All processes must
    /// use the same `count`.
    ///
    /// A read does not return a write that may still be lost: a repeated request would find its work done, write
    /// nothing and report success. A record contains the number of replicas that are known to have it. Reading a record
    /// that too few replicas have waits for them first, and returns [`StoreError::Unavailable`] if they do not have it
    /// in time. Other reads do not wait.
    ///
    /// Each commit takes longer by a round trip between the servers, and by one to note the number of replicas.
    /// Commands that wait share a connection and wait in turn; reads have their own. To make a primary without replicas
    /// refuse writes, also set `min-replicas-to-write` on the servers; a commit is then [`StoreError::Unavailable`].
    #[must_use]
    pub fn with_min_replicas(self, count: usize, patience: Duration) -> Self {
        // For WAIT zero means no limit.
        let patience = patience.max(Duration::from_millis(1));
        Self { replicas: Some(Replicas { count, patience }), ..self }.timed()
    }

    fn timed(self) -> Self {
        let patience = self.replicas.map_or(Duration::ZERO, |replicas| replicas.patience);
        let reads = self.reads.within(self.timeout, Duration::ZERO);
        let writes = self.writes.within(self.timeout, patience);
        Self { reads, writes, ..self }
    }
}

fn shown_urls(urls: &[&str]) -> String {
    urls.iter().map(|url| shown_url(url)).collect::<Vec<_>>().join(", ")
}

impl TokenStore for RedisStore {
    async fn get(&self, key: RecordKey) -> Result<Option<Record>, StoreError> {
        let found = read(self.reads.ask(redis::cmd("GET").arg(self.names.record(key))).await?)?;
        Ok(self.read_replicated(key, found).await?.map(|row| row.record))
    }

    async fn commit(&self, record: Record) -> Result<Commit, StoreError> {
        if !record.is_within_limits() {
            return Err(Fault::TooLarge.into());
        }
        self.write(record).await
    }

    async fn list(&self, select: Select, after: Option<Cursor>, limit: usize) -> Result<Page, StoreError> {
        let limit = limit.clamp(1, PAGE);
        match select {
            Select::All => self.list_all(after, limit).await,
            Select::Index(index) => self.list_index(index, after, limit).await,
        }
    }

    async fn purge(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.delete(now, limit.max(1)).await
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("prefix", &self.names.prefix)
            .field("replicas", &self.replicas)
            .finish_non_exhaustive()
    }
}
