//! The connection: one for all callers, made when it is first needed and again after it broke.

use std::future::Future;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{Route, SingleNodeRoutingInfo, SlotAddr};
use redis::sentinel::SentinelClient;
use redis::{AsyncConnectionConfig, Client, Cmd, ErrorKind, RedisError, ServerErrorKind, Value};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::fault::{Failure, Fault, is_refusal};
use super::scripts::{Program, is_unknown_script};

/// Where the servers are.
pub(super) enum Source {
    Server(Client),
    /// It says which server is the primary at the moment.
    Sentinel(SentinelClient),
    Cluster(ClusterClient),
}

#[derive(Clone)]
enum Connection {
    Server(MultiplexedConnection),
    /// Follows redirections and reconnects by itself, mostly.
    Cluster(ClusterConnection),
}

/// How many replicas have to have a write, and how long to wait for them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Replicas {
    pub(super) count: usize,
    pub(super) patience: Duration,
}

pub(super) struct Link {
    pub(super) timeout: Duration,
    state: Mutex<State>,
}

struct State {
    source: Source,
    /// Counts the connections, so that a broken one is given up once.
    number: u64,
    connection: Option<Connection>,
}

impl Link {
    pub(super) fn new(source: Source, timeout: Duration) -> Self {
        Self { timeout, state: Mutex::new(State { source, number: 0, connection: None }) }
    }

    /// Run a script: by its hash, or with its text if the server has not seen it yet.
    pub(super) async fn run(&self, program: &Program, keys: &[&[u8]], arguments: &[&[u8]]) -> Result<Value, Failure> {
        match self.ask(&program.by_hash(keys, arguments)).await {
            Err(failure) if failure.is_unknown_script() => self.ask(&program.by_text(keys, arguments)).await,
            answer => answer,
        }
    }

    /// Run a script, and see how many replicas have what it wrote.
    pub(super) async fn run_and_wait(
        &self,
        program: &Program,
        keys: &[&[u8]],
        arguments: &[&[u8]],
        replicas: Replicas,
    ) -> Result<(Value, i64), Failure> {
        match self.ask_and_wait(&program.by_hash(keys, arguments), keys, replicas).await {
            Err(failure) if failure.is_unknown_script() => {
                self.ask_and_wait(&program.by_text(keys, arguments), keys, replicas).await
            }
            answer => answer,
        }
    }

    pub(super) async fn ask(&self, cmd: &Cmd) -> Result<Value, Failure> {
        let (number, connection) = self.connection().await?;
        match connection {
            Connection::Server(mut server) => {
                server.set_response_timeout(self.timeout);
                let answer = cmd.query_async(&mut server).await;
                self.checked(number, answer).await
            }
            Connection::Cluster(mut cluster) => self.in_time(number, self.timeout, cmd.query_async(&mut cluster)).await,
        }
    }

    /// In one go, so that the WAIT goes through the connection of the write: it is about the writes of its own connection.
    async fn ask_and_wait(&self, cmd: &Cmd, keys: &[&[u8]], replicas: Replicas) -> Result<(Value, i64), Failure> {
        let (number, connection) = self.connection().await?;
        let patience = self.timeout + replicas.patience;
        let mut pipeline = redis::pipe();
        pipeline.add_command(cmd.clone());
        pipeline.cmd("WAIT").arg(replicas.count).arg(replicas.patience.as_millis() as u64);
        let answers = match connection {
            Connection::Server(mut server) => {
                server.set_response_timeout(patience);
                let answers = server.send_packed_commands(&pipeline, 0, 2).await.and_then(split);
                self.checked(number, answers).await?
            }
            Connection::Cluster(mut cluster) => {
                let key = keys.first().copied().unwrap_or_default();
                let route = SingleNodeRoutingInfo::SpecificNode(Route::with_key(key, SlotAddr::Master));
                let answers = async { cluster.route_pipeline(pipeline, 0, 2, route).await.and_then(split) };
                self.in_time(number, patience, answers).await?
            }
        };
        match answers {
            (answer, Value::Int(reached)) => Ok((answer, reached)),
            _ => Err(Failure::after_sending(Fault::Answer)),
        }
    }

    /// What a server has answered.
    async fn checked<T>(&self, number: u64, answer: Result<T, RedisError>) -> Result<T, Failure> {
        let Err(error) = answer else { return answer.map_err(Failure::after_sending) };
        // A primary that has become a replica is left too: another is the primary now.
        if is_broken(&error) || error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly) {
            self.give_up(number).await;
        }
        Err(if is_refusal(&error) { Failure::before_sending(error) } else { Failure::after_sending(error) })
    }

    /// What a Cluster has answered. The driver may have tried more than once, and an earlier try may have been carried out
    /// whatever came of the last.
    async fn in_time<T>(
        &self,
        number: u64,
        time: Duration,
        answer: impl Future<Output = Result<T, RedisError>>,
    ) -> Result<T, Failure> {
        let fault = match timeout(time, answer).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) if !is_broken(&error) => return Err(Failure::after_sending(error)),
            Ok(Err(error)) => Fault::Driver(error),
            Err(_) => Fault::Timeout,
        };
        self.give_up(number).await;
        Err(Failure::after_sending(fault))
    }

    /// The next operation connects again.
    async fn give_up(&self, number: u64) {
        let mut state = self.state.lock().await;
        if state.number == number {
            state.connection = None;
        }
    }

    async fn connection(&self) -> Result<(u64, Connection), Failure> {
        let connect = async {
            let mut state = self.state.lock().await;
            let connection = match &state.connection {
                Some(connection) => connection.clone(),
                None => {
                    let made = state.source.connect(self.timeout).await?;
                    state.number += 1;
                    state.connection.insert(made).clone()
                }
            };
            Ok((state.number, connection))
        };
        match timeout(self.timeout, connect).await {
            Ok(connected) => connected.map_err(|error: RedisError| Failure::before_sending(error)),
            Err(_) => Err(Failure::before_sending(Fault::Timeout)),
        }
    }
}

fn is_broken(error: &RedisError) -> bool {
    error.is_io_error() || error.is_unrecoverable_error()
}

impl Failure {
    fn is_unknown_script(&self) -> bool {
        matches!(&self.fault, Fault::Driver(error) if is_unknown_script(error))
    }
}

impl Source {
    async fn connect(&mut self, timeout: Duration) -> Result<Connection, RedisError> {
        let config = AsyncConnectionConfig::new().set_connection_timeout(Some(timeout));
        Ok(match self {
            Self::Server(client) => {
                Connection::Server(client.get_multiplexed_async_connection_with_config(&config).await?)
            }
            Self::Sentinel(client) => Connection::Server(client.get_async_connection_with_config(&config).await?),
            Self::Cluster(client) => Connection::Cluster(client.get_async_connection().await?),
        })
    }
}

/// Both answers of a pipeline, unless one is an error.
fn split(answers: Vec<Value>) -> Result<(Value, Value), RedisError> {
    let mut answers = answers.into_iter().map(Value::extract_error);
    let mut next = || answers.next().unwrap_or(Ok(Value::Nil));
    Ok((next()?, next()?))
}
