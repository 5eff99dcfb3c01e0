//! A connection that all callers share: opened when it is first needed, and reopened after it broke.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::{Cmd, RedisError, Value};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::fault::{Failure, Fault};
use super::scripts::Program;
use super::topology::{Connection, Topology};

/// A server answers within this time, unless it waits for replicas or does not respond any more.
const SILENCE: Duration = Duration::from_millis(250);

/// How many replicas must have a write, and how long to wait for them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Replicas {
    pub(super) count: usize,
    pub(super) patience: Duration,
}

#[derive(Clone)]
pub(super) struct SharedConnection {
    /// The time limit for opening a connection.
    timeout: Duration,
    /// The time limit for an answer.
    time: Duration,
    topology: Arc<Mutex<Topology>>,
    current: Arc<Mutex<Option<Current>>>,
}

#[derive(Clone)]
struct Current {
    connection: Connection,
    made: Instant,
}

impl SharedConnection {
    pub(super) fn new(topology: Arc<Mutex<Topology>>, timeout: Duration) -> Self {
        Self { timeout, time: timeout, topology, current: Arc::default() }
    }

    /// Returns a second connection to the same servers, whose answers may take longer by `patience`.
    pub(super) fn within(&self, timeout: Duration, patience: Duration) -> Self {
        let topology = Arc::clone(&self.topology);
        Self { timeout, time: timeout + patience, topology, current: Arc::default() }
    }

    /// Runs a script by its hash, or with its text if the server has not seen it yet.
    pub(super) async fn run(&self, program: &Program, keys: &[&[u8]], arguments: &[&[u8]]) -> Result<Value, Failure> {
        match self.ask(&program.by_hash(keys, arguments)).await {
            Err(failure) if failure.is_unknown_script() => self.ask(&program.by_text(keys, arguments)).await,
            answer => answer,
        }
    }

    /// Runs a script that writes, and waits until that many replicas have what it wrote.
    pub(super) async fn write(
        &self,
        program: &Program,
        keys: &[&[u8]],
        arguments: &[&[u8]],
        replicas: Option<Replicas>,
    ) -> Result<Value, Failure> {
        let name = keys.first().copied().unwrap_or_default();
        match self.send(name, program.by_hash(keys, arguments), replicas).await {
            Err(failure) if failure.is_unknown_script() => {
                self.send(name, program.by_text(keys, arguments), replicas).await
            }
            answer => answer,
        }
    }

    pub(super) async fn ask(&self, cmd: &Cmd) -> Result<Value, Failure> {
        let current = self.connected().await?;
        self.in_time(&current, current.connection.clone().ask(cmd)).await
    }

    /// Sends command and WAIT together, because WAIT refers to the writes of its own connection.
    async fn send(&self, name: &[u8], cmd: Cmd, replicas: Option<Replicas>) -> Result<Value, Failure> {
        let current = self.connected().await?;
        let wait = replicas.map(|Replicas { count, patience }| {
            let mut wait = redis::cmd("WAIT");
            wait.arg(count).arg(patience.as_millis() as u64);
            wait
        });
        let commands: Vec<_> = [cmd].into_iter().chain(wait).collect();
        let answers = async {
            let mut answers = current.connection.clone().send(name, &commands).await?.into_iter();
            Ok((answers.next().unwrap_or(Value::Nil).extract_error()?, answers.next()))
        };
        let (answer, reached) = self.in_time(&current, answers).await?;
        match (replicas, reached) {
            (None, _) => Ok(answer),
            (Some(replicas), Some(Value::Int(reached))) if reached >= replicas.count as i64 => Ok(answer),
            (Some(replicas), answer) => Err(Failure::after_sending(Fault::Replicas { wanted: replicas.count, answer })),
        }
    }

    async fn in_time<T>(
        &self,
        current: &Current,
        answer: impl Future<Output = Result<T, RedisError>>,
    ) -> Result<T, Failure> {
        let mut waiting = Waiting { link: self, current, since: Some(Instant::now()) };
        let answer = timeout(self.time, answer).await;
        waiting.since = None;
        let failure = match answer {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => Failure::of(error),
            Err(_) => Failure::after_sending(Fault::Timeout),
        };
        if failure.fault.is_of_connection() {
            self.replace(current).await;
        }
        Err(failure)
    }

    /// Makes the next operation reconnect.
    ///
    /// In a Cluster one node of many is at fault, and the driver reconnects to it by itself, unless it does not notice
    /// the fault. So the present connection is used until a new one is open, and a new one is opened only from time to
    /// time.
    async fn replace(&self, broken: &Current) {
        let is_cluster = matches!(broken.connection, Connection::Cluster(_));
        if is_cluster && broken.made.elapsed() < self.timeout {
            return;
        }
        let mut current = self.current.lock().await;
        if current.as_ref().is_none_or(|current| current.made != broken.made) {
            return;
        }
        if !is_cluster {
            *current = None;
        } else if let Ok(topology) = Arc::clone(&self.topology).try_lock_owned() {
            self.connect(topology);
        }
    }

    /// Drops the connection, because another server is known to be the primary now.
    pub(super) async fn leave(&self) {
        *self.current.lock().await = None;
    }

    async fn connected(&self) -> Result<Current, Failure> {
        let current = async || self.current.lock().await.clone();
        let connected = async {
            if let Some(current) = current().await {
                return Ok(current);
            }
            let topology = Arc::clone(&self.topology).lock_owned().await;
            match current().await {
                Some(current) => Ok(current),
                None => self.connect(topology).await.map_err(Failure::before_sending)?.map_err(Failure::before_sending),
            }
        };
        timeout(self.timeout, connected).await.unwrap_or_else(|_| Err(Failure::before_sending(Fault::Timeout)))
    }

    /// Opens a connection. This continues when no caller waits any more: to find the primary may take longer than an
    /// operation may.
    fn connect(&self, mut topology: OwnedMutexGuard<Topology>) -> JoinHandle<Result<Current, RedisError>> {
        let (timeout, time, current) = (self.timeout, self.time, Arc::clone(&self.current));
        tokio::spawn(async move {
            let made = Current { connection: topology.connect(timeout, time).await?, made: Instant::now() };
            Ok(current.lock().await.insert(made).clone())
        })
    }
}

/// An operation that waits for its answer. If it is dropped before its time limit, it still replaces a silent
/// connection: otherwise callers with shorter limits would keep one.
struct Waiting<'a> {
    link: &'a SharedConnection,
    current: &'a Current,
    since: Option<Instant>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.since.is_some_and(|since| since.elapsed() >= SILENCE)
            && let Ok(runtime) = Handle::try_current()
        {
            let (link, current) = (self.link.clone(), self.current.clone());
            runtime.spawn(async move { link.replace(&current).await });
        }
    }
}
