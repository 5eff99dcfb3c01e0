//! A store that is right, but for one fault of one's choice.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use mcp_token_lifecycle::{
    Commit, Cursor, IndexKey, Page, Record, RecordKey, Select, StoreError, Timestamp, TokenStore,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// Compares in one step and writes in another.
    CheckThenWrite,
    /// Replaces any version that is there.
    LostUpdate,
    /// Writes a replacement where there is nothing: what was deleted comes back.
    Upsert,
    /// Deletes the row when the expiry changes, as it does when the family is revoked.
    DeleteAsRevocation,
    /// Replaces in two steps: deletes, then inserts.
    DeleteThenInsert,
    /// Reads from a replica that lags.
    StaleRead,
    /// Acknowledges first and writes later.
    AckFirst,
    /// Purges by the expiry of the first version.
    FirstExpiry,
    /// Chooses what to purge in one step and deletes in another.
    PurgeInTwoSteps,
    /// Leaves the index keys of the first version.
    FirstIndexes,
    /// Returns the index keys in another order.
    SortedIndexes,
    /// Cuts the payload off.
    Truncate,
    /// Pages by offset.
    OffsetPaging,
    /// Writes the index keys in a second step, with a pause in between.
    HalfCommit,
    /// Answers a lost race with an error.
    ErrorOnConflict,
    /// Panics when a version has no predecessor.
    Panic,
    /// Never answers a listing.
    Hang,
}

#[derive(Clone)]
struct Row {
    record: Record,
    /// What a listing goes by.
    indexes: Vec<IndexKey>,
    /// What a purge goes by.
    expires_at: Timestamp,
}

impl Row {
    fn new(record: Record) -> Self {
        Self { indexes: record.indexes.clone(), expires_at: record.expires_at, record }
    }
}

type Rows = BTreeMap<RecordKey, Row>;

pub struct Broken {
    fault: Fault,
    rows: Mutex<Rows>,
    replica: Mutex<Replica>,
    /// What is acknowledged and not yet written.
    pending: Mutex<Vec<(RecordKey, Row)>>,
}

/// What a replica has, and how often it was read since it last caught up.
#[derive(Default)]
struct Replica {
    rows: Rows,
    reads: usize,
}

impl Broken {
    pub fn new(fault: Fault) -> Self {
        Self { fault, rows: Mutex::default(), replica: Mutex::default(), pending: Mutex::default() }
    }

    fn has(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap()
    }

    fn write_pending(&self) {
        self.rows().extend(self.pending.lock().unwrap().drain(..));
    }

    /// Whether `record` may be written over what is there.
    fn fits(&self, there: Option<&Row>, record: &Record) -> bool {
        match there {
            None => record.version == 1 || (self.has(Fault::Upsert) && record.version > 1),
            Some(_) if self.has(Fault::LostUpdate) => true,
            Some(_) if self.has(Fault::Panic) && record.version == 0 => panic!("attempt to subtract with overflow"),
            Some(there) => there.record.version.checked_add(1) == Some(record.version),
        }
    }

    fn row(&self, there: Option<&Row>, mut record: Record) -> Row {
        if self.has(Fault::Truncate) {
            record.payload.truncate(4096);
        }
        let mut row = Row::new(record);
        match there {
            Some(there) if self.has(Fault::FirstExpiry) => row.expires_at = there.expires_at,
            Some(there) if self.has(Fault::FirstIndexes) => row.indexes = there.indexes.clone(),
            _ => {}
        }
        row
    }

    fn read(&self, row: &Row) -> Record {
        let mut record = row.record.clone();
        if self.has(Fault::SortedIndexes) {
            record.indexes.sort();
        }
        record
    }
}

impl TokenStore for Broken {
    async fn get(&self, key: RecordKey) -> Result<Option<Record>, StoreError> {
        if self.has(Fault::StaleRead) {
            let mut replica = self.replica.lock().unwrap();
            replica.reads += 1;
            if replica.reads.is_multiple_of(4) {
                replica.rows = self.rows().clone();
            }
            return Ok(replica.rows.get(&key).map(|row| self.read(row)));
        }
        let found = self.rows().get(&key).map(|row| self.read(row));
        // The first read after an acknowledgement comes too early.
        self.write_pending();
        Ok(found)
    }

    async fn commit(&self, record: Record) -> Result<Commit, StoreError> {
        self.write_pending();
        let key = record.key;
        let (before, fits) = {
            let mut rows = self.rows();
            let there = rows.get(&key).cloned();
            let fits = self.fits(there.as_ref(), &record);
            if fits && !self.has(Fault::CheckThenWrite) && !self.has(Fault::AckFirst) {
                let mut row = self.row(there.as_ref(), record.clone());
                if self.has(Fault::HalfCommit) {
                    row.indexes = there.iter().flat_map(|row| row.indexes.clone()).collect();
                }
                let moved = there.as_ref().is_some_and(|there| there.expires_at != row.expires_at);
                if self.has(Fault::DeleteThenInsert) || (self.has(Fault::DeleteAsRevocation) && moved) {
                    rows.remove(&key);
                } else {
                    rows.insert(key, row);
                }
            }
            (there, fits)
        };
        if !fits && self.has(Fault::ErrorOnConflict) {
            return Err(StoreError::unavailable("could not serialize access"));
        }
        if !fits {
            return Ok(Commit::Conflict);
        }
        match self.fault {
            Fault::CheckThenWrite | Fault::DeleteThenInsert => {
                // A gap that another writer meets, however busy the machine is.
                thread::sleep(Duration::from_millis(1));
                self.rows().insert(key, self.row(before.as_ref(), record));
            }
            Fault::AckFirst => {
                let row = self.row(before.as_ref(), record);
                self.pending.lock().unwrap().push((key, row));
            }
            Fault::HalfCommit => {
                pause().await;
                if let Some(row) = self.rows().get_mut(&key) {
                    row.indexes = row.record.indexes.clone();
                }
            }
            _ => {}
        }
        Ok(Commit::Applied)
    }

    async fn list(&self, select: Select, after: Option<Cursor>, limit: usize) -> Result<Page, StoreError> {
        if self.has(Fault::Hang) {
            std::future::pending::<()>().await;
        }
        self.write_pending();
        let rows = self.rows();
        let selected = rows.iter().filter(|(_, row)| match select {
            Select::All => true,
            Select::Index(index) => row.indexes.contains(&index),
        });
        if self.has(Fault::OffsetPaging) {
            let offset = after.map_or(0, |cursor| usize::from_be_bytes(cursor.as_bytes().try_into().unwrap()));
            let records: Vec<_> = selected.skip(offset).take(limit).map(|(_, row)| self.read(row)).collect();
            let next = (records.len() == limit).then(|| Cursor::new((offset + limit).to_be_bytes()));
            return Ok(Page::new(records, next));
        }
        let after = after.map(|cursor| RecordKey::from_bytes(cursor.as_bytes().try_into().unwrap()));
        let behind = selected.filter(|(key, _)| after.is_none_or(|after| **key > after));
        let records: Vec<_> = behind.take(limit).map(|(_, row)| self.read(row)).collect();
        let next = records.last().filter(|_| records.len() == limit).map(|last| Cursor::new(*last.key.as_bytes()));
        Ok(Page::new(records, next))
    }

    async fn purge(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let expired = |rows: &Rows| -> Vec<RecordKey> {
            rows.iter().filter(|(_, row)| row.expires_at <= now).map(|(key, _)| *key).take(limit).collect()
        };
        self.write_pending();
        let mut rows = self.rows();
        let chosen = expired(&rows);
        if self.has(Fault::PurgeInTwoSteps) {
            drop(rows);
            thread::sleep(Duration::from_millis(1));
            rows = self.rows();
        }
        Ok(chosen.iter().filter(|key| rows.remove(key).is_some()).count())
    }
}

/// Pending once, as a store is that waits for the network.
async fn pause() {
    let mut first = true;
    std::future::poll_fn(|cx| {
        if std::mem::take(&mut first) {
            cx.waker().wake_by_ref();
            return std::task::Poll::Pending;
        }
        std::task::Poll::Ready(())
    })
    .await;
}
