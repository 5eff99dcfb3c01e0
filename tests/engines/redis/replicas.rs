//! A primary whose replication link is cut, and its replica, which takes over: no client was told of what is lost.

use std::sync::Arc;
use std::time::Duration;

use mcp_token_lifecycle::{
    ErrorKind, IndexKey, Record, RecordKey, RedisStore, RefreshRequest, RotationPolicy, StoreError, Timestamp,
    TokenStore,
};

use crate::servers::{LONG, Server, connected, fresh, until};
use crate::support::*;

struct Pair {
    primary: Server,
    replica: Server,
    prefix: String,
}

impl Pair {
    fn start() -> Self {
        let primary = Server::start(&["--repl-diskless-sync-delay", "0"]);
        let replica = Server::start(&["--replicaof", "127.0.0.1", &primary.port.to_string()]);
        let pair = Self { primary, replica, prefix: fresh() };
        pair.until_in_step();
        pair
    }

    /// A store that waits for the replica as long as it takes on a busy machine.
    async fn store(&self) -> RedisStore {
        self.on(&self.primary).await
    }

    /// A store that waits for so many milliseconds: for a replica that is cut off.
    async fn hasty_store(&self, patience: u64) -> RedisStore {
        self.store().await.with_min_replicas(1, Duration::from_millis(patience))
    }

    async fn on(&self, server: &Server) -> RedisStore {
        server.store(&self.prefix).await.with_min_replicas(1, LONG)
    }

    fn has_waiting_write(&self) -> bool {
        self.primary.info("blocked_clients") == "1"
    }

    /// The time of the write that waits for the replica is up.
    fn end_wait(&self) {
        let clients: String = redis::cmd("CLIENT").arg("LIST").query(&mut self.primary.connection()).unwrap();
        let waiting = clients.lines().find(|line| line.contains(" cmd=wait ")).expect("a write waits");
        let id = waiting.split(' ').find_map(|field| field.strip_prefix("id=")).unwrap();
        assert_eq!(self.primary.tell(&format!("CLIENT UNBLOCK {id} TIMEOUT")), redis::Value::Int(1));
    }

    fn cut(&self) {
        self.replica.tell("REPLICAOF 127.0.0.1 1");
    }

    /// The replica takes over, and the primary follows it.
    fn fail_over(&self) {
        self.replica.tell("REPLICAOF NO ONE");
        self.primary.tell(&format!("REPLICAOF 127.0.0.1 {}", self.replica.port));
        until("the old primary follows", || self.primary.info("master_link_status") == "up");
    }

    fn mend(&self) {
        self.replica.tell(&format!("REPLICAOF 127.0.0.1 {}", self.primary.port));
        self.until_in_step();
    }

    /// As the primary sees it.
    fn until_in_step(&self) {
        let mut write = redis::pipe();
        write.cmd("SET").arg("probe").arg("").ignore().cmd("WAIT").arg(1).arg(100);
        until("the replica has a write", || write.query(&mut self.primary.connection()) == Ok([1]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_gets_no_successor_that_failover_would_lose() {
    let pair = Pair::start();
    let bench = bench_on(pair.store().await, keyring(), RotationPolicy::standard());
    let first = bench.issuer.issue(grant(), None).await.unwrap();
    let client = client();
    let request = RefreshRequest::new(&client, rt(&first));
    let bench = bench.twin(pair.hasty_store(100).await, keyring(), RotationPolicy::standard());
    pair.cut();
    let answer = bench.issuer.refresh(&request).await.unwrap_err();
    assert_eq!(answer.kind(), ErrorKind::StoreUncertain);
    let again = bench.issuer.refresh(&request).await.map(drop).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::StoreUnavailable, "the rotation is on the primary alone");
    pair.fail_over();
    let bench = bench.twin(pair.on(&pair.replica).await, keyring(), RotationPolicy::standard());
    let second = bench.issuer.refresh(&request).await.unwrap().into_result().unwrap();
    assert!(!second.retry, "the rotation was lost, and no client had been told of it");
}

#[tokio::test(flavor = "multi_thread")]
async fn revoke_repeated_fails_while_failover_would_lose_it() {
    let pair = Pair::start();
    let bench = bench_on(pair.store().await, keyring(), RotationPolicy::standard());
    let first = bench.issuer.issue(grant(), None).await.unwrap();
    let bench = bench.twin(pair.hasty_store(100).await, keyring(), RotationPolicy::standard());
    pair.cut();
    for _ in 0..2 {
        bench.issuer.revoke(&client(), rt(&first), None).await.unwrap_err();
    }
    for _ in 0..2 {
        bench.issuer.revoke_subject("user-1").await.unwrap_err();
    }
    pair.fail_over();
    let bench = bench.twin(pair.on(&pair.replica).await, keyring(), RotationPolicy::standard());
    assert_eq!(bench.issuer.revoke_subject("user-1").await.unwrap(), 1, "it was still alive");
}

#[tokio::test(flavor = "multi_thread")]
async fn write_that_waits_for_replicas_is_not_visible() {
    let pair = Pair::start();
    let bench = Arc::new(bench_on(pair.store().await, keyring(), RotationPolicy::standard()));
    let first = Arc::new(bench.issuer.issue(grant(), None).await.unwrap());
    pair.cut();
    let writer = tokio::spawn({
        let (bench, first) = (Arc::clone(&bench), Arc::clone(&first));
        async move { bench.issuer.refresh(&RefreshRequest::new(&client(), rt(&first))).await.map(drop) }
    });
    until("the primary has the write, and waits", || pair.has_waiting_write());
    let other = bench.twin(pair.hasty_store(50).await, keyring(), RotationPolicy::standard());
    let answer = other.issuer.refresh(&RefreshRequest::new(&client(), rt(&first))).await.map(drop);
    assert_eq!(answer.unwrap_err().kind(), ErrorKind::StoreUnavailable);
    pair.end_wait();
    assert_eq!(writer.await.unwrap().unwrap_err().kind(), ErrorKind::StoreUncertain);

    pair.mend();
    // A replica that has just come back takes its time to say what it has.
    let other = bench.twin(pair.store().await, keyring(), RotationPolicy::standard());
    let answer = other.issuer.refresh(&RefreshRequest::new(&client(), rt(&first))).await.unwrap();
    assert!(answer.into_result().unwrap().retry, "once the replica has it, everybody is");
}

#[tokio::test(flavor = "multi_thread")]
async fn read_of_what_the_replicas_have_does_not_wait() {
    let pair = Pair::start();
    let store = pair.store().await;
    let record = |n| {
        let indexes = vec![IndexKey::from_bytes([n; 16])];
        Record::new(RecordKey::from_bytes([n; 16]), 1, Timestamp::from_unix(START), indexes, vec![n])
    };
    let _ = store.commit(record(1)).await.unwrap();
    pair.cut();
    let store = Arc::new(store);
    let writer = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.commit(record(2)).await }
    });
    until("a commit waits", || pair.has_waiting_write());
    assert_eq!(store.get(record(1).key).await.unwrap(), Some(record(1)));
    assert!(pair.has_waiting_write() && !writer.is_finished(), "the read does not stand behind the commit");
    pair.end_wait();
    let answer = writer.await.unwrap();
    assert!(matches!(answer, Err(StoreError::Unavailable(_))), "an index entry alone is no record: {answer:?}");
    assert_eq!(store.get(record(2).key).await.unwrap(), None);
}

/// With all that is done under them: commits, waits, listings, a purge.
#[tokio::test(flavor = "multi_thread")]
async fn documented_acl_rights_suffice_for_all_operations() {
    let pair = Pair::start();
    let page = include_str!("../../../docs/stores.md");
    let rights = page.split("* **Rights** (ACL)").nth(1).and_then(|rest| rest.split("Not `").next()).unwrap();
    let rights: Vec<_> = rights.split([' ', '\n', '`', ',', ';', ':']).filter(|word| word.starts_with('+')).collect();
    pair.primary.tell(&format!("ACL SETUSER tokens on >secret ~{}:* {}", pair.prefix, rights.join(" ")));
    let url = format!("redis://tokens:secret@127.0.0.1:{}/", pair.primary.port);
    let open = async || connected(|| RedisStore::connect(&url)).await.with_prefix(&pair.prefix);
    // Without the note that the replicas have it.
    let other = bench_on(open().await, keyring(), RotationPolicy::standard());
    let mut token = rt(&other.issuer.issue(grant(), None).await.unwrap()).to_owned();
    let bench = bench_on(open().await.with_min_replicas(1, LONG), keyring(), RotationPolicy::standard());
    for _ in 0..2 {
        let answer = bench.issuer.refresh(&RefreshRequest::new(&client(), &token)).await.unwrap();
        token = rt(&answer.into_result().unwrap()).to_owned();
    }
    assert_eq!(bench.issuer.revoke_subject("user-1").await.unwrap(), 1);
    bench.pass(400 * 24 * 60 * 60);
    assert_eq!(bench.issuer.purge().await.unwrap(), 1);
}
