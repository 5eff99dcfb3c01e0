//! A server with a log synced at every write is killed under load, again and again.

use crate::load::Load;
use crate::servers::{Server, fresh};

const KILLS: usize = 8;

#[tokio::test(flavor = "multi_thread")]
async fn kill_with_synced_log_loses_nothing() {
    let mut server = Server::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let prefix = fresh();
    let load = Load::start(server.store(&prefix).await, server.store(&prefix).await, 32).await;
    for _ in 0..KILLS {
        load.answer(200).await;
        server.kill();
        load.fail(1).await;
        server.restart();
    }
    load.answer(200).await;
    println!("{KILLS} kills with appendfsync always");
    let outcome = load.settle(server.store(&prefix).await).await;
    assert!(outcome.faults > 0 && outcome.rotations > 1000);
    assert_eq!((outcome.lost, outcome.replays), (0, 0));
}

/// That the test above can see a loss.
#[tokio::test(flavor = "multi_thread")]
async fn kill_without_log_loses_every_family() {
    let mut server = Server::start(&[]);
    let prefix = fresh();
    let load = Load::start(server.store(&prefix).await, server.store(&prefix).await, 32).await;
    load.answer(320).await;
    server.kill();
    server.restart();
    println!("one kill without a log");
    assert_eq!(load.settle(server.store(&prefix).await).await.lost, 32);
}
