//! Where the servers are, and the connections to them.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::cluster::{ClusterClient, ClusterConfig};
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{Route, SingleNodeRoutingInfo, SlotAddr};
use redis::sentinel::SentinelClient;
use redis::{AsyncConnectionConfig, Client, Cmd, Pipeline, RedisError, RetryMethod, Value};
use tokio::time::sleep;

use super::fault::is_refusal;

/// The pauses in milliseconds before a Cluster that is changing is asked again.
const PAUSES: [u64; 6] = [5, 10, 20, 40, 80, 160];

pub(super) enum Topology {
    Server(Client),
    /// The Sentinels, which know the current primary.
    Sentinel(SentinelClient),
    Cluster(ClusterClient),
}

impl Topology {
    /// Opens a connection within `timeout`, whose answers may take at least `time`.
    pub(super) async fn connect(&mut self, timeout: Duration, time: Duration) -> Result<Connection, RedisError> {
        let config = AsyncConnectionConfig::new().set_connection_timeout(Some(timeout)).set_response_timeout(None);
        Ok(match self {
            Self::Server(client) => {
                Connection::Server(client.get_multiplexed_async_connection_with_config(&config).await?)
            }
            Self::Sentinel(client) => Connection::Server(client.get_async_connection_with_config(&config).await?),
            Self::Cluster(client) => {
                // The driver asks one node after the other for the slots, and must get past a node that hangs.
                let config = ClusterConfig::new().set_connection_timeout(timeout).set_response_timeout(time);
                Connection::Cluster(client.get_async_connection_with_config(config).await?)
            }
        })
    }
}

#[derive(Clone)]
pub(super) enum Connection {
    Server(MultiplexedConnection),
    /// A connection to all nodes. It reconnects to each node by itself.
    Cluster(ClusterConnection),
}

impl Connection {
    pub(super) async fn ask(self, cmd: &Cmd) -> Result<Value, RedisError> {
        match self {
            Self::Server(mut server) => cmd.query_async(&mut server).await,
            Self::Cluster(mut cluster) => cmd.query_async(&mut cluster).await,
        }
    }

    /// Sends the commands one after the other, on the connection to the server that has the key `name`.
    pub(super) async fn send(self, name: &[u8], commands: &[Cmd]) -> Result<Vec<Value>, RedisError> {
        let count = commands.len();
        let mut cluster = match self {
            Self::Server(mut server) => return server.send_packed_commands(&pipeline(commands), 0, count).await,
            Self::Cluster(cluster) => cluster,
        };
        let mut pauses = PAUSES.into_iter();
        loop {
            let answers = deliver(&mut cluster, name, commands).await;
            let Err(error) = &answers else { return answers };
            match pauses.next() {
                // The driver reads the slots again meanwhile.
                Some(pause) if passes(error) => sleep(Duration::from_millis(pause)).await,
                _ => return answers,
            }
        }
    }
}

/// Sends the commands to the node that should have the key, or to the node that it redirects to.
async fn deliver(cluster: &mut ClusterConnection, name: &[u8], commands: &[Cmd]) -> Result<Vec<Value>, RedisError> {
    let route = SingleNodeRoutingInfo::SpecificNode(Route::with_key(name, SlotAddr::Master));
    let answers = cluster.route_pipeline(pipeline(commands), 0, commands.len(), route).await;
    let Some(route) = answers.as_ref().err().and_then(redirection) else { return answers };
    let asking = [&[redis::cmd("ASKING")], commands].concat();
    cluster.route_pipeline(pipeline(&asking), 1, commands.len(), route).await
}

/// Whether nothing was written, and a retry may soon succeed.
fn passes(error: &RedisError) -> bool {
    is_refusal(error) && !matches!(error.retry_method(), RetryMethod::NoRetry)
}

fn pipeline(commands: &[Cmd]) -> Pipeline {
    let mut pipeline = redis::pipe();
    for cmd in commands {
        pipeline.add_command(cmd.clone());
    }
    pipeline
}

/// Returns the node that has the key, or is about to get it.
fn redirection(error: &RedisError) -> Option<SingleNodeRoutingInfo> {
    let (host, port) = error.redirect_node()?.0.rsplit_once(':')?;
    Some(SingleNodeRoutingInfo::ByAddress { host: host.to_owned(), port: port.parse().ok()? })
}
