//! The servers that are there, and those that a test starts for itself, to kill.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use mcp_token_lifecycle::{RedisConnectError, RedisStore};
use redis::{Client, Connection};
use tempfile::TempDir;

pub const SINGLE: &str = "REDIS_URL";
pub const CLUSTER: &str = "REDIS_CLUSTER_URLS";
/// What is well may take this long on a busy machine.
pub const LONG: Duration = Duration::from_secs(60);

fn address(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set: run .ci/redis, which starts the servers"))
}

/// A prefix that no store had before.
pub fn fresh() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// An empty store on the one server, or on the Cluster.
pub async fn store(variable: &str) -> RedisStore {
    named(variable, &fresh()).await
}

pub async fn named(variable: &str, prefix: &str) -> RedisStore {
    let address = address(variable);
    let store = match variable {
        SINGLE => connected(|| RedisStore::connect(&address)).await,
        _ => connected(|| RedisStore::connect_cluster(address.split_whitespace())).await,
    };
    store.with_prefix(prefix)
}

/// A store on servers that are well, which gives them time: `connect` is tried until it succeeds.
pub async fn connected<F>(connect: impl Fn() -> F) -> RedisStore
where
    F: Future<Output = Result<RedisStore, RedisConnectError>>,
{
    let begun = Instant::now();
    loop {
        match connect().await {
            Ok(store) => return store.with_timeout(LONG),
            Err(error) => assert!(begun.elapsed() < LONG, "no connection after a minute: {error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A server of a test's own.
pub struct Server {
    pub port: u16,
    child: Child,
    dir: TempDir,
    options: Vec<String>,
}

impl Server {
    pub fn start(options: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options: Vec<_> = options.iter().map(|option| (*option).to_owned()).collect();
        let (port, child) = launch(|port| spawn(port, &dir, &options));
        Self { port, child, dir, options }
    }

    /// A store on it, with time for a busy machine.
    pub async fn store(&self, prefix: &str) -> RedisStore {
        let url = self.url();
        connected(|| RedisStore::connect(&url)).await.with_prefix(prefix)
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    pub fn connection(&self) -> Connection {
        Client::open(self.url()).unwrap().get_connection().unwrap()
    }

    /// What the server answers to these words.
    pub fn tell(&self, words: &str) -> redis::Value {
        let mut words = words.split(' ');
        let mut cmd = redis::cmd(words.next().unwrap());
        words.for_each(|word| {
            cmd.arg(word);
        });
        cmd.query(&mut self.connection()).unwrap()
    }

    /// A line of INFO.
    pub fn info(&self, name: &str) -> String {
        let info: redis::InfoDict = redis::cmd("INFO").arg("all").query(&mut self.connection()).unwrap();
        info.get::<String>(name).unwrap_or_default()
    }

    pub fn is_cluster_up(&self) -> bool {
        let info: String = redis::cmd("CLUSTER").arg("INFO").query(&mut self.connection()).unwrap();
        info.contains("cluster_state:ok")
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn signal(&self, signal: &str) {
        let (signal, process) = (format!("-{signal}"), self.child.id().to_string());
        assert!(Command::new("kill").args([signal, process]).status().unwrap().success());
    }

    pub fn restart(&mut self) {
        self.child = spawn(self.port, &self.dir, &self.options);
        assert!(answers(self.port, &mut self.child), "the port {} was taken meanwhile", self.port);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Each call another offset, so that tests at once look in different places.
fn offset() -> usize {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(17, Ordering::Relaxed) as usize
}

/// Start a server, on another port if one that was free has been taken meanwhile.
pub fn launch(spawn: impl Fn(u16) -> Child) -> (u16, Child) {
    // With the bus of a Cluster 10000 above, both below the ports that the system gives to clients.
    let begin = std::process::id() as usize % 4000 + offset();
    let mut ports = (17_000..22_000).cycle().skip(begin).take(5_000).filter(|port| is_free(*port));
    let started = ports.by_ref().take(5).find_map(|port| {
        let mut child = spawn(port);
        answers(port, &mut child).then_some((port, child))
    });
    started.expect("a server starts")
}

/// Wait until the server has read its log and answers; `false` if it has ended instead.
fn answers(port: u16, server: &mut Child) -> bool {
    let id = server.id().to_string();
    let is_ours = || {
        let mut connection = Client::open(format!("redis://127.0.0.1:{port}/")).ok()?.get_connection().ok()?;
        let info: redis::InfoDict = redis::cmd("INFO").arg("server").query(&mut connection).ok()?;
        redis::cmd("PING").query::<String>(&mut connection).ok()?;
        Some(info.get::<String>("process_id")? == id)
    };
    let mut has_ended = false;
    until("a server answers", || {
        has_ended = server.try_wait().unwrap().is_some();
        has_ended || is_ours() == Some(true)
    });
    !has_ended
}

fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok() && TcpListener::bind(("127.0.0.1", port + 10_000)).is_ok()
}

fn spawn(port: u16, dir: &TempDir, options: &[String]) -> Child {
    Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
        .arg("--dir")
        .arg(dir.path())
        .args(options)
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server is installed: run .ci/redis")
}

pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < LONG, "not so after a minute: {what}");
        sleep(Duration::from_millis(20));
    }
}
