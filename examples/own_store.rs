//! A store of one's own, in about 75 lines: `cargo run --example own_store --features conformance`.
//!
//! One file a record, named by its key; a rename swaps the new version in. A lock makes compare and swap one step, so this
//! is for one process only, and listings and purges read everything. The conformance kit says whether it keeps the contract.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use mcp_token_lifecycle::conformance::Suite;
use mcp_token_lifecycle::{
    Commit, Cursor, IndexKey, Page, Record, RecordKey, Select, StoreError, Timestamp, TokenStore,
};

struct Folder {
    path: PathBuf,
    lock: Mutex<()>,
}

impl Folder {
    fn read(&self, key: RecordKey) -> io::Result<Option<Record>> {
        match fs::read(self.path.join(key.to_string())) {
            Ok(row) => decode(key, &row).map(Some).ok_or_else(|| ErrorKind::InvalidData.into()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// In the order of the keys, which is that of their hexadecimal names.
    fn read_all(&self) -> io::Result<Vec<Record>> {
        let names = fs::read_dir(&self.path)?.map(|entry| Ok(entry?.file_name().into_string().unwrap_or_default()));
        let mut names = names.collect::<io::Result<Vec<_>>>()?;
        names.sort_unstable();
        let keys = names.iter().filter_map(|name| u128::from_str_radix(name, 16).ok()).map(u128::to_be_bytes);
        keys.map(RecordKey::from_bytes).filter_map(|key| self.read(key).transpose()).collect()
    }

    fn write(&self, record: &Record) -> io::Result<()> {
        let next = self.path.join("next");
        let mut file = fs::File::create(&next)?;
        file.write_all(&encode(record))?;
        file.sync_all()?;
        fs::rename(next, self.path.join(record.key.to_string()))?;
        // The rename is on the disk when the folder is.
        fs::File::open(&self.path)?.sync_all()
    }
}

impl TokenStore for Folder {
    async fn get(&self, key: RecordKey) -> Result<Option<Record>, StoreError> {
        self.read(key).map_err(StoreError::unavailable)
    }

    async fn commit(&self, record: Record) -> Result<Commit, StoreError> {
        let _alone = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        let stored = self.read(record.key).map_err(StoreError::unavailable)?.map_or(0, |stored| stored.version);
        if stored.checked_add(1) != Some(record.version) {
            return Ok(Commit::Conflict);
        }
        // After a failed sync nobody knows what is on the disk.
        self.write(&record).map(|()| Commit::Apply).map_err(StoreError::uncertain)
    }

    async fn list(&self, select: Select, after: Option<Cursor>, limit: usize) -> Result<Page, StoreError> {
        let mut records = self.read_all().map_err(StoreError::unavailable)?;
        records.retain(|record| match select {
            Select::All => true,
            Select::Index(index) => record.indexes.contains(&index),
        });
        records.retain(|record| after.as_ref().is_none_or(|after| &record.key.as_bytes()[..] > after.as_bytes()));
        let next = records.get(limit - 1).map(|last| Cursor::new(*last.key.as_bytes()));
        records.truncate(limit);
        Ok(Page::new(records, next))
    }

    async fn purge(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let _alone = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        let records = self.read_all().map_err(StoreError::unavailable)?;
        let expired = records.iter().filter(|record| record.expires_at <= now).take(limit);
        let removed = expired.map(|record| fs::remove_file(self.path.join(record.key.to_string())));
        Ok(removed.collect::<io::Result<Vec<_>>>().map_err(StoreError::uncertain)?.len())
    }
}

/// Version, expiry, the number of index keys, the index keys, the payload.
fn encode(record: &Record) -> Vec<u8> {
    let mut row = [record.version.to_be_bytes(), record.expires_at.as_unix().to_be_bytes()].concat();
    row.push(record.indexes.len() as u8);
    row.extend(record.indexes.iter().flat_map(IndexKey::as_bytes));
    row.extend_from_slice(&record.payload);
    row
}

fn decode(key: RecordKey, row: &[u8]) -> Option<Record> {
    let (version, row) = row.split_first_chunk()?;
    let (expires_at, row) = row.split_first_chunk()?;
    let (count, row) = row.split_first()?;
    let (indexes, payload) = row.split_at_checked(16 * usize::from(*count))?;
    let indexes = indexes.as_chunks().0.iter().copied().map(IndexKey::from_bytes).collect();
    let expires_at = Timestamp::from_unix(u64::from_be_bytes(*expires_at));
    Some(Record::new(key, u64::from_be_bytes(*version), expires_at, indexes, payload.to_vec()))
}

fn main() -> io::Result<()> {
    let scratch = tempfile::tempdir()?;
    let root = scratch.path().to_owned();
    let suite = Suite::new(move || {
        // Every check gets a folder of its own.
        let made = tempfile::tempdir_in(&root).map(tempfile::TempDir::keep);
        async move { Folder { path: made.expect("a temporary folder"), lock: Mutex::default() } }
    });
    let report = suite.run();
    print!("{report}");
    if report.is_ok() { Ok(()) } else { Err(io::Error::other("the store does not conform")) }
}
