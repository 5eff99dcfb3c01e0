//! A store behind glass.

use mcp_token_lifecycle::{Commit, Cursor, Page, Record, RecordKey, Select, StoreError, Timestamp, TokenStore};

/// A store to look at without leaving a trace: what is written to it is forgotten.
pub struct Glass<'a, S>(pub &'a S);

impl<S: TokenStore> TokenStore for Glass<'_, S> {
    async fn get(&self, key: RecordKey) -> Result<Option<Record>, StoreError> {
        self.0.get(key).await
    }

    async fn commit(&self, _: Record) -> Result<Commit, StoreError> {
        Ok(Commit::Applied)
    }

    async fn list(&self, select: Select, after: Option<Cursor>, limit: usize) -> Result<Page, StoreError> {
        self.0.list(select, after, limit).await
    }

    async fn purge(&self, _: Timestamp, _: usize) -> Result<usize, StoreError> {
        Ok(0)
    }
}
