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

/// Before a Cluster is asked again that is changing, in milliseconds.
const PAUSES: [u64; 6] = [5, 10, 20, 40, 80, 160];

pub(super) enum Source {
    Server(Client),
    /// It says which server is the primary at the moment.
    Sentinel(SentinelClient),
    Cluster(ClusterClient),
}

impl Source {
    /// Connections that wait so long for a server, and `time` at the least for its answers.
    pub(super) async fn connect(&mut self, timeout: Duration, time: Duration) -> Result<Connection, RedisError> {
        let config = AsyncConnectionConfig::new().set_connection_timeout(Some(timeout)).set_response_timeout(None);
        Ok(match self {
            Self::Server(client) => {
                Connection::Server(client.get_multiplexed_async_connection_with_config(&config).await?)
            }
            Self::Sentinel(client) => Connection::Server(client.get_async_connection_with_config(&config).await?),
            Self::Cluster(client) => {
                // The driver asks one node after the other where the slots are, and has to get past one that hangs.
                let config = ClusterConfig::new().set_connection_timeout(timeout).set_response_timeout(time);
                Connection::Cluster(client.get_async_connection_with_config(config).await?)
            }
        })
    }
}

#[derive(Clone)]
pub(super) enum Connection {
    Server(MultiplexedConnection),
    /// To all nodes. It connects to each again by itself.
    Cluster(ClusterConnection),
}

impl Connection {
    pub(super) async fn ask(self, cmd: &Cmd) -> Result<Value, RedisError> {
        match self {
            Self::Server(mut server) => cmd.query_async(&mut server).await,
            Self::Cluster(mut cluster) => cmd.query_async(&mut cluster).await,
        }
    }

    /// One after the other, on the connection to the server that has the name.
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
                // The driver looks at the slots again meanwhile.
                Some(pause) if passes(error) => sleep(Duration::from_millis(pause)).await,
                _ => return answers,
            }
        }
    }
}

/// To the node that should have the name, or to where that sends us.
async fn deliver(cluster: &mut ClusterConnection, name: &[u8], commands: &[Cmd]) -> Result<Vec<Value>, RedisError> {
    let route = SingleNodeRoutingInfo::SpecificNode(Route::with_key(name, SlotAddr::Master));
    let answers = cluster.route_pipeline(pipeline(commands), 0, commands.len(), route).await;
    let Some(route) = answers.as_ref().err().and_then(redirection) else { return answers };
    let asking = [&[redis::cmd("ASKING")], commands].concat();
    cluster.route_pipeline(pipeline(&asking), 1, commands.len(), route).await
}

/// Whether nothing was written, and it will not be so for long.
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

/// The node that has the name, or is about to.
fn redirection(error: &RedisError) -> Option<SingleNodeRoutingInfo> {
    let (host, port) = error.redirect_node()?.0.rsplit_once(':')?;
    Some(SingleNodeRoutingInfo::ByAddress { host: host.to_owned(), port: port.parse().ok()? })
}
