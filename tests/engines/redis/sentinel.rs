//! A primary under Sentinel is killed; the store follows to the one that takes over.

use std::fs;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mcp_token_lifecycle::{RecordKey, RedisStore, RefreshRequest, RotationPolicy, TokenStore};
use tempfile::TempDir;

use crate::servers::{LONG, Server, connected, fresh, launch, until};
use crate::support::*;

struct Sentinel {
    port: u16,
    child: Child,
    _dir: TempDir,
}

impl Sentinel {
    /// One that takes no primary for dead that is merely slow.
    fn watch(primary: u16) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("sentinel.conf");
        let (port, child) = launch(|port| {
            let lines = [
                format!("port {port}"),
                format!("sentinel monitor tokens 127.0.0.1 {primary} 1"),
                "sentinel down-after-milliseconds tokens 60000".to_owned(),
                "sentinel failover-timeout tokens 3000".to_owned(),
            ];
            fs::write(&file, lines.join("\n")).unwrap();
            let mut command = Command::new("redis-server");
            command.arg(&file).arg("--sentinel").stdout(Stdio::null()).spawn().unwrap()
        });
        Self { port, child, _dir: dir }
    }

    /// The primary is dead: take over without delay.
    fn hurry(&self) {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}/", self.port)).unwrap();
        let mut set = redis::cmd("SENTINEL");
        set.arg(&["SET", "tokens", "down-after-milliseconds", "500"]);
        set.exec(&mut client.get_connection().unwrap()).unwrap();
    }

    fn knows_a_replica(&self) -> bool {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}/", self.port)).unwrap();
        let Ok(mut connection) = client.get_connection() else { return false };
        let replicas = redis::cmd("SENTINEL").arg("REPLICAS").arg("tokens").query::<Vec<redis::Value>>(&mut connection);
        replicas.is_ok_and(|replicas| !replicas.is_empty())
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sentinel_failover_is_followed_and_loses_nothing() {
    let mut primary = Server::start(&[]);
    let replica =
        Server::start(&["--replicaof", "127.0.0.1", &primary.port.to_string(), "--repl-diskless-sync-delay", "0"]);
    until("the replica is in step", || replica.info("master_link_status") == "up");
    let sentinel = Sentinel::watch(primary.port);
    until("the Sentinel knows the replica", || sentinel.knows_a_replica());

    let url = format!("redis://127.0.0.1:{}/", sentinel.port);
    let store = connected(|| RedisStore::connect_sentinel([url.as_str()], "tokens")).await;
    let store = store.with_prefix(&fresh());
    let bench = bench_on(store, keyring(), RotationPolicy::standard());
    let first = bench.issuer.issue(grant(), None).await.unwrap();
    until("the replica has it", || replica.info("master_repl_offset") == primary.info("master_repl_offset"));
    primary.kill();
    sentinel.hurry();

    let (mut faults, begun) = (0, Instant::now());
    let second = loop {
        match bench.issuer.refresh(&RefreshRequest::new(&client(), rt(&first))).await {
            Ok(answer) => break answer.into_result().expect("nothing is lost"),
            // A Sentinel that finds its machine slow does nothing for half a minute.
            Err(error) => assert!(begun.elapsed() < 2 * LONG, "no new primary: {error}"),
        }
        faults += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    println!("a failover by Sentinel: {faults} times 503, then success");
    assert!(faults > 0 && !second.retry);
    assert_eq!(replica.info("role"), "master");
}

/// The driver waits for it longer than an operation of this store may take.
#[tokio::test(flavor = "multi_thread")]
async fn sentinel_that_hangs_first_is_passed_over() {
    let primary = Server::start(&[]);
    let sentinel = Sentinel::watch(primary.port);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let urls = [silent.local_addr().unwrap().port(), sentinel.port].map(|port| format!("redis://127.0.0.1:{port}/"));
    // The Sentinel may still be looking.
    let connect = || RedisStore::connect_sentinel(urls.each_ref().map(String::as_str), "tokens");
    let store = connected(connect).await.with_prefix(&fresh()).with_timeout(Duration::from_millis(100));
    let (mut faults, begun) = (0, Instant::now());
    while store.get(RecordKey::from_bytes([7; 16])).await.is_err() {
        faults += 1;
        assert!(begun.elapsed() < LONG, "each operation connects again");
    }
    println!("a first Sentinel that hangs: {faults} reads failed");
    assert!(faults > 0, "it does hang");
}
