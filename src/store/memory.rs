//! Records in memory: for tests, and for servers whose sessions may die with the process.

use std::collections::{BTreeSet, HashMap, hash_map::Entry};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Commit, Cursor, IndexKey, Page, Record, RecordKey, Select, StoreError, TokenStore};
use crate::time::Timestamp;

/// Enough that two threads seldom meet.
const SHARDS: usize = 64;

/// A [`TokenStore`] in memory. Its futures are ready at once; nothing outlives the process.
pub struct MemoryStore {
    /// By key. Within a commit this lock is held while the two below are taken, never the other way round.
    records: [Mutex<HashMap<RecordKey, Record>>; SHARDS],
    indexes: [Mutex<HashMap<IndexKey, BTreeSet<RecordKey>>>; SHARDS],
    expiries: Mutex<BTreeSet<(Timestamp, RecordKey)>>,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self {
            records: std::array::from_fn(|_| Mutex::default()),
            indexes: std::array::from_fn(|_| Mutex::default()),
            expiries: Mutex::default(),
        }
    }
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many records there are, expired ones included.
    pub fn len(&self) -> usize {
        self.records.iter().map(|shard| lock(shard).len()).sum()
    }

    /// Whether there are no records.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn records(&self, key: RecordKey) -> MutexGuard<'_, HashMap<RecordKey, Record>> {
        lock(&self.records[shard(key.as_bytes())])
    }

    fn index(&self, index: IndexKey) -> MutexGuard<'_, HashMap<IndexKey, BTreeSet<RecordKey>>> {
        lock(&self.indexes[shard(index.as_bytes())])
    }

    /// Bring the index keys and the expiry from what `old` had to what `new` has. What stays is not touched: a listing that
    /// comes in between must not miss the record.
    fn reindex(&self, key: RecordKey, old: Option<&Record>, new: Option<&Record>) {
        let (expired, expires) = (old.map(|record| record.expires_at), new.map(|record| record.expires_at));
        if expired != expires {
            let mut expiries = lock(&self.expiries);
            expired.map(|at| expiries.remove(&(at, key)));
            expires.map(|at| expiries.insert((at, key)));
        }
        let (old, new) = (indexes(old), indexes(new));
        for index in new.iter().filter(|index| !old.contains(index)) {
            self.index(*index).entry(*index).or_default().insert(key);
        }
        for index in old.iter().filter(|index| !new.contains(index)) {
            if let Entry::Occupied(mut keys) = self.index(*index).entry(*index) {
                keys.get_mut().remove(&key);
                if keys.get().is_empty() {
                    keys.remove();
                }
            }
        }
    }

    fn swap(&self, record: Record) -> Commit {
        let mut shard = self.records(record.key);
        match shard.entry(record.key) {
            Entry::Vacant(entry) if record.version == 1 => {
                self.reindex(record.key, None, Some(&record));
                entry.insert(record);
                Commit::Apply
            }
            Entry::Occupied(mut entry) if entry.get().version.checked_add(1) == Some(record.version) => {
                self.reindex(record.key, Some(entry.get()), Some(&record));
                entry.insert(record);
                Commit::Apply
            }
            _ => Commit::Conflict,
        }
    }

    fn page(&self, select: Select, after: Option<Cursor>, limit: usize) -> Page {
        // The cursor is the last key seen. Shards follow the leading bits of the key, so they are in key order too.
        let after = after.and_then(|c| c.as_bytes().try_into().ok()).map(RecordKey::from_bytes);
        let behind = |key: &RecordKey| after.is_none_or(|after| *key > after);
        let keys: Vec<RecordKey> = match select {
            Select::Index(index) => {
                let keys = self.index(index);
                keys.get(&index).into_iter().flatten().copied().filter(behind).take(limit).collect()
            }
            Select::All => {
                let first = after.map_or(0, |key| shard(key.as_bytes()));
                let mut keys = Vec::new();
                for shard in &self.records[first..] {
                    let mut more: Vec<_> = lock(shard).keys().copied().filter(behind).collect();
                    more.sort_unstable();
                    more.truncate(limit - keys.len());
                    keys.append(&mut more);
                    if keys.len() == limit {
                        break;
                    }
                }
                keys
            }
        };
        let next = keys.last().filter(|_| keys.len() == limit).map(|key| Cursor::new(*key.as_bytes()));
        Page::new(keys.into_iter().filter_map(|key| self.records(key).get(&key).cloned()).collect(), next)
    }

    fn remove_expired(&self, now: Timestamp, limit: usize) -> usize {
        let mut removed = 0;
        // Again from the start while some of those found were renewed before they could be removed.
        loop {
            let expired = |(at, _): &&(Timestamp, RecordKey)| *at <= now;
            let keys: Vec<_> =
                lock(&self.expiries).iter().take_while(expired).take(limit - removed).map(|(_, key)| *key).collect();
            if keys.is_empty() {
                return removed;
            }
            for key in keys {
                let mut shard = self.records(key);
                if let Entry::Occupied(entry) = shard.entry(key)
                    && entry.get().expires_at <= now
                {
                    self.reindex(key, Some(entry.get()), None);
                    entry.remove();
                    removed += 1;
                }
            }
        }
    }
}

impl TokenStore for MemoryStore {
    async fn get(&self, key: RecordKey) -> Result<Option<Record>, StoreError> {
        Ok(self.records(key).get(&key).cloned())
    }

    async fn commit(&self, record: Record) -> Result<Commit, StoreError> {
        Ok(self.swap(record))
    }

    async fn list(&self, select: Select, after: Option<Cursor>, limit: usize) -> Result<Page, StoreError> {
        Ok(self.page(select, after, limit.max(1)))
    }

    async fn purge(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        Ok(self.remove_expired(now, limit.max(1)))
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").field("len", &self.len()).finish_non_exhaustive()
    }
}

fn indexes(record: Option<&Record>) -> &[IndexKey] {
    record.map_or(&[], |record| &record.indexes)
}

/// No operation panics while it holds a lock, so a poisoned one still guards sound data.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn shard(key: &[u8; 16]) -> usize {
    usize::from(key[0]) * SHARDS / 256
}
