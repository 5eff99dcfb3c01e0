//! A commit: the index entries if they change, then the record. The record is written in one step, and nearly every
//! commit takes one round trip.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use redis::Value;
use tokio::task::JoinSet;

use super::RedisStore;
use super::fault::{Failure, Fault};
use super::layout::{self, Attempt, Entry, Lifetime, Listing};
use super::scripts::{Program, Swap};
use crate::id::{IndexKey, RecordKey};
use crate::store::{Commit, Record, StoreError};

/// A commit in progress.
struct Write<'a> {
    record: &'a Record,
    attempt: Attempt,
    replaced: &'a [u8],
    body: Vec<u8>,
    least: u64,
}

impl RedisStore {
    pub(super) async fn write(&self, record: Record) -> Result<Commit, StoreError> {
        let Some(replaced) = record.version.checked_sub(1) else { return Ok(Commit::Conflict) };
        let (is_new, is_unlisted) = (replaced == 0, record.indexes.is_empty());
        let Lifetime { mut until, least } = Lifetime::of(record.expires_at, SystemTime::now().into());
        let write = Write {
            record: &record,
            attempt: Attempt::new(record.version, self.attempts.fetch_add(1, Ordering::Relaxed)),
            replaced: if is_new { &[] } else { &replaced.to_be_bytes() },
            body: layout::body(&record),
            least,
        };
        if is_new {
            self.enlist(&record, until, write.attempt).await?;
        }
        let mut swap = self.swap(&write, until, is_new || is_unlisted).await?;
        if let Swap::EnlistFirst(before) = swap {
            // Never earlier than before, so that an entry does not move behind a listing.
            until = until.max(before);
            self.enlist(&record, until, write.attempt).await?;
            swap = self.swap(&write, until, true).await?;
        }
        match swap {
            Swap::Conflict => return Ok(Commit::Conflict),
            Swap::EnlistFirst(_) => return Err(Fault::Answer.into()),
            Swap::Done => self.confirm(record.key, write.attempt).await,
            Swap::Delist(listing) => {
                self.confirm(record.key, write.attempt).await;
                self.delist([(record.key, listing)]).await;
            }
        }
        Ok(Commit::Applied)
    }

    async fn swap(&self, write: &Write<'_>, until: u64, enlisted: bool) -> Result<Swap, StoreError> {
        let Write { record, attempt, replaced, body, least } = write;
        let shard = layout::shard(record.key);
        let (name, keys, expiries) =
            (self.names.record(record.key), self.names.keys(shard), self.names.expiries(shard));
        let keys: [&[u8]; 3] = [&name, &keys, &expiries];
        let (milliseconds, least) = ((until * 1000).to_string(), least.to_string());
        let arguments: [&[u8]; 7] = [
            &attempt.to_bytes(),
            replaced,
            &until.to_be_bytes(),
            milliseconds.as_bytes(),
            least.as_bytes(),
            body,
            if enlisted { b"1" } else { b"0" },
        ];
        let answer = self.run(&self.scripts.commit, &keys, &arguments).await;
        Swap::read(answer.map_err(Failure::of_write)?).map_err(StoreError::uncertain)
    }

    /// Runs a script that writes. If the server has become a replica, reads leave it too.
    pub(super) async fn run(&self, program: &Program, keys: &[&[u8]], arguments: &[&[u8]]) -> Result<Value, Failure> {
        let answer = self.writes.write(program, keys, arguments, self.replicas).await;
        if answer.as_ref().is_err_and(|failure| failure.fault.is_demotion()) {
            self.reads.leave().await;
        }
        answer
    }

    /// Writes the index entries before the record, so that the record is never missing from its indexes. If the commit
    /// stops here, the entries have no effect.
    async fn enlist(&self, record: &Record, until: u64, attempt: Attempt) -> Result<(), StoreError> {
        let entry = Entry::new(until, record.key, attempt).encode();
        for index in &record.indexes {
            self.run(&self.scripts.enlist, &[&self.names.index(*index)], &[&entry]).await?;
        }
        Ok(())
    }

    /// Removes entries that are out of date. If that fails, the next listing removes them, or they expire.
    pub(super) async fn delist(&self, gone: impl IntoIterator<Item = (RecordKey, Listing)>) {
        let mut entries = BTreeMap::<IndexKey, Vec<Vec<u8>>>::new();
        for (key, listing) in gone {
            let entry = listing.entry(key).encode();
            for index in listing.indexes {
                entries.entry(index).or_default().push(entry.clone());
            }
        }
        let mut removals = JoinSet::new();
        for (index, entries) in entries {
            let (reads, index) = (self.reads.clone(), self.names.index(index));
            removals.spawn(async move { reads.ask(redis::cmd("ZREM").arg(index).arg(entries)).await });
        }
        while removals.join_next().await.is_some() {}
    }
}
