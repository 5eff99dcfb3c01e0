//! The store in a file, in a temporary directory that goes when the store does.

use mcp_token_lifecycle::{
    Commit, Cursor, Page, Record, RecordKey, RedbStore, Select, StoreError, Timestamp, TokenStore,
};
use tempfile::TempDir;

pub struct InFile {
    store: RedbStore,
    // Dropped after the store.
    _dir: TempDir,
}

impl InFile {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { store: RedbStore::open(dir.path().join("tokens.redb")).unwrap(), _dir: dir }
    }
}

impl TokenStore for InFile {
    async fn get(&self, key: RecordKey) -> Result<Option<Record>, StoreError> {
        self.store.get(key).await
    }

    async fn commit(&self, record: Record) -> Result<Commit, StoreError> {
        self.store.commit(record).await
    }

    async fn list(&self, select: Select, after: Option<Cursor>, limit: usize) -> Result<Page, StoreError> {
        self.store.list(select, after, limit).await
    }

    async fn purge(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.store.purge(now, limit).await
    }
}
