//! A primary of a Cluster of 3 + 3 loses its replica, goes on, and is killed; the replica takes over.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mcp_token_lifecycle::{Commit, IndexKey, Record, RecordKey, RedisStore, Select, Timestamp, TokenStore};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::load::{Load, Outcome};
use crate::servers::{LONG, Server, connected, fresh, until};
use crate::support::START;

struct Cluster(Vec<Server>);

impl Cluster {
    fn start() -> Self {
        // No node is taken for dead that is merely slow, and no replica is too far behind to take over.
        let options = ["--cluster-enabled yes", "--cluster-node-timeout 60000", "--cluster-replica-validity-factor 0"];
        let options = options.iter().chain(&["--repl-diskless-sync-delay 0"]).flat_map(|option| option.split(' '));
        let options: Vec<_> = options.collect();
        let nodes: Vec<_> = (0..6).map(|_| Server::start(&options)).collect();
        let created = Command::new("redis-cli")
            .args(["--cluster", "create"])
            .args(nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)))
            .args(["--cluster-replicas", "1", "--cluster-yes"])
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(created.success());
        until("every node knows the Cluster", || nodes.iter().all(Server::is_cluster_up));
        until("every replica is in step", || {
            let counts = |node: &&Server| node.info("slave0").contains("state=online");
            let follows = |node: &&Server| node.info("master_link_status") == "up";
            nodes.iter().filter(counts).count() == 3 && nodes.iter().filter(follows).count() == 3
        });
        Self(nodes)
    }

    async fn store(&self) -> RedisStore {
        self.named(&fresh()).await
    }

    async fn named(&self, prefix: &str) -> RedisStore {
        let urls: Vec<_> = self.0.iter().map(Server::url).collect();
        let store = connected(|| RedisStore::connect_cluster(urls.iter().map(String::as_str))).await;
        store.with_prefix(prefix)
    }

    /// From here on a node that says nothing for a second is taken for dead.
    fn hurry(&self) {
        for node in &self.0 {
            node.tell("CONFIG SET cluster-node-timeout 1000");
        }
    }

    /// How many scripts a node has carried out.
    fn scripts(&self, node: usize) -> usize {
        let line = self.0[node].info("cmdstat_evalsha");
        line.strip_prefix("calls=").and_then(|rest| rest.split(',').next()).map_or(0, |calls| calls.parse().unwrap())
    }

    /// The replicas of a node lose it.
    fn cut(&self, primary: usize) {
        self.0[primary].tell("ACL SETUSER default -psync -sync");
        self.0[primary].tell("CLIENT KILL TYPE replica");
    }

    /// A primary and its replica.
    fn pair(&self) -> (usize, usize) {
        let replica = self.0.iter().position(|node| node.info("role") == "slave").unwrap();
        let port = self.0[replica].info("master_port");
        (self.0.iter().position(|node| node.port.to_string() == port).unwrap(), replica)
    }
}

/// What clients see of it all; `protect` may make the store more careful, and wait so long for its replicas.
async fn cut_and_fail_over(protect: impl Fn(RedisStore, Duration) -> RedisStore) -> Outcome {
    let mut cluster = Cluster::start();
    let (primary, replica) = cluster.pair();
    let prefix = fresh();
    let patient = protect(cluster.named(&prefix).await, LONG);
    let store = cluster.named(&prefix).await.with_timeout(Duration::from_secs(2));
    let load = Load::start(patient, protect(store, Duration::from_millis(20)), 64).await;
    load.answer(640).await;

    // The link is cut, and the primary goes on for a while.
    cluster.cut(primary);
    cluster.hurry();
    let before = cluster.scripts(primary);
    until("the primary goes on", || cluster.scripts(primary) >= before + 100);
    cluster.0[primary].kill();
    until("the replica has taken over", || cluster.0[replica].info("role") == "master");

    // The one that was killed comes back, as a replica.
    cluster.0[primary].restart();
    until("the new replica is in step", || cluster.0[primary].info("master_link_status") == "up");
    load.answer(640).await;
    load.settle(protect(cluster.named(&prefix).await, LONG)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn failover_with_min_replicas_loses_nothing() {
    let outcome = cut_and_fail_over(|store, patience| store.with_min_replicas(1, patience)).await;
    println!("with_min_replicas(1): the above");
    assert!(outcome.faults > 0 && outcome.rotations > 0);
    assert_eq!((outcome.lost, outcome.replays), (0, 0));
}

/// That there is something to lose.
#[tokio::test(flavor = "multi_thread")]
async fn failover_without_min_replicas_loses_rotations() {
    let outcome = cut_and_fail_over(|store, _| store).await;
    println!("without min replicas: the above");
    assert!(outcome.lost > 0, "nothing was lost, so the other test shows nothing");
    assert!(outcome.replays > 0);
}

fn record(number: u64, version: u64) -> Record {
    let bytes: [u8; 16] = u128::from(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)).to_le_bytes();
    let (key, index) = (RecordKey::from_bytes(bytes), IndexKey::from_bytes(bytes));
    Record::new(key, version, Timestamp::from_unix(START), vec![index], vec![])
}

#[tokio::test(flavor = "multi_thread")]
async fn failover_with_min_replicas_hides_no_record_from_index() {
    let mut cluster = Cluster::start();
    let (primary, replica) = cluster.pair();
    let prefix = fresh();
    let store = Arc::new(cluster.named(&prefix).await.with_min_replicas(1, Duration::from_millis(200)));
    cluster.cut(primary);
    cluster.hurry();
    let mut commits = JoinSet::new();
    for number in 1..=64 {
        let store = Arc::clone(&store);
        commits.spawn(async move { store.commit(record(number, 1)).await.is_ok().then_some(number) });
    }
    let acknowledged: Vec<_> = commits.join_all().await.into_iter().flatten().collect();
    cluster.0[primary].kill();
    until("the replica has taken over", || cluster.0[replica].info("role") == "master");
    let reader = cluster.named(&prefix).await;
    let mut hidden = 0;
    for number in &acknowledged {
        let record = record(*number, 1);
        let begun = Instant::now();
        let page = loop {
            match reader.list(Select::Index(record.indexes[0]), None, 10).await {
                Ok(page) => break page,
                // Not every node may know of the new primary yet.
                Err(error) => assert!(begun.elapsed() < LONG, "the index cannot be read: {error}"),
            }
        };
        hidden += usize::from(page.records != [record]);
    }
    println!("{} of 64 records acknowledged, {hidden} of them hidden from their index", acknowledged.len());
    assert!((1..64).contains(&acknowledged.len()));
    assert_eq!(hidden, 0);
}

/// Longer than any other command may take.
#[tokio::test(flavor = "multi_thread")]
async fn commit_waits_for_replicas_beyond_its_timeout() {
    let cluster = Cluster::start();
    let (primary, replica) = cluster.pair();
    let store = cluster.store().await.with_min_replicas(1, LONG);
    assert_eq!(store.commit(record(0, 1)).await.unwrap(), Commit::Applied);
    let store = Arc::new(store.with_timeout(Duration::from_secs(2)));
    // Connected, for which it has no more time than for any other command.
    let begun = Instant::now();
    while store.list(Select::All, None, 1).await.is_err() || store.commit(record(0, 2)).await.is_err() {
        assert!(begun.elapsed() < LONG, "no connection after a minute");
    }
    cluster.0[replica].signal("STOP");
    let mut commits = JoinSet::new();
    for number in 1..=16 {
        let store = Arc::clone(&store);
        commits.spawn(async move { store.commit(record(number, 1)).await });
    }
    until("a commit waits", || cluster.0[primary].info("blocked_clients") != "0");
    sleep(Duration::from_millis(2500)).await;
    assert_ne!(cluster.0[primary].info("blocked_clients"), "0");
    cluster.0[replica].signal("CONT");
    for answer in commits.join_all().await {
        assert_eq!(answer.unwrap(), Commit::Applied);
    }
}

/// As if its machine were gone: no connection breaks.
#[tokio::test(flavor = "multi_thread")]
async fn hanging_primary_is_left_for_its_replica() {
    let cluster = Cluster::start();
    let (primary, replica) = cluster.pair();
    let prefix = fresh();
    let (patient, store) = (cluster.named(&prefix).await, cluster.named(&prefix).await);
    let store = store.with_timeout(Duration::from_millis(500));
    let begun = Instant::now();
    for number in 1..=64 {
        assert_eq!(patient.commit(record(number, 1)).await.unwrap(), Commit::Applied);
        // It has to have its connections before the node hangs.
        while store.get(record(number, 1).key).await.is_err() || store.commit(record(number, 1)).await.is_err() {
            assert!(begun.elapsed() < LONG, "no connections after a minute");
        }
    }
    cluster.hurry();
    cluster.0[primary].signal("STOP");
    until("the replica has taken over", || cluster.0[replica].info("role") == "master");
    let (mut faults, begun) = (0, Instant::now());
    for number in 1..=64 {
        while store.get(record(number, 1).key).await.is_err() || store.commit(record(number, 2)).await.is_err() {
            faults += 1;
            assert!(begun.elapsed() < LONG, "the store does not find the new primary: {faults} operations failed");
        }
    }
    println!("a frozen node: {faults} operations failed until the store had found the other");
}
