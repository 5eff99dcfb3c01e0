//! Shows how to implement a durable store in about 60 lines, and how to check it with the conformance kit.
//!
//! Run it with `cargo run --example own_store --features conformance`.
//!
//! The store keeps all records in memory and in one file. Each commit writes the whole file and replaces the old one by a
//! rename, so the store suits one process with a few hundred sessions.
//!
//! The program prints the report of the conformance kit, then checks that the records survive a restart.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;

use mcp_token_lifecycle::conformance::Suite;
use mcp_token_lifecycle::{
    Commit, Cursor, IndexKey, Page, Record, RecordKey, Select, StoreError, Timestamp, TokenStore,
};
use pollster::block_on;
use tokio::sync::Mutex;

const FILE: &str = "sessions.json";

/// A store that keeps all records in one file.
struct OneFile {
    folder: PathBuf,
    records: Mutex<Records>,
}

type Records = BTreeMap<RecordKey, Record>;

/// A record in the file: key, version, expiry, index keys, payload.
type Row = ([u8; 16], u64, u64, Vec<[u8; 16]>, Vec<u8>);

impl OneFile {
    fn open(folder: PathBuf) -> io::Result<Self> {
        let path = folder.join(FILE);
        let rows: Vec<Row> = if path.exists() { serde_json::from_slice(&fs::read(path)?)? } else { Vec::new() };
        let records = rows.into_iter().map(|(key, version, expires_at, indexes, payload)| {
            let (key, indexes) = (RecordKey::from_bytes(key), indexes.into_iter().map(IndexKey::from_bytes).collect());
            (key, Record::new(key, version, Timestamp::from_unix(expires_at), indexes, payload))
        });
        Ok(Self { folder, records: Mutex::new(records.collect()) })
    }

    /// Replaces `records` with `next`. The file is written first, because callers may acknowledge what is in memory.
    fn replace(&self, records: &mut Records, next: Records) -> io::Result<()> {
        let rows = next.values().map(|Record { key, version, expires_at, indexes, payload, .. }| {
            let indexes: Vec<_> = indexes.iter().map(IndexKey::as_bytes).collect();
            (key.as_bytes(), version, expires_at.as_unix(), indexes, payload)
        });
        let path = self.folder.join("next");
        let mut file = File::create(&path)?;
        file.write_all(&serde_json::to_vec(&rows.collect::<Vec<_>>())?)?;
        file.sync_all()?;
        fs::rename(path, self.folder.join(FILE))?;
        // A rename is durable only after the folder is synced.
        File::open(&self.folder)?.sync_all()?;
        *records = next;
        Ok(())
    }
}

impl TokenStore for OneFile {
    async fn get(&self, key: RecordKey) -> Result<Option<Record>, StoreError> {
        Ok(self.records.lock().await.get(&key).cloned())
    }

    async fn commit(&self, record: Record) -> Result<Commit, StoreError> {
        let mut records = self.records.lock().await;
        let stored = records.get(&record.key).map_or(0, |stored| stored.version);
        if stored.checked_add(1) != Some(record.version) {
            return Ok(Commit::Conflict);
        }
        let mut next = records.clone();
        next.insert(record.key, record);
        // After a failed write the content of the disk is unknown, so the error is `uncertain`.
        self.replace(&mut records, next).map(|()| Commit::Applied).map_err(StoreError::uncertain)
    }

    async fn list(&self, select: Select, after: Option<Cursor>, limit: usize) -> Result<Page, StoreError> {
        let (records, after) = (self.records.lock().await, after.as_ref().map(Cursor::as_bytes));
        let behind = records.values().filter(|record| Some(&record.key.as_bytes()[..]) > after);
        let listed = behind.filter(|record| !matches!(select, Select::Index(at) if !record.indexes.contains(&at)));
        let page: Vec<_> = listed.take(limit).cloned().collect();
        let next = page.get(limit - 1).map(|last| Cursor::new(*last.key.as_bytes()));
        Ok(Page::new(page, next))
    }

    async fn purge(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let mut records = self.records.lock().await;
        let mut next = records.clone();
        let expired = records.values().filter(|record| record.expires_at <= now).take(limit);
        let count = expired.filter_map(|record| next.remove(&record.key)).count();
        self.replace(&mut records, next).map(|()| count).map_err(StoreError::uncertain)
    }
}

fn main() -> io::Result<()> {
    let scratch = tempfile::tempdir()?;
    let root = scratch.path().to_owned();
    let suite = Suite::new(move || {
        // Each check gets an empty folder.
        let made = tempfile::tempdir_in(&root).map(tempfile::TempDir::keep);
        async move { OneFile::open(made.expect("a temporary folder")).expect("an empty store") }
    });
    let report = suite.run();
    print!("{report}");
    if !report.is_ok() {
        return Err(io::Error::other("the store does not conform"));
    }

    // The kit does not reopen the store, so the example checks that the file restores the written records.
    let index = IndexKey::from_bytes([2; 16]);
    let record = Record::new(RecordKey::from_bytes([1; 16]), 1, Timestamp::from_unix(3), vec![index], vec![4]);
    let here = || OneFile::open(scratch.path().to_owned());
    let written = block_on(here()?.commit(record.clone())).map_err(io::Error::other)?;
    let found = block_on(here()?.get(record.key)).map_err(io::Error::other)?;
    if (written, found) != (Commit::Applied, Some(record)) {
        return Err(io::Error::other("a restart loses records"));
    }
    println!("The store returned the record after a restart.");
    Ok(())
}
