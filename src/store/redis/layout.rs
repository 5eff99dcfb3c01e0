//! The stored data: key names, the bytes of a record, the bytes of an index entry.
//!
//! | name | type | holds |
//! |---|---|---|
//! | `prefix:{shard}:r:key` | string | the record |
//! | `prefix:{shard}:k` | sorted set | the keys of the shard's records |
//! | `prefix:{shard}:e` | sorted set | expiry and key of the shard's records |
//! | `prefix:i:index` | sorted set | the entries of an index key |
//!
//! Every score is 0, so the members of a set are in the order of their bytes.

use super::fault::Fault;
use crate::id::{IndexKey, RecordKey};
use crate::store::Record;
use crate::store::contract::StoreError;
use crate::time::Timestamp;
use redis::{FromRedisValue, Value};

/// Enough shards to spread over the nodes of a Cluster, and few enough to visit one after another.
pub(super) const SHARDS: usize = 128;

/// How many seconds a record outlives its expiry if it is not purged, or half of that: see [`Lifetime`]. The clock of
/// an issuer must not differ from the server's by that much.
const MARGIN: u64 = 24 * 60 * 60;

/// The latest expiry in seconds. It is still a whole number in milliseconds, even for Lua.
const END_OF_TIME: u64 = 1 << 43;

/// The key names of one store.
pub(super) struct KeyNames {
    pub(super) prefix: String,
}

impl KeyNames {
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    pub(super) fn record(&self, key: RecordKey) -> Vec<u8> {
        join(&[&self.records(shard(key)), key.as_bytes()])
    }

    /// Returns the prefix of the names of a shard's records.
    pub(super) fn records(&self, shard: usize) -> Vec<u8> {
        format!("{}:{{{shard:02x}}}:r:", self.prefix).into_bytes()
    }

    pub(super) fn keys(&self, shard: usize) -> Vec<u8> {
        format!("{}:{{{shard:02x}}}:k", self.prefix).into_bytes()
    }

    pub(super) fn expiries(&self, shard: usize) -> Vec<u8> {
        format!("{}:{{{shard:02x}}}:e", self.prefix).into_bytes()
    }

    pub(super) fn index(&self, index: IndexKey) -> Vec<u8> {
        join(&[self.prefix.as_bytes(), b":i:", index.as_bytes()])
    }
}

/// Returns the shard of a key. Shards follow the leading bits of the key, so they are in key order.
pub(super) fn shard(key: RecordKey) -> usize {
    usize::from(key.as_bytes()[0]) * SHARDS / 256
}

pub(super) fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// One attempt to commit: the version, and a number that no other attempt has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Attempt {
    version: u64,
    number: u64,
}

impl Attempt {
    pub(super) fn new(version: u64, number: u64) -> Self {
        Self { version, number }
    }

    pub(super) fn to_bytes(self) -> [u8; 16] {
        (u128::from(self.version) << 64 | u128::from(self.number)).to_be_bytes()
    }

    fn from_bytes(bytes: [u8; 16]) -> Self {
        let both = u128::from_be_bytes(bytes);
        Self { version: (both >> 64) as u64, number: both as u64 }
    }
}

/// How long the server keeps a record before it deletes the record by itself.
pub(super) struct Lifetime {
    /// The time until which a record is kept that is written now.
    pub(super) until: u64,
    /// The earliest such time, decided by an earlier write, that still suffices. The two differ by half of the margin,
    /// so that a small change of the expiry moves no index entry.
    pub(super) least: u64,
}

impl Lifetime {
    pub(super) fn of(expires_at: Timestamp, now: Timestamp) -> Self {
        // A record that has expired must still be purged, because the clock of its issuer may differ.
        let end = expires_at.max(now).as_unix();
        let plus = |margin| end.saturating_add(margin).min(END_OF_TIME);
        Self { until: plus(MARGIN), least: plus(MARGIN / 2) }
    }
}

/// A member of an index: until when it is kept, the record, and the attempt that wrote it.
///
/// No two attempts write the same member, so removing an entry cannot remove the entry of another commit. The entries
/// of a record only move towards the end of the set, so a listing that goes through the set meets one of them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    until: u64,
    pub(super) key: RecordKey,
    attempt: Attempt,
}

impl Entry {
    pub(super) fn new(until: u64, key: RecordKey, attempt: Attempt) -> Self {
        Self { until, key, attempt }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        join(&[&self.until.to_be_bytes(), self.key.as_bytes(), &self.attempt.to_bytes()])
    }

    pub(super) fn decode(member: &[u8]) -> Result<Self, Fault> {
        let parts = || {
            let (until, rest) = member.split_first_chunk()?;
            let (key, rest) = rest.split_first_chunk()?;
            let attempt = rest.try_into().ok()?;
            let key = RecordKey::from_bytes(*key);
            Some(Self { until: u64::from_be_bytes(*until), key, attempt: Attempt::from_bytes(attempt) })
        };
        parts().ok_or(Fault::Row)
    }

    /// Whether the entry neither belongs to `row` nor can belong to it later, because the attempt that wrote it has
    /// been decided. Without a row, a first write may be in progress; any other attempt has no record to replace any
    /// more.
    pub(super) fn is_stale(&self, row: Option<&Row>) -> bool {
        match row {
            Some(row) => self.attempt != row.listed_by && self.attempt.version <= row.record.version,
            None => self.attempt.version > 1,
        }
    }
}

/// The index entries that a record had.
pub(super) struct Listing {
    until: u64,
    attempt: Attempt,
    pub(super) indexes: Vec<IndexKey>,
}

impl Listing {
    /// Decodes the bytes of a record between the write and the payload, as `commit.lua` returns them.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        let (until, attempt, body) = split_listing(bytes).ok_or(Fault::Row)?;
        let (_, indexes, _) = split_body(body).ok_or(Fault::Row)?;
        Ok(Self { until, attempt, indexes })
    }

    pub(super) fn entry(&self, key: RecordKey) -> Entry {
        Entry::new(self.until, key, self.attempt)
    }
}

/// A stored record: the write (16 bytes), the number of replicas known to have it (1), the time until which it is kept
/// (8), the write that listed it (16), and the body.
pub(super) struct Row {
    pub(super) write: Attempt,
    pub(super) replicas: u8,
    listed_by: Attempt,
    pub(super) record: Record,
}

impl Row {
    pub(super) fn decode(key: RecordKey, row: &[u8]) -> Result<Self, Fault> {
        let parts = || {
            let (write, rest) = row.split_first_chunk()?;
            let (replicas, rest) = rest.split_first()?;
            let (_, listed_by, body) = split_listing(rest)?;
            let (expires_at, indexes, payload) = split_body(body)?;
            let write = Attempt::from_bytes(*write);
            let record = Record::new(key, write.version, expires_at, indexes, payload.to_vec());
            Some(Self { write, replicas: *replicas, listed_by, record })
        };
        parts().ok_or(Fault::Row)
    }
}

/// Encodes the part of a row that comes from the record: expiry (8 bytes), number of index keys (1), index keys (16
/// each), payload.
pub(super) fn body(record: &Record) -> Vec<u8> {
    let Record { key: _, version: _, expires_at, indexes, payload } = record;
    let mut body = Vec::with_capacity(9 + 16 * indexes.len() + payload.len());
    body.extend_from_slice(&expires_at.to_bytes());
    // `commit` refuses records with more than MAX_INDEXES index keys.
    body.push(indexes.len() as u8);
    body.extend(indexes.iter().flat_map(IndexKey::as_bytes));
    body.extend_from_slice(payload);
    body
}

fn split_listing(bytes: &[u8]) -> Option<(u64, Attempt, &[u8])> {
    let (until, rest) = bytes.split_first_chunk()?;
    let (attempt, body) = rest.split_first_chunk()?;
    Some((u64::from_be_bytes(*until), Attempt::from_bytes(*attempt), body))
}

fn split_body(body: &[u8]) -> Option<(Timestamp, Vec<IndexKey>, &[u8])> {
    let (expires_at, rest) = body.split_first_chunk()?;
    let (count, rest) = rest.split_first()?;
    let (indexes, payload) = rest.split_at_checked(16 * usize::from(*count))?;
    let indexes = indexes.as_chunks().0.iter().copied().map(IndexKey::from_bytes).collect();
    Some((Timestamp::from_bytes(*expires_at), indexes, payload))
}

/// Converts an answer to its expected type.
pub(super) fn read<T: FromRedisValue>(value: Value) -> Result<T, StoreError> {
    Ok(T::from_redis_value(value).map_err(|_| Fault::Answer)?)
}
