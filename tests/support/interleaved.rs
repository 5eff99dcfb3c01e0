//! A store that lets a test act on between two calls of its user, at an exact point of a listing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mcp_token_lifecycle::{Commit, Cursor, Page, Record, RecordKey, Select, StoreError, Timestamp, TokenStore};

/// Calls `between` with its number after each page of a listing by index, before the page is handed over.
pub struct Interleaved<S: ?Sized, F> {
    store: Arc<S>,
    pages: AtomicUsize,
    between: F,
}

impl<S: ?Sized, F> Interleaved<S, F> {
    pub fn new(store: Arc<S>, between: F) -> Self {
        Self { store, pages: AtomicUsize::new(0), between }
    }
}

impl<S: TokenStore + ?Sized, F: Fn(usize) + Send + Sync> TokenStore for Interleaved<S, F> {
    async fn get(&self, key: RecordKey) -> Result<Option<Record>, StoreError> {
        self.store.get(key).await
    }

    async fn commit(&self, record: Record) -> Result<Commit, StoreError> {
        self.store.commit(record).await
    }

    async fn list(&self, select: Select, after: Option<Cursor>, limit: usize) -> Result<Page, StoreError> {
        let page = self.store.list(select, after, limit).await?;
        if matches!(select, Select::Index(_)) {
            (self.between)(self.pages.fetch_add(1, Ordering::SeqCst));
        }
        Ok(page)
    }

    async fn purge(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.store.purge(now, limit).await
    }
}
