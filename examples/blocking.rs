//! Shows how a program without an asynchronous runtime uses the issuer, and how it implements its own store.
//!
//! Run it with `cargo run --example blocking`.
//!
//! A store has four operations: `get`, `commit`, `list` and `purge`. The futures of this store are ready at the first poll.
//! The futures of the issuer are then ready at the first poll too, so `block_on` never waits.
//!
//! The program refreshes one session, revokes it, and prints one line for each of the two steps.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mcp_token_lifecycle::{
    Client, Commit, Cursor, Grant, KeyId, Keyring, MasterKey, Page, Record, RecordKey, RefreshRequest, Resource, Scope,
    Select, StoreError, Timestamp, TokenIssuer, TokenStore,
};
use pollster::block_on;

/// A store that keeps all records in memory, behind one lock.
#[derive(Default)]
struct Table(Mutex<HashMap<RecordKey, Record>>);

impl Table {
    fn rows(&self) -> MutexGuard<'_, HashMap<RecordKey, Record>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TokenStore for Table {
    async fn get(&self, key: RecordKey) -> Result<Option<Record>, StoreError> {
        Ok(self.rows().get(&key).cloned())
    }

    /// Writes the record if the stored version is the previous one. The lock is held from the comparison to the write, so no
    /// other commit can change the record in between.
    async fn commit(&self, record: Record) -> Result<Commit, StoreError> {
        let mut rows = self.rows();
        let stored = rows.get(&record.key).map_or(0, |row| row.version);
        if stored.checked_add(1) != Some(record.version) {
            return Ok(Commit::Conflict);
        }
        rows.insert(record.key, record);
        Ok(Commit::Applied)
    }

    /// Lists records in key order. The cursor is the last key of the previous page.
    async fn list(&self, select: Select, after: Option<Cursor>, limit: usize) -> Result<Page, StoreError> {
        let selected = |row: &&Record| match select {
            Select::All => true,
            Select::Index(index) => row.indexes.contains(&index),
        };
        let behind = |row: &&Record| after.as_ref().is_none_or(|after| &row.key.as_bytes()[..] > after.as_bytes());
        let mut records: Vec<_> = self.rows().values().filter(selected).filter(behind).cloned().collect();
        records.sort_unstable_by_key(|row| row.key);
        let more = records.len() > limit;
        records.truncate(limit);
        let next = records.last().filter(|_| more).map(|row| Cursor::new(*row.key.as_bytes()));
        Ok(Page::new(records, next))
    }

    async fn purge(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let mut rows = self.rows();
        let expired: Vec<_> =
            rows.values().filter(|row| row.expires_at <= now).map(|row| row.key).take(limit).collect();
        Ok(expired.iter().filter_map(|key| rows.remove(key)).count())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let issuer = TokenIssuer::new(Table::default(), Keyring::new(KeyId::new(1), MasterKey::generate()?));
    let client = Client::public("cli");
    let resource = Resource::parse("https://notes.example/mcp")?;
    let grant = Grant::new("alice", client.id(), Scope::parse("notes:read")?, resource)?;

    let first = block_on(issuer.issue(grant, None))?;
    let request = RefreshRequest::new(&client, first.refresh_token.expose());
    let second = block_on(issuer.refresh(&request))?.into_result()?;
    println!("The session was refreshed. The new access token expires in {} s.", second.expires_in);

    let revoked = block_on(issuer.revoke_subject("alice"))?;
    let request = RefreshRequest::new(&client, second.refresh_token.expose());
    let refused = block_on(issuer.refresh(&request))?.into_result().err().ok_or("a revoked session was refreshed")?;
    println!("{revoked} session was revoked. The next refresh was refused: {refused}");
    Ok(())
}
