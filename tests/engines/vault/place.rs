//! Where a store is, in words that another process understands.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mcp_token_lifecycle::{DynTokenStore, PostgresStore, RedbStore, RedisStore};
use tempfile::TempDir;

use crate::{fresh, variable};

pub type Store = Arc<dyn DynTokenStore>;

/// What is well may take this long on a busy machine.
const LONG: Duration = Duration::from_secs(60);

/// A connection to a server that is well: tried until there is one.
async fn connected<T, E: std::error::Error, F: Future<Output = Result<T, E>>>(connect: impl Fn() -> F) -> T {
    let begun = Instant::now();
    loop {
        match connect().await {
            Ok(store) => return store,
            Err(error) => assert!(begun.elapsed() < LONG, "no connection after a minute: {error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Postgres,
    Redis,
    Cluster,
    /// redb, which one process has at a time.
    File,
}

/// A kind, and a table, a prefix or a file.
pub struct Place {
    pub kind: Kind,
    pub name: String,
}

impl Place {
    /// A place where nothing is yet; a file is in `dir`.
    pub fn fresh(kind: Kind, dir: &TempDir) -> Self {
        let name = fresh();
        let name = if kind == Kind::File { dir.path().join(name).display().to_string() } else { name };
        Self { kind, name }
    }

    pub fn parse(kind: &str, name: &str) -> Self {
        let kinds = [Kind::Postgres, Kind::Redis, Kind::Cluster, Kind::File];
        let kind = kinds.into_iter().find(|known| format!("{known:?}") == kind).unwrap();
        Self { kind, name: name.to_owned() }
    }

    pub async fn open(&self) -> Store {
        let redis = |store: RedisStore| -> Store { Arc::new(store.with_prefix(&self.name).with_timeout(LONG)) };
        match self.kind {
            Kind::Postgres => {
                let url = variable("POSTGRES_URL");
                let store = connected(|| PostgresStore::connect(&url)).await.with_timeout(LONG);
                let store = store.with_table(&self.name).unwrap();
                store.create_schema().await.unwrap();
                Arc::new(store)
            }
            Kind::Redis => {
                let url = variable("REDIS_URL");
                redis(connected(|| RedisStore::connect(&url)).await)
            }
            Kind::Cluster => {
                let urls = variable("REDIS_CLUSTER_URLS");
                redis(connected(|| RedisStore::connect_cluster(urls.split_whitespace())).await)
            }
            Kind::File => Arc::new(RedbStore::open(&self.name).unwrap()),
        }
    }
}
