//! A primary of a Cluster of 3 + 3 loses its replica, goes on, and is killed; the replica takes over.

use std::process::{Command, Stdio};
use std::time::Duration;

use mcp_token_lifecycle::RedisStore;
use tokio::time::sleep;

use crate::load::{Load, Outcome};
use crate::servers::{Server, fresh, until};

struct Cluster(Vec<Server>);

impl Cluster {
    fn start() -> Self {
        let options = ["--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--repl-diskless-sync-delay", "0"];
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
            let linked = |node: &&Server| node.info("master_link_status") == "up";
            nodes.iter().filter(linked).count() == 3
        });
        Self(nodes)
    }

    /// A primary and its replica.
    fn pair(&self) -> (usize, usize) {
        let replica = self.0.iter().position(|node| node.info("role") == "slave").unwrap();
        let port = self.0[replica].info("master_port");
        (self.0.iter().position(|node| node.port.to_string() == port).unwrap(), replica)
    }
}

/// What clients see of it all; `protect` may make the store or the servers more careful.
async fn cut_and_fail_over(protect: impl Fn(RedisStore, &Cluster) -> RedisStore) -> Outcome {
    let mut cluster = Cluster::start();
    let (primary, replica) = cluster.pair();
    let urls: Vec<_> = cluster.0.iter().map(Server::url).collect();
    let store = RedisStore::connect_cluster(urls.iter().map(String::as_str)).await.unwrap().with_prefix(&fresh());
    let load = Load::start(protect(store, &cluster), 64).await;
    sleep(Duration::from_millis(500)).await;

    // The link is cut, and the primary goes on for a while.
    cluster.0[primary].tell("ACL SETUSER default -psync -sync");
    cluster.0[primary].tell("CLIENT KILL TYPE replica");
    sleep(Duration::from_millis(700)).await;
    cluster.0[primary].kill();
    until("the replica has taken over", || cluster.0[replica].info("role") == "master");

    // The one that was killed comes back, as a replica.
    cluster.0[primary].restart();
    until("the new replica is in step", || cluster.0[primary].info("master_link_status") == "up");
    sleep(Duration::from_secs(2)).await;
    load.settle().await
}

#[tokio::test(flavor = "multi_thread")]
async fn with_min_replicas_a_failover_loses_nothing() {
    let outcome = cut_and_fail_over(|store, _| store.with_min_replicas(1, Duration::from_millis(200))).await;
    println!("with_min_replicas(1): the above");
    assert!(outcome.faults > 0 && outcome.rotations > 0);
    assert_eq!((outcome.lost, outcome.replays), (0, 0));
}

/// That there is something to lose.
#[tokio::test(flavor = "multi_thread")]
async fn without_min_replicas_a_failover_loses_acknowledged_rotations() {
    let outcome = cut_and_fail_over(|store, _| store).await;
    println!("without min replicas: the above");
    assert!(outcome.lost > 0, "nothing was lost, so the other test shows nothing");
    assert!(outcome.replays > 0);
}
