//! The contract of a token store: the records that it is given, and what it must guarantee.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;

use crate::id::{IndexKey, RecordKey};
use crate::time::Timestamp;

/// One row of a store: everything that a store sees of a token family.
///
/// The store keeps all five parts exactly as given. It interprets only `key`, `version`, `expires_at` and `indexes`.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// The primary key.
    pub key: RecordKey,
    /// The version: 1 when first inserted, and one more with each replacement. Neither it nor the expiry exceeds
    /// `i64::MAX`.
    pub version: u64,
    /// From this time on the record may be purged. It may differ from one version to the next, in either direction.
    pub expires_at: Timestamp,
    /// The index keys that the record is listed under: at most [`MAX_INDEXES`](Self::MAX_INDEXES), without repetition.
    /// The store keeps their order. They may differ from one version to the next.
    pub indexes: Vec<IndexKey>,
    /// Sealed bytes, at most [`MAX_PAYLOAD`](Self::MAX_PAYLOAD) of them.
    pub payload: Vec<u8>,
}

impl Record {
    /// The largest number of index keys of a record.
    pub const MAX_INDEXES: usize = 4;

    /// The largest size of a payload in bytes.
    pub const MAX_PAYLOAD: usize = 64 * 1024;

    /// Whether the record has at most [`MAX_INDEXES`](Self::MAX_INDEXES) index keys and
    /// [`MAX_PAYLOAD`](Self::MAX_PAYLOAD) bytes of payload. A store may refuse a record that exceeds these limits.
    pub fn is_within_limits(&self) -> bool {
        self.indexes.len() <= Self::MAX_INDEXES && self.payload.len() <= Self::MAX_PAYLOAD
    }

    /// Creates a record from its parts, as an adapter reads them back.
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

/// The result of a [`TokenStore::commit`] that reached the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a commit may have met a conflict"]
#[allow(clippy::exhaustive_enums, reason = "a compare-and-swap has these two answers and no third")]
pub enum Commit {
    /// The record is written, as durably as the store promises.
    Applied,
    /// The stored version is not the one that this write replaces, and nothing was written.
    Conflict,
}

/// Which records [`TokenStore::list`] returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "an adapter must handle every kind of listing")]
pub enum Select {
    /// Every record.
    All,
    /// The records that have this index key.
    Index(IndexKey),
}

/// Where a listing continues. Each store chooses the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(Vec<u8>);

impl Cursor {
    /// Creates a cursor from its bytes.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// Returns the bytes that were given to [`Cursor::new`].
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// One page of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Page {
    /// The records of the page. There may be fewer than requested, even none, although `next` is `Some`.
    pub records: Vec<Record>,
    /// Where to continue; `None` at the end of the listing.
    pub next: Option<Cursor>,
}

impl Page {
    /// Creates a page of these records.
    pub fn new(records: Vec<Record>, next: Option<Cursor>) -> Self {
        Self { records, next }
    }
}

/// Why a store did not answer. Clients never receive `invalid_grant` for it, because the outage of a database does not
/// end a grant.
#[derive(Debug, thiserror::Error)]
#[allow(clippy::exhaustive_enums, reason = "a write certainly did not happen, or may have: there is no third case")]
pub enum StoreError {
    /// The operation certainly had no effect.
    #[error("the token store is unavailable")]
    Unavailable(#[source] Box<dyn StdError + Send + Sync>),
    /// The write may have happened: there was a timeout or a broken connection after it was sent.
    #[error("the token store did not confirm the write")]
    Uncertain(#[source] Box<dyn StdError + Send + Sync>),
}

impl StoreError {
    /// Creates the error for an operation that certainly had no effect, because of `source`.
    pub fn unavailable(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Unavailable(source.into())
    }

    /// Creates the error for a write that may have happened, because of `source`.
    pub fn uncertain(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Uncertain(source.into())
    }
}

/// Stores the records of token families. It has four operations, and compare-and-swap is the only way to write.
///
/// Security depends on the store honouring this contract. An adapter is about a hundred lines over any engine that can
/// replace a row on the condition that its version is the expected one. The feature `conformance` has the checks that
/// it must pass.
///
/// # Trust
///
/// The issuer chooses keys and index keys, but a key given to [`get`](Self::get) may come from a forged token: bind it
/// as a parameter, and never build a statement from it. The issuer authenticates what the store returns: a record that
/// was altered, exchanged with another, or put back to an older version under a newer version number does not open. No
/// seal can detect that a record, or a whole store, was restored to an earlier state; see [`OnAhead`](crate::OnAhead).
///
/// # Staleness
///
/// A read that begins after a commit was acknowledged must see that commit, from any process. Read from the primary,
/// never from a replica that may lag: with a stale read a revoked session stays usable.
///
/// # Cancellation
///
/// Dropping the future of an operation must leave its whole effect or none. The effect may take place after the drop.
pub trait TokenStore: Send + Sync {
    /// Returns the record under `key`, or `None`.
    ///
    /// A record past its expiry may be returned or not. The read has no side effect.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store did not answer.
    fn get(&self, key: RecordKey) -> impl Future<Output = Result<Option<Record>, StoreError>> + Send;

    /// Inserts `record` if its version is 1 and there is no record under its key. Replaces the stored record if its
    /// version is exactly `record.version - 1`. Otherwise returns [`Commit::Conflict`] and writes nothing.
    ///
    /// *Atomicity*: the comparison and the write are one step, against every other process too, and the index keys and
    /// the expiry change in that step. *Durability*: [`Commit::Applied`] is returned only once the write survives the
    /// failures that the store promises to survive. A rotation or revocation that is lost afterwards makes a spent
    /// token valid again.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] if nothing was written, [`StoreError::Uncertain`] if the write may have happened.
    fn commit(&self, record: Record) -> impl Future<Output = Result<Commit, StoreError>> + Send;

    /// Returns a page of at most `limit` records (`limit` ≥ 1) after the cursor `after`.
    ///
    /// A record that exists from the first page to the last is returned at least once. A record that is inserted or
    /// deleted meanwhile may be returned or not. Each record is as it was at some moment during the call; one that has
    /// just lost the index key may still be returned.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store did not answer.
    fn list(
        &self,
        select: Select,
        after: Option<Cursor>,
        limit: usize,
    ) -> impl Future<Output = Result<Page, StoreError>> + Send;

    /// Deletes at most `limit` records with `expires_at <= now`, and their index entries. Returns the number of deleted
    /// records; fewer than `limit` means that no expired record is left.
    ///
    /// A record that is replaced meanwhile by one that expires later must survive. The cost should grow with the number
    /// of expired records, not with the number of all records.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] if nothing was deleted, [`StoreError::Uncertain`] if records may have been deleted.
    fn purge(&self, now: Timestamp, limit: usize) -> impl Future<Output = Result<usize, StoreError>> + Send;
}
