//! The dyn-compatible twin of [`TokenStore`], for applications that choose their store at run time.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::contract::{Commit, Cursor, Page, Record, Select, StoreError, TokenStore};
use crate::id::RecordKey;
use crate::time::Timestamp;

/// A boxed future that may move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// [`TokenStore`] with boxed futures, implemented for all stores.
///
/// `Arc<dyn DynTokenStore>` implements [`TokenStore`].
pub trait DynTokenStore: Send + Sync {
    /// See [`TokenStore::get`].
    fn get_dyn(&self, key: RecordKey) -> BoxFuture<'_, Result<Option<Record>, StoreError>>;

    /// See [`TokenStore::commit`].
    fn commit_dyn(&self, record: Record) -> BoxFuture<'_, Result<Commit, StoreError>>;

    /// See [`TokenStore::list`].
    fn list_dyn(&self, select: Select, after: Option<Cursor>, limit: usize) -> BoxFuture<'_, Result<Page, StoreError>>;

    /// See [`TokenStore::purge`].
    fn purge_dyn(&self, now: Timestamp, limit: usize) -> BoxFuture<'_, Result<usize, StoreError>>;
}

impl<S: TokenStore> DynTokenStore for S {
    fn get_dyn(&self, key: RecordKey) -> BoxFuture<'_, Result<Option<Record>, StoreError>> {
        Box::pin(self.get(key))
    }

    fn commit_dyn(&self, record: Record) -> BoxFuture<'_, Result<Commit, StoreError>> {
        Box::pin(self.commit(record))
    }

    fn list_dyn(&self, select: Select, after: Option<Cursor>, limit: usize) -> BoxFuture<'_, Result<Page, StoreError>> {
        Box::pin(self.list(select, after, limit))
    }

    fn purge_dyn(&self, now: Timestamp, limit: usize) -> BoxFuture<'_, Result<usize, StoreError>> {
        Box::pin(self.purge(now, limit))
    }
}

// Implemented with any lifetime: with `'static` alone the issuer's futures could not be spawned
// (rust-lang/rust#130113).
impl TokenStore for dyn DynTokenStore + '_ {
    fn get(&self, key: RecordKey) -> impl Future<Output = Result<Option<Record>, StoreError>> + Send {
        self.get_dyn(key)
    }

    fn commit(&self, record: Record) -> impl Future<Output = Result<Commit, StoreError>> + Send {
        self.commit_dyn(record)
    }

    fn list(
        &self,
        select: Select,
        after: Option<Cursor>,
        limit: usize,
    ) -> impl Future<Output = Result<Page, StoreError>> + Send {
        self.list_dyn(select, after, limit)
    }

    fn purge(&self, now: Timestamp, limit: usize) -> impl Future<Output = Result<usize, StoreError>> + Send {
        self.purge_dyn(now, limit)
    }
}

impl<S: TokenStore + ?Sized> TokenStore for Arc<S> {
    fn get(&self, key: RecordKey) -> impl Future<Output = Result<Option<Record>, StoreError>> + Send {
        S::get(self, key)
    }

    fn commit(&self, record: Record) -> impl Future<Output = Result<Commit, StoreError>> + Send {
        S::commit(self, record)
    }

    fn list(
        &self,
        select: Select,
        after: Option<Cursor>,
        limit: usize,
    ) -> impl Future<Output = Result<Page, StoreError>> + Send {
        S::list(self, select, after, limit)
    }

    fn purge(&self, now: Timestamp, limit: usize) -> impl Future<Output = Result<usize, StoreError>> + Send {
        S::purge(self, now, limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{KeyId, Keyring, MasterKey, MemoryStore, TokenIssuer};

    /// The test passes if it compiles.
    #[test]
    fn dyn_token_store_lets_an_issuers_futures_be_spawned() {
        fn assert_spawnable(_: impl Future<Output: Send> + Send + 'static) {}
        let store: Arc<dyn DynTokenStore> = Arc::new(MemoryStore::new());
        let issuer = Arc::new(TokenIssuer::new(store, Keyring::new(KeyId::new(1), MasterKey::from_bytes([7; 32]))));
        assert_spawnable({
            let issuer = issuer.clone();
            async move { issuer.revoke_subject("user").await }
        });
        assert_spawnable(async move { issuer.purge().await });
    }
}
