//! The connection is cut after the server has the commit and before the client has the answer.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use mcp_token_lifecycle::{ErrorKind, RedisStore, RefreshRequest, RotationPolicy};

use crate::servers::{Server, fresh, until};
use crate::support::*;

/// A proxy that passes everything on, until it is told to swallow the answer to the next script and hang up.
fn pass_through(listener: TcpListener, server: u16) -> Arc<AtomicBool> {
    let cut = Arc::new(AtomicBool::new(false));
    let armed = Arc::clone(&cut);
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let server = TcpStream::connect(("127.0.0.1", server)).unwrap();
            let commit = Arc::new(AtomicBool::new(false));
            let (there, back) = ((client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client));
            let (armed, seen) = (Arc::clone(&armed), Arc::clone(&commit));
            thread::spawn(move || {
                pass(there, |bytes| {
                    let is_script = bytes.windows(7).any(|word| word == b"EVALSHA");
                    if is_script && armed.swap(false, Ordering::SeqCst) {
                        seen.store(true, Ordering::SeqCst);
                    }
                    true
                });
            });
            // Once there is an answer to the script, the server has carried it out.
            thread::spawn(move || pass(back, |_| !commit.load(Ordering::SeqCst)));
        }
    });
    cut
}

fn pass((mut from, mut to): (TcpStream, TcpStream), allow: impl Fn(&[u8]) -> bool) {
    let mut buffer = [0; 65536];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if !allow(&buffer[..count]) || to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_is_lost_is_uncertain_and_the_retry_gets_its_successor() {
    let server = Server::start(&[]);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}/", listener.local_addr().unwrap());
    let cut = pass_through(listener, server.port);
    let store = RedisStore::connect(&url).await.unwrap().with_prefix(&fresh());
    let bench = bench_on(store, keyring(), RotationPolicy::standard());
    for _ in 0..20 {
        let first = bench.issuer.issue(grant(), None).await.unwrap();
        let client = client();
        let request = RefreshRequest::new(&client, rt(&first));
        cut.store(true, Ordering::SeqCst);
        let lost = bench.issuer.refresh(&request).await.unwrap_err();
        assert_eq!(lost.kind(), ErrorKind::StoreUncertain);
        let again = bench.issuer.refresh(&request).await.unwrap().into_result().unwrap();
        assert!(again.retry, "the lost commit was carried out");
        let third = bench.issuer.refresh(&request).await.unwrap().into_result().unwrap();
        assert_eq!(rt(&again), rt(&third));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_is_unavailable() {
    let mut server = Server::start(&[]);
    let store = RedisStore::connect(&server.url()).await.unwrap().with_prefix(&fresh());
    let bench = bench_on(store, keyring(), RotationPolicy::standard());
    let first = bench.issuer.issue(grant(), None).await.unwrap();
    server.kill();
    // The first may meet the broken connection; from then on it is clear that nothing is sent.
    let client = client();
    let request = RefreshRequest::new(&client, rt(&first));
    let _ = bench.issuer.refresh(&request).await.unwrap_err();
    assert_eq!(bench.issuer.refresh(&request).await.unwrap_err().kind(), ErrorKind::StoreUnavailable);
    assert!(RedisStore::connect(&server.url()).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_the_driver_sends_again_is_carried_out_once() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let announced = listener.local_addr().unwrap().port().to_string();
    let server = Server::start(&["--cluster-enabled", "yes", "--cluster-announce-port", &announced]);
    let cut = pass_through(listener, server.port);
    server.tell("CLUSTER ADDSLOTSRANGE 0 16383");
    until("the Cluster of one is up", || server.is_cluster_up());
    let url = format!("redis://127.0.0.1:{announced}/");
    let store = RedisStore::connect_cluster([url.as_str()]).await.unwrap().with_prefix(&fresh());
    let bench = bench_on(store, keyring(), RotationPolicy::standard());
    let mut tokens = bench.issuer.issue(grant(), None).await.unwrap();
    for _ in 0..20 {
        cut.store(true, Ordering::SeqCst);
        let answer = bench.issuer.refresh(&RefreshRequest::new(&client(), rt(&tokens))).await.unwrap();
        assert!(!cut.load(Ordering::SeqCst), "the connection was cut");
        tokens = answer.into_result().unwrap();
        assert!(!tokens.retry, "the second try is told what came of the first");
    }
}
