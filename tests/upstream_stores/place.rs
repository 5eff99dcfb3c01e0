//! Where a store is, in words that another process understands.

use std::sync::Arc;
use std::time::Duration;

use mcp_token_lifecycle::{DynTokenStore, PostgresStore, RedbStore, RedisStore};
use tempfile::TempDir;

use crate::{fresh, variable};

pub type Store = Arc<dyn DynTokenStore>;

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
        let redis = |store: RedisStore| -> Store {
            // A machine that tests under load may be slow.
            Arc::new(store.with_prefix(&self.name).with_timeout(Duration::from_secs(20)))
        };
        match self.kind {
            Kind::Postgres => {
                let store = PostgresStore::connect(&variable("POSTGRES_URL")).await.unwrap();
                let store = store.with_table(&self.name).unwrap();
                store.create_schema().await.unwrap();
                Arc::new(store)
            }
            Kind::Redis => redis(RedisStore::connect(&variable("REDIS_URL")).await.unwrap()),
            Kind::Cluster => {
                let urls = variable("REDIS_CLUSTER_URLS");
                redis(RedisStore::connect_cluster(urls.split_whitespace()).await.unwrap())
            }
            Kind::File => Arc::new(RedbStore::open(&self.name).unwrap()),
        }
    }
}
