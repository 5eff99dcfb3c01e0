//! Records in Redis or Valkey: one server, a primary under Sentinel, or a Cluster.
//!
//! | file | concept |
//! |---|---|
//! | `row` | what is stored: names, records, index entries |
//! | `commit.lua`, `enlist.lua`, `fence.lua`, `confirm.lua`, `purge.lua` | every change to it, each in one step |
//! | `scripts` | calling them |
//! | `write`, `listing`, `purge` | the operations |
//! | `fence` | what is read, where replicas have to have it |
//! | `source`, `link` | connections, and connecting again |
//! | `fault` | what an error says about a write |

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

use self::connection::{Link, Replicas};
pub use self::fault::RedisConnectError;
use self::fault::{Fault, TIMEOUT};
use self::layout::{KeyNames, read};
use self::scripts::Scripts;
use self::topology::Source;
use super::{Commit, Cursor, Page, Record, Select, StoreError, TokenStore};
use crate::crypto::shown::{shown, shown_url};
use crate::id::RecordKey;
use crate::time::Timestamp;

/// Records in one answer, whatever the caller's limit: large ones would fill the memory of both sides.
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
/// It takes a tokio runtime, with time and I/O enabled.
///
/// # Durability
///
/// [`Commit::Applied`] is answered once the primary has the write. What that outlives is up to the servers:
///
/// * A crash of the server: with `appendonly yes` and `appendfsync always`, everything that was acknowledged. With
///   `everysec`, the last second is lost; without the log, everything since the last snapshot.
/// * A failover to a replica: *nothing is promised*. Redis replicates after it has answered. With
///   [`with_min_replicas`](Self::with_min_replicas), a write is acknowledged only after that many replicas have received
///   it; see there.
///
/// A write that is lost after it was acknowledged brings a spent refresh token, or a revoked family, back to life
/// without any alarm. The servers must not evict: set `maxmemory-policy noeviction`, since every other policy takes
/// records away.
///
/// # Expiry
///
/// The server removes a record by itself: a day after its expiry, or, while it has index keys, half a day to a day after the
/// latest expiry that it had with them, for a listing goes by that. Until then [`purge`](TokenStore::purge) removes it,
/// by the issuer's clock and not by the server's; the two should not be half a day apart. So nothing grows if nobody ever purges,
/// but for records that keep index keys and once were to last for ever.
///
/// Index entries go with the record that is purged. What is left of them otherwise does not count without the record, and
/// ends a day after it would have, or when a listing finds that nothing can stand behind it. Of a first commit that
/// broke off half way the entry stays that long, and so does what could not be removed; if the record was to last for
/// ever, it stays.
///
/// # Failures
///
/// [`StoreError::Unavailable`] when nothing was written: no connection, or the server refuses (`READONLY`, `LOADING`,
/// `NOREPLICAS`, `OOM`, `MISCONF`, …). [`StoreError::Uncertain`] when the connection breaks or the time is up after a
/// commit was sent. A broken connection is made again by the next operation. In a Cluster a commit follows
/// redirections, and is sent again for a third of a second while the nodes refuse it; nothing that may have been
/// carried out is sent twice.
///
/// A server that is told to follow another must cut its connections (`CLIENT KILL TYPE normal`), as Sentinel does:
/// reads would go on there until a commit finds out.
///
/// # Cost
///
/// A read is one round trip, and so is a commit that leaves index keys and expiry as they are, like nearly every
/// rotation. A new record takes one more for each index key. Two connections: one for what is read, one for what is
/// written. For what [`with_min_replicas`](Self::with_min_replicas) takes, see there.
///
/// # Security
///
/// Keys, index keys, versions and expiries are in the clear, payloads as they were given, which the issuer seals; there
/// is no subject and no token in any of them, nor in the server's command log. Whoever may write to the server can take
/// it back to an earlier state: let the issuers in and nobody else (`ACL`, TLS).
pub struct RedisStore {
    /// For what may be sent twice and waits for no replicas.
    reads: Link,
    /// For commits, and whatever waits.
    writes: Link,
    scripts: Scripts,
    names: KeyNames,
    timeout: Duration,
    replicas: Option<Replicas>,
    /// The number of the next attempt to commit: from a random one on, so that no two processes have the same.
    attempts: AtomicU64,
    /// Where a purge begins: where the last one had its hands full.
    shard: AtomicUsize,
}

impl RedisStore {
    /// Connect to one server: `redis://[user:password@]host[:port][/database]`, or `rediss://` if the application
    /// builds the driver with one of its TLS features.
    pub async fn connect(url: &str) -> Result<Self, RedisConnectError> {
        let address = shown_url(url);
        let client = Client::open(url).map_err(|error| RedisConnectError::address(&address, error))?;
        Self::from_client(client).reached(&address).await
    }

    /// Connect to the primary of `service` as the Sentinels at `urls` know it, now and after every failover.
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

    /// Connect to the Cluster that the nodes at `urls` belong to; one is enough, more are found if it is down.
    pub async fn connect_cluster<'a>(urls: impl IntoIterator<Item = &'a str>) -> Result<Self, RedisConnectError> {
        let urls: Vec<_> = urls.into_iter().collect();
        let address = shown_urls(&urls);
        Self::cluster(&address, || ClusterClient::builder(urls.iter().copied()))?.reached(&address).await
    }

    /// On a client of the application's own making. It connects when it is first used.
    pub fn from_client(client: Client) -> Self {
        Self::on(Source::Server(client.clone()), Source::Server(client))
    }

    /// As [`from_client`](Self::from_client), under Sentinel. The client must be one for the primary.
    pub fn from_sentinel_client(client: SentinelClient) -> Self {
        let source = Arc::new(Mutex::new(Source::Sentinel(client)));
        Self::linked(Arc::clone(&source), source)
    }

    /// As [`from_client`](Self::from_client), on a Cluster. The store decides over timeouts and retries, for a commit
    /// must not be sent twice unnoticed. The clients must not read from replicas: they lag, and a stale read lets a
    /// revoked session live on.
    pub fn from_cluster(client: impl Fn() -> ClusterClientBuilder) -> Result<Self, RedisConnectError> {
        Self::cluster("the client of a Cluster", client)
    }

    fn cluster(address: &str, client: impl Fn() -> ClusterClientBuilder) -> Result<Self, RedisConnectError> {
        let client = || client().overall_response_timeout(None);
        let (reads, writes) = (client().build(), client().retries(0).build());
        let [reads, writes] =
            [reads, writes].map(|client| client.map_err(|error| RedisConnectError::address(address, error)));
        Ok(Self::on(Source::Cluster(reads?), Source::Cluster(writes?)))
    }

    fn on(reads: Source, writes: Source) -> Self {
        Self::linked(Arc::new(Mutex::new(reads)), Arc::new(Mutex::new(writes)))
    }

    fn linked(reads: Arc<Mutex<Source>>, writes: Arc<Mutex<Source>>) -> Self {
        Self {
            reads: Link::new(reads, TIMEOUT),
            writes: Link::new(writes, TIMEOUT),
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

    /// With names that begin with `prefix` and a colon (`mcp-tokens` without it). It should have no braces, which
    /// decide over the place in a Cluster.
    #[must_use]
    pub fn with_prefix(self, prefix: &str) -> Self {
        Self { names: KeyNames::new(prefix), ..self }
    }

    /// With this time for each command (2 seconds without it), and as much again to wait for a connection. Connecting
    /// goes on after that: with a Sentinel or a node that hangs in the way it may take a few seconds.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }.timed()
    }

    /// Acknowledge a commit only after `count` replicas have received it (`WAIT`). If they have not after `patience`,
    /// which is added to the time of a commit, the answer is [`StoreError::Uncertain`]: the primary has the write, and
    /// a failover may lose it. [`StoreError::Unavailable`] if a new index entry has not come that far, for the record
    /// is not written then.
    ///
    /// What was acknowledged is then lost only if the primary and these `count` replicas fail together, or if a replica
    /// that has not received it is promoted: with as many replicas as each primary has, there is none. A replica has
    /// the write in memory, and on its disk if it keeps a log of its own. All processes must wait for as many.
    ///
    /// Nor is anybody shown what may still be lost, for a repeated request would find its work done, write nothing and
    /// be told of success. A record says how many replicas are known to have it. To read one that too few have waits
    /// for them first, and is [`StoreError::Unavailable`] if they are not there in time; every other read waits for
    /// nobody.
    ///
    /// Each commit takes longer by a round trip between the servers and by one to make that note. Those that wait share
    /// a connection and do so in turn; reads have their own. To keep a primary that has lost its replicas from taking
    /// writes at all, set `min-replicas-to-write` on the servers too; a commit is then [`StoreError::Unavailable`].
    #[must_use]
    pub fn with_min_replicas(self, count: usize, patience: Duration) -> Self {
        // WAIT takes zero for "for ever".
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
