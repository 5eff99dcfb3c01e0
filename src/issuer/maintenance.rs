//! The upkeep of the store: purging what has expired, moving records to a new key.

use super::token_issuer::{MAX_ATTEMPTS, PAGE, TokenIssuer};
use crate::audit::{Action, AuditEvent};
use crate::error::{Error, ErrorKind};
use crate::id::RecordKey;
use crate::record::sealed::{self, Kind};
use crate::record::{self};
use crate::store::{Commit, Record, Select, StoreError, TokenStore};
use crate::time::Clock;
use std::future::Future;
use std::time::Duration;

/// Delete what has expired, page by page.
pub(crate) async fn purge_all<S: TokenStore>(store: &S, clock: &dyn Clock) -> Result<usize, StoreError> {
    let mut count = 0;
    loop {
        let purged = store.purge(clock.now(), PAGE).await?;
        count += purged;
        if purged < PAGE {
            return Ok(count);
        }
    }
}

impl<S: TokenStore> TokenIssuer<S> {
    /// Delete what has expired. Returns how many records were deleted.
    pub async fn purge(&self) -> Result<usize, Error> {
        let count = purge_all(&self.store, &*self.clock).await?;
        self.report(AuditEvent::new(self.clock.now(), Action::Purge { count }));
        Ok(count)
    }

    /// Purge now and then for ever, on whatever runtime `sleep` belongs to: `issuer.purge_every(hour, tokio::time::sleep)`.
    ///
    /// A run that fails is reported to the audit as [`Action::Fail`], and the next one tries again.
    pub async fn purge_every<F: Future<Output = ()>>(&self, interval: Duration, sleep: impl Fn(Duration) -> F) {
        loop {
            if self.purge().await.is_err() {
                self.report(AuditEvent::new(self.clock.now(), Action::Fail));
            }
            sleep(interval).await;
        }
    }

    /// Seal every record with the primary key that is still sealed with an older one. Returns how many were.
    ///
    /// Run it once the new key is the primary on every server: a server with an older primary still inserts records under that.
    /// It may run while requests are served, and again after it was cut off. Tokens in the hands of clients are not touched:
    /// keep the retired key until the last of them has been rotated or has expired. A record under a newer key than the primary
    /// stays as it is. A record that does not open does not hold up the others; the error in the end is about it.
    pub async fn rekey(&self) -> Result<usize, Error> {
        let (mut count, mut after, mut fault) = (0, None, None);
        loop {
            let page = self.store.list(Select::All, after, PAGE).await?;
            for record in page.records {
                // The vault wraps its data keys anew by itself.
                if !sealed::is_upstream(&record) && sealed::key_id(&record) != Some(self.keyring.primary_id()) {
                    match self.rekey_record(record).await {
                        Ok(moved) => count += usize::from(moved),
                        Err(error) if error.is_about_one_record() => fault = Some(error),
                        Err(error) => return Err(error),
                    }
                }
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        self.report(AuditEvent::new(self.clock.now(), Action::Rekey { count }));
        fault.map_or(Ok(count), Err)
    }

    async fn rekey_record(&self, record: Record) -> Result<bool, Error> {
        self.note_primary_key().await?;
        let key: RecordKey = record.key;
        let mut current = Some(record);
        for _ in 0..MAX_ATTEMPTS {
            let Some(mut record) = current else { return Ok(false) };
            let (opened, keys) = (sealed::open(&mut record, &self.keyring)?, self.keyring.primary());
            if opened.sealed_with >= keys.id {
                return Ok(false);
            }
            record.version = record.version.saturating_add(1);
            if opened.kind == Kind::FAMILY {
                record.indexes = record::indexes(&record::read(&record, &opened)?, keys);
            }
            let resealed = sealed::seal(opened.kind, record, opened.content(), keys, &self.rng.bytes()?)?;
            if self.store.commit(resealed).await? == Commit::Applied {
                return Ok(true);
            }
            current = self.get(key).await?;
        }
        Err(Error::new(ErrorKind::Contention))
    }
}
