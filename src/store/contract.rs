//! The contract: what a store is given, what it answers, and what it promises.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;

use crate::id::{IndexKey, RecordKey};
use crate::time::Timestamp;

/// One row: everything a store ever sees of a token family.
///
/// The store keeps all five parts exactly as given and interprets none but `key`, `version`, `expires_at` and `indexes`.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// The primary key.
    pub key: RecordKey,
    /// 1 when first inserted, one more with every replacement. Neither it nor the expiry exceeds `i64::MAX`.
    pub version: u64,
    /// From this instant on the record may be purged. It may differ from one version to the next, in either direction.
    pub expires_at: Timestamp,
    /// The index keys this record is listed under: at most [`MAX_INDEXES`](Self::MAX_INDEXES), without repetition.
    /// They may differ from one version to the next.
    pub indexes: Vec<IndexKey>,
    /// Sealed bytes, at most [`MAX_PAYLOAD`](Self::MAX_PAYLOAD) of them.
    pub payload: Vec<u8>,
}

impl Record {
    /// The most index keys a record carries.
    pub const MAX_INDEXES: usize = 4;

    /// The largest payload in bytes.
    pub const MAX_PAYLOAD: usize = 64 * 1024;

    /// Whether it has no more index keys, and no larger a payload, than a store has to take.
    pub fn is_within_limits(&self) -> bool {
        self.indexes.len() <= Self::MAX_INDEXES && self.payload.len() <= Self::MAX_PAYLOAD
    }

    /// A record of these parts, as an adapter reads them back.
    pub fn new(key: RecordKey, version: u64, expires_at: Timestamp, indexes: Vec<IndexKey>, payload: Vec<u8>) -> Self {
        Self { key, version, expires_at, indexes, payload }
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, version, expires_at, indexes, payload } = self;
        f.debug_struct("Record")
            .field("key", key)
            .field("version", version)
            .field("expires_at", expires_at)
            .field("indexes", indexes)
            .field("payload", &format_args!("{} bytes", payload.len()))
            .finish()
    }
}

/// What became of a [`TokenStore::commit`] that reached the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a commit may have met a conflict"]
#[allow(clippy::exhaustive_enums, reason = "a compare-and-swap has these two answers and no third")]
pub enum Commit {
    /// The record is written, as durably as the store promises.
    Applied,
    /// The stored version is not the one this write replaces; nothing was written.
    Conflict,
}

/// Which records [`TokenStore::list`] goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "an adapter must handle every kind of listing")]
pub enum Select {
    /// Every record.
    All,
    /// The records that carry this index key.
    Index(IndexKey),
}

/// Where a listing goes on; each store chooses its own bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(Vec<u8>);

impl Cursor {
    /// A cursor of these bytes.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// The bytes given to [`Cursor::new`].
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// One page of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Page {
    /// The records found; there may be fewer than asked for, even none, while `next` is there.
    pub records: Vec<Record>,
    /// Where to go on; `None` at the end.
    pub next: Option<Cursor>,
}

impl Page {
    /// A page of these records.
    pub fn new(records: Vec<Record>, next: Option<Cursor>) -> Self {
        Self { records, next }
    }
}

/// Why a store did not answer. Neither is ever told to a client as `invalid_grant`: a database outage is no dead grant.
#[derive(Debug, thiserror::Error)]
#[allow(clippy::exhaustive_enums, reason = "a write certainly did not happen, or may have: there is no third case")]
pub enum StoreError {
    /// The operation certainly had no effect.
    #[error("the token store is unavailable")]
    Unavailable(#[source] Box<dyn StdError + Send + Sync>),
    /// The write may have happened: a timeout or a broken connection after it was sent.
    #[error("the token store did not confirm the write")]
    Uncertain(#[source] Box<dyn StdError + Send + Sync>),
}

impl StoreError {
    /// The operation certainly had no effect, because of `source`.
    pub fn unavailable(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Unavailable(source.into())
    }

    /// The write may have happened; `source` says what went wrong.
    pub fn uncertain(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Uncertain(source.into())
    }
}

/// Where token families live: four operations, and compare-and-swap is the only way to write.
///
/// An adapter is about a hundred lines over any engine that can replace a row on the condition that its version is the
/// expected one. The feature `conformance` has the checks it must pass.
///
/// # Trust
///
/// Keys and index keys are chosen by the issuer, but a key handed to [`get`](Self::get) may come from a token that turns out
/// to be forged: bind it as a parameter, never build a statement from it. What the store returns is authenticated by the
/// issuer: a record that was altered, swapped with another, or put back to an older version under a newer version number does
/// not open. What no seal can show is a record, or a whole store, put back as it once was; see [`OnAhead`](crate::OnAhead).
///
/// # Staleness
///
/// A read begun after a commit was acknowledged must see that commit, from any process. Read from the primary, never from a
/// replica that may lag: a stale read lets a revoked session live on.
///
/// # Cancellation
///
/// Dropping any of the futures must leave either the whole effect or none. It may happen after the drop.
pub trait TokenStore: Send + Sync {
    /// The record under `key`, or `None`.
    ///
    /// A record past its expiry may be returned or not. No side effect.
    fn get(&self, key: RecordKey) -> impl Future<Output = Result<Option<Record>, StoreError>> + Send;

    /// Insert `record` if its version is 1 and nothing is under its key; replace what is there if its version is exactly
    /// `record.version - 1`; otherwise answer [`Commit::Conflict`] and write nothing.
    ///
    /// *Atomicity*: the comparison and the write are one step, against every other process too, and the index keys and the
    /// expiry change in that step. *Durability*: [`Commit::Applied`] is answered only once the write outlives what the store
    /// promises to outlive. A rotation or a revocation that is lost after that brings a spent token back to life.
    fn commit(&self, record: Record) -> impl Future<Output = Result<Commit, StoreError>> + Send;

    /// A page of at most `limit` records (`limit` ≥ 1), beginning behind `after`.
    ///
    /// A record that is there from the first page to the last is returned at least once; one that comes or goes meanwhile may
    /// be returned or not. Each record is as of some moment during the call; one that has just lost the index key may still be
    /// among them.
    fn list(
        &self,
        select: Select,
        after: Option<Cursor>,
        limit: usize,
    ) -> impl Future<Output = Result<Page, StoreError>> + Send;

    /// Delete at most `limit` records with `expires_at <= now`, and their index entries. Returns how many were deleted: fewer
    /// than `limit` means that none is left.
    ///
    /// A record that is replaced meanwhile by one that expires later must survive. The cost should grow with what expired,
    /// not with what lives.
    fn purge(&self, now: Timestamp, limit: usize) -> impl Future<Output = Result<usize, StoreError>> + Send;
}
