//! The connection is cut after the server has the commit and before the client has the answer.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use mcp_token_lifecycle::{
    Commit, ErrorKind, Record, RecordKey, RedisStore, RefreshRequest, RotationPolicy, StoreError, Timestamp, TokenStore,
};

use crate::servers::{LONG, Server, connected, fresh, until};
use crate::support::*;

/// A proxy that passes everything on, until it is told to swallow the answer to the next script and hang up.
pub struct Proxy {
    cut: AtomicBool,
    /// It lets no connection in.
    is_shut: AtomicBool,
    /// How many connections there were, and up to which of them it passes no answer on any more.
    connections: AtomicUsize,
    silent: AtomicUsize,
    /// How many scripts came, and how many of them it passes on; the next one is held.
    scripts: AtomicUsize,
    most: AtomicUsize,
}

impl Proxy {
    fn start(listener: TcpListener, server: u16) -> Arc<Self> {
        let proxy = Arc::new(Self {
            cut: AtomicBool::default(),
            is_shut: AtomicBool::default(),
            connections: AtomicUsize::default(),
            silent: AtomicUsize::default(),
            scripts: AtomicUsize::default(),
            most: AtomicUsize::new(usize::MAX),
        });
        thread::spawn({
            let proxy = Arc::clone(&proxy);
            move || {
                for client in listener.incoming().flatten() {
                    while proxy.is_shut.load(Ordering::SeqCst) {
                        thread::sleep(Duration::from_millis(1));
                    }
                    let Ok(server) = TcpStream::connect(("127.0.0.1", server)) else { return };
                    proxy.serve(client, server);
                }
            }
        });
        proxy
    }

    /// One in front of `server`, and its address.
    pub fn before(server: &Server) -> (Arc<Self>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("redis://{}/", listener.local_addr().unwrap());
        (Self::start(listener, server.port), url)
    }

    /// Hold what comes after so many scripts more.
    pub fn hold_after(&self, scripts: usize) {
        self.most.store(self.scripts.load(Ordering::SeqCst) + scripts, Ordering::SeqCst);
    }

    pub fn holds(&self) -> bool {
        self.scripts.load(Ordering::SeqCst) > self.most.load(Ordering::SeqCst)
    }

    pub fn let_go(&self) {
        self.most.store(usize::MAX, Ordering::SeqCst);
    }

    fn serve(self: &Arc<Self>, client: TcpStream, server: TcpStream) {
        let commit = Arc::new(AtomicBool::new(false));
        let (there, back) = ((client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client));
        let number = self.connections.fetch_add(1, Ordering::SeqCst);
        let (proxy, seen) = (Arc::clone(self), Arc::clone(&commit));
        thread::spawn(move || {
            pass(there, |bytes| {
                let is_script = bytes.windows(7).any(|word| word == b"EVALSHA");
                if is_script && proxy.cut.swap(false, Ordering::SeqCst) {
                    seen.store(true, Ordering::SeqCst);
                }
                if is_script {
                    let number = proxy.scripts.fetch_add(1, Ordering::SeqCst);
                    while number >= proxy.most.load(Ordering::SeqCst) {
                        thread::sleep(Duration::from_millis(1));
                    }
                }
                true
            });
        });
        // Once there is an answer to the script, the server has carried it out.
        let proxy = Arc::clone(self);
        thread::spawn(move || {
            pass(back, |_| {
                while number < proxy.silent.load(Ordering::SeqCst) {
                    thread::park();
                }
                !commit.load(Ordering::SeqCst)
            });
        });
    }
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

/// A Cluster of one behind a proxy, and how to get there past it.
async fn cluster_behind_a_proxy(prefix: &str) -> (Server, Arc<Proxy>, RedisStore) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let announced = listener.local_addr().unwrap().port().to_string();
    let server = Server::start(&["--cluster-enabled", "yes", "--cluster-announce-port", &announced]);
    let proxy = Proxy::start(listener, server.port);
    let slots: Vec<_> = (0..16384).map(|slot| slot.to_string()).collect();
    server.tell(&format!("CLUSTER ADDSLOTS {}", slots.join(" ")));
    until("the Cluster of one is up", || server.is_cluster_up());
    let url = format!("redis://127.0.0.1:{announced}/");
    let store = connected(|| RedisStore::connect_cluster([url.as_str()])).await.with_prefix(prefix);
    (server, proxy, store)
}

async fn lose_answers(store: RedisStore, proxy: &Proxy) {
    let bench = bench_on(store, keyring(), RotationPolicy::standard());
    for _ in 0..20 {
        let first = bench.issuer.issue(grant(), None).await.unwrap();
        let client = client();
        let request = RefreshRequest::new(&client, rt(&first));
        proxy.cut.store(true, Ordering::SeqCst);
        let lost = bench.issuer.refresh(&request).await.unwrap_err();
        assert_eq!(lost.kind(), ErrorKind::StoreUncertain);
        let again = bench.issuer.refresh(&request).await.unwrap().into_result().unwrap();
        assert!(again.retry, "the lost commit was carried out");
        let third = bench.issuer.refresh(&request).await.unwrap().into_result().unwrap();
        assert_eq!(rt(&again), rt(&third));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commit_with_lost_answer_is_uncertain_retry_gets_successor() {
    let server = Server::start(&[]);
    let (proxy, url) = Proxy::before(&server);
    lose_answers(connected(|| RedisStore::connect(&url)).await, &proxy).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commit_with_lost_answer_on_a_cluster_is_uncertain() {
    let (_server, proxy, store) = cluster_behind_a_proxy(&fresh()).await;
    lose_answers(store, &proxy).await;
}

/// Sent again, the commit would meet the next and look as if it had lost to another.
#[tokio::test(flavor = "multi_thread")]
async fn commit_done_then_replaced_is_uncertain_not_conflict() {
    let prefix = fresh();
    let (server, proxy, store) = cluster_behind_a_proxy(&prefix).await;
    let other = server.store(&prefix).await;
    let record =
        |version| Record::new(RecordKey::from_bytes([7; 16]), version, Timestamp::from_unix(START), vec![], vec![]);
    assert_eq!(store.commit(record(1)).await.unwrap(), Commit::Applied);
    proxy.is_shut.store(true, Ordering::SeqCst);
    proxy.cut.store(true, Ordering::SeqCst);
    let commit = tokio::spawn(async move { store.commit(record(2)).await });
    while other.get(record(1).key).await.unwrap() != Some(record(2)) {
        tokio::task::yield_now().await;
    }
    assert_eq!(other.commit(record(3)).await.unwrap(), Commit::Applied);
    proxy.is_shut.store(false, Ordering::SeqCst);
    let answer = commit.await.unwrap();
    assert!(matches!(answer, Err(StoreError::Uncertain(_))), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn server_killed_is_unavailable() {
    let mut server = Server::start(&[]);
    let bench = bench_on(server.store(&fresh()).await, keyring(), RotationPolicy::standard());
    let first = bench.issuer.issue(grant(), None).await.unwrap();
    server.kill();
    // The first may meet the broken connection; from then on it is clear that nothing is sent.
    let client = client();
    let request = RefreshRequest::new(&client, rt(&first));
    let _ = bench.issuer.refresh(&request).await.unwrap_err();
    assert_eq!(bench.issuer.refresh(&request).await.unwrap_err().kind(), ErrorKind::StoreUnavailable);
    assert!(RedisStore::connect(&server.url()).await.is_err());
}

/// Such a connection does not break, and no caller waits for as long as the store would.
#[tokio::test(flavor = "multi_thread")]
async fn silent_connection_is_given_up_though_callers_time_out() {
    let server = Server::start(&[]);
    let (proxy, url) = Proxy::before(&server);
    let store = connected(|| RedisStore::connect(&url)).await.with_timeout(Duration::from_secs(3600));
    let get = || store.get(RecordKey::from_bytes([7; 16]));
    assert!(get().await.unwrap().is_none());
    proxy.silent.store(proxy.connections.load(Ordering::SeqCst), Ordering::SeqCst);
    let hasty_get = async || tokio::time::timeout(Duration::from_millis(400), get()).await;
    hasty_get().await.unwrap_err();
    let begun = Instant::now();
    while hasty_get().await.is_err() {
        assert!(begun.elapsed() < LONG, "the silent connection is still in use");
    }
}
