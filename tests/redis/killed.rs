//! A server with a log synced at every write is killed under load, again and again.

use std::time::Duration;

use mcp_token_lifecycle::RedisStore;
use tokio::time::sleep;

use crate::load::Load;
use crate::servers::{Server, fresh};

const KILLS: usize = 8;

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_with_a_synced_log_loses_nothing() {
    let mut server = Server::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let store = RedisStore::connect(&server.url()).await.unwrap().with_prefix(&fresh());
    let load = Load::start(store, 32).await;
    for _ in 0..KILLS {
        sleep(Duration::from_millis(400)).await;
        server.kill();
        sleep(Duration::from_millis(50)).await;
        server.restart();
    }
    sleep(Duration::from_millis(400)).await;
    println!("{KILLS} kills with appendfsync always");
    let outcome = load.settle().await;
    assert!(outcome.faults > 0 && outcome.rotations > 1000);
    assert_eq!((outcome.lost, outcome.replays), (0, 0));
}

/// That the test above can see a loss.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_without_a_log_loses_everything() {
    let mut server = Server::start(&[]);
    let store = RedisStore::connect(&server.url()).await.unwrap().with_prefix(&fresh());
    let load = Load::start(store, 32).await;
    sleep(Duration::from_millis(400)).await;
    server.kill();
    server.restart();
    println!("one kill without a log");
    assert_eq!(load.settle().await.lost, 32);
}
