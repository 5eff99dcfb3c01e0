//! The steps of a process that anybody outside can see, and where it halts.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mcp_token_lifecycle::{Commit, Cursor, Page, Record, RecordKey, Select, StoreError, Timestamp, TokenStore};

use crate::place::Store;
use crate::process::say;

/// Counts steps, and halts at one of them until it is told to go on.
#[derive(Clone)]
pub struct Steps {
    halt_at: usize,
    count: Arc<AtomicUsize>,
}

impl Steps {
    pub fn halting_at(halt_at: usize) -> Self {
        Self { halt_at, count: Arc::default() }
    }

    pub fn without_halt() -> Self {
        Self::halting_at(usize::MAX)
    }

    pub async fn reach(&self, name: &str) {
        if self.count.fetch_add(1, Ordering::SeqCst) == self.halt_at {
            say(&format!("at {name}"));
            let told = tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new()));
            told.await.unwrap().unwrap();
        }
    }
}

/// A store whose every call is two steps.
pub struct Stepping {
    pub store: Store,
    pub steps: Steps,
}

impl TokenStore for Stepping {
    async fn get(&self, key: RecordKey) -> Result<Option<Record>, StoreError> {
        self.steps.reach("before a read").await;
        let found = self.store.get(key).await;
        self.steps.reach("after a read").await;
        found
    }

    async fn commit(&self, record: Record) -> Result<Commit, StoreError> {
        self.steps.reach("before a write").await;
        let done = self.store.commit(record).await;
        self.steps.reach("after a write").await;
        done
    }

    async fn list(&self, select: Select, after: Option<Cursor>, limit: usize) -> Result<Page, StoreError> {
        self.store.list(select, after, limit).await
    }

    async fn purge(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.store.purge(now, limit).await
    }
}
