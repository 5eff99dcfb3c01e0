//! A host that does not answer, not even with a refusal, and one behind it that does.

use std::time::Duration;

use deadpool_postgres::{Manager, Pool};
use mcp_token_lifecycle::{PostgresStore, RecordKey, TokenStore};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_postgres::NoTls;

use super::{RUNTIME, connected, direct, store, table, until};

/// A host as one that is switched off: its queue is full, so it takes no notice of who wants to connect.
struct Silent {
    port: u16,
    _queue: Vec<TcpStream>,
    _listener: tokio::net::TcpListener,
}

impl Silent {
    async fn start() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut queue = Vec::new();
        while let Ok(waiting) = timeout(Duration::from_secs(2), TcpStream::connect(("127.0.0.1", port))).await {
            queue.push(waiting.unwrap());
        }
        Self { port, _queue: queue, _listener: listener }
    }
}

/// The server, behind silent hosts.
fn behind(silent: &[&Silent]) -> String {
    let hosts: String = silent.iter().map(|host| format!("127.0.0.1:{},", host.port)).collect();
    direct().replace('@', &format!("@{hosts}"))
}

#[test]
fn connect_gets_past_two_silent_hosts_in_time() {
    RUNTIME.block_on(async {
        let (first, second) = (Silent::start().await, Silent::start().await);
        // Of the five seconds that it has, half are left for the third.
        connected(&behind(&[&first, &second])).await;
    });
}

#[test]
fn connect_gets_past_silent_host_though_callers_time_out() {
    RUNTIME.block_on(async {
        let (silent, table) = (Silent::start().await, table());
        store(&direct(), &table).await;
        let config = format!("{}?connect_timeout=1", behind(&[&silent])).parse().unwrap();
        let pool = Pool::builder(Manager::new(config, NoTls)).max_size(4).build().unwrap();
        let store = PostgresStore::from_pool(pool).with_timeout(Duration::from_millis(300)).with_table(&table).unwrap();
        assert!(store.get(RecordKey::from_bytes([1; 16])).await.is_err(), "no server is silent");
        let reached = until("a connection", async || store.get(RecordKey::from_bytes([1; 16])).await.ok());
        assert_eq!(reached.await, None);
    });
}
