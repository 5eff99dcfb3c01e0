//! Records in memory: for tests, and for servers whose sessions may end with the process.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap, HashSet, hash_map::Entry};
use std::fmt;
use std::iter;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::contract::{Commit, Cursor, Page, Record, Select, StoreError, TokenStore};
use crate::id::{IndexKey, RecordKey};
use crate::time::Timestamp;

/// Enough shards that two threads seldom need the same lock.
const SHARDS: usize = 64;

/// A [`TokenStore`] in memory. Its futures are ready at once, and no record survives the process.
pub struct MemoryStore {
    /// Selected by the leading bits of the key, so the shards are in key order.
    shards: [Mutex<Shard>; SHARDS],
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self { shards: std::array::from_fn(|_| Mutex::default()) }
    }
}

impl MemoryStore {
    /// Creates an empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the number of records, including expired ones.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).records.len()).sum()
    }

    /// Whether there are no records.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn shard(&self, key: RecordKey) -> MutexGuard<'_, Shard> {
        lock(&self.shards[shard_number(key)])
    }
}

impl TokenStore for MemoryStore {
    async fn get(&self, key: RecordKey) -> Result<Option<Record>, StoreError> {
        Ok(self.shard(key).records.get(&key).map(|row| row.record(key)))
    }

    async fn commit(&self, record: Record) -> Result<Commit, StoreError> {
        let key = record.key;
        Row::new(record)
            .map(|row| self.shard(key).commit(key, row))
            .ok_or_else(|| StoreError::unavailable("a record has too many index keys"))
    }

    /// The cursor is the key of the last record.
    async fn list(&self, select: Select, after: Option<Cursor>, limit: usize) -> Result<Page, StoreError> {
        let (limit, mut page): (_, Vec<Record>) = (limit.max(1), Vec::new());
        let after = after.and_then(|c| c.as_bytes().try_into().ok()).map(RecordKey::from_bytes);
        for shard in &self.shards[after.map_or(0, shard_number)..] {
            lock(shard).list(select, after, limit, &mut page);
            if page.len() == limit {
                break;
            }
        }
        let next = page.last().filter(|_| page.len() == limit).map(|record| Cursor::new(*record.key.as_bytes()));
        Ok(Page::new(page, next))
    }

    async fn purge(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let (limit, mut removed) = (limit.max(1), 0);
        for shard in &self.shards {
            removed += lock(shard).purge(now, limit - removed);
        }
        Ok(removed)
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// The records whose keys have the same leading bits.
#[derive(Default)]
struct Shard {
    records: HashMap<RecordKey, Row>,
    indexes: HashMap<IndexKey, HashSet<RecordKey>>,
    expiries: BTreeSet<(Timestamp, RecordKey)>,
}

/// A record without its key. The index keys are part of the row, because a read among many records costs a cache miss for
/// each allocation.
struct Row {
    version: u64,
    expires_at: Timestamp,
    indexes: [IndexKey; Record::MAX_INDEXES],
    indexes_len: usize,
    payload: Vec<u8>,
}

impl Row {
    /// Returns `None` if the record has too many index keys.
    fn new(Record { version, expires_at, indexes, payload, .. }: Record) -> Option<Self> {
        let mut row = Self {
            version,
            expires_at,
            indexes: [IndexKey::from_bytes([0; 16]); Record::MAX_INDEXES],
            indexes_len: indexes.len(),
            payload,
        };
        row.indexes.get_mut(..indexes.len())?.copy_from_slice(&indexes);
        Some(row)
    }

    fn record(&self, key: RecordKey) -> Record {
        Record::new(key, self.version, self.expires_at, self.indexes().to_vec(), self.payload.clone())
    }

    fn indexes(&self) -> &[IndexKey] {
        &self.indexes[..self.indexes_len]
    }
}

impl Shard {
    fn commit(&mut self, key: RecordKey, row: Row) -> Commit {
        let old = self.records.get_mut(&key);
        if old.as_ref().map_or(0, |old| old.version).checked_add(1) != Some(row.version) {
            return Commit::Conflict;
        }
        match old {
            // An ordinary rotation changes neither indexes nor expiry.
            Some(old) if old.indexes() == row.indexes() && old.expires_at == row.expires_at => *old = row,
            _ => {
                self.remove(key);
                self.expiries.insert((row.expires_at, key));
                for index in row.indexes() {
                    self.indexes.entry(*index).or_default().insert(key);
                }
                self.records.insert(key, row);
            }
        }
        Commit::Applied
    }

    fn remove(&mut self, key: RecordKey) {
        if let Some(row) = self.records.remove(&key) {
            self.expiries.remove(&(row.expires_at, key));
            for index in row.indexes() {
                if let Entry::Occupied(mut listed) = self.indexes.entry(*index) {
                    listed.get_mut().remove(&key);
                    if listed.get().is_empty() {
                        listed.remove();
                    }
                }
            }
        }
    }

    /// Fills `page` up to `limit` with the records after `after`, in key order.
    fn list(&self, select: Select, after: Option<RecordKey>, limit: usize, page: &mut Vec<Record>) {
        let all: &mut dyn Iterator<Item = &RecordKey> = match select {
            Select::Index(index) => &mut self.indexes.get(&index).into_iter().flatten(),
            Select::All => &mut self.records.keys(),
        };
        let mut keys: BinaryHeap<_> = all.filter(|key| after.is_none_or(|after| **key > after)).map(Reverse).collect();
        let next = iter::from_fn(|| keys.pop()).take(limit - page.len());
        page.extend(next.filter_map(|Reverse(key)| self.records.get(key).map(|row| row.record(*key))));
    }

    fn purge(&mut self, now: Timestamp, limit: usize) -> usize {
        let mut removed = 0;
        while removed < limit
            && let Some((at, key)) = self.expiries.first()
            && *at <= now
        {
            self.remove(*key);
            removed += 1;
        }
        removed
    }
}

/// No operation panics while it holds a lock, so the data behind a poisoned lock is consistent.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the number of the shard that `key` belongs to.
fn shard_number(key: RecordKey) -> usize {
    usize::from(key.as_bytes()[0]) * SHARDS / 256
}
