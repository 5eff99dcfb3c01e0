//! A note in the store of the newest key that any server seals records with.
//!
//! A server without that key cannot compute its index keys, so it cannot list the records under it. The note shows such
//! a server that its listing is incomplete.

use std::sync::atomic::Ordering;

use super::token_issuer::TokenIssuer;
use crate::crypto::{sha256, truncated};
use crate::error::{Error, ErrorKind};
use crate::id::RecordKey;
use crate::record::sealed::{self, Kind};
use crate::store::{Record, TokenStore};
use crate::time::Timestamp;

const NEVER: Timestamp = Timestamp::from_unix(i64::MAX as u64);

/// Returns the key of the note's record, which is the same for each server and keyring.
fn place() -> RecordKey {
    RecordKey::from_bytes(truncated(sha256(b"mcp-token-lifecycle newest key")))
}

impl<S: TokenStore> TokenIssuer<S> {
    /// Notes that the primary key is in use, before the first record is sealed with it. This costs one read for each
    /// issuer and one write for each key.
    ///
    /// If the keyring has one key, there has been no rotation that another server could have missed, and no note is
    /// written.
    pub(crate) async fn note_primary_key(&self) -> Result<(), Error> {
        let primary = self.keyring.primary();
        if self.has_noted_key.load(Ordering::Acquire) || self.keyring.iter().count() == 1 {
            return Ok(());
        }
        let note = |found: Option<Record>| {
            if found.as_ref().and_then(sealed::key_id).is_some_and(|id| id >= primary.id) {
                return Ok(None);
            }
            let version = found.map_or(0, |record| record.version).saturating_add(1);
            let note = Record::new(place(), version, NEVER, Vec::new(), Vec::new());
            sealed::seal(Kind::NEWEST_KEY, note, &[], primary, &self.rng.bytes()?).map(Some)
        };
        self.replace(place(), note).await?;
        self.has_noted_key.store(true, Ordering::Release);
        Ok(())
    }

    /// Returns an error with the newest key in use, if this server does not have it and it is newer than all keys of
    /// this server. A missing key that is older was dropped.
    pub(crate) async fn missing_key(&self) -> Result<Option<Error>, Error> {
        let noted = self.get(place()).await?.as_ref().and_then(sealed::key_id);
        let newer = noted.filter(|id| self.keyring.iter().all(|keys| keys.id < *id));
        Ok(newer.map(|id| Error::new(ErrorKind::UnknownKey(id))))
    }
}
