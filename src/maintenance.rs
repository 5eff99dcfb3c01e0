//! Maintenance of the store: purging expired records, and moving records to a new key.

use crate::audit::{Action, AuditEvent};
use crate::error::Error;
use crate::id::RecordKey;
use crate::issuer::TokenIssuer;
use crate::record;
use crate::record::sealed::{self, Kind};
use crate::store::{Pages, Select, TokenStore, purge_all};
use std::future::Future;
use std::time::Duration;

impl<S: TokenStore> TokenIssuer<S> {
    /// Deletes all expired records and returns their number.
    ///
    /// # Errors
    ///
    /// [`Error`] if the store fails. Records that were deleted before stay deleted.
    pub async fn purge(&self) -> Result<usize, Error> {
        let count = purge_all(&self.store, &*self.clock).await?;
        self.report(AuditEvent::new(self.clock.now(), Action::Purge { count }));
        Ok(count)
    }

    /// Purges at once and then after each `interval`, without end, on the runtime that `sleep` belongs to:
    /// `issuer.purge_every(hour, tokio::time::sleep)`.
    ///
    /// A run that fails is reported to the audit log as [`Action::Fail`], and the next run tries again.
    pub async fn purge_every<F: Future<Output = ()>>(&self, interval: Duration, sleep: impl Fn(Duration) -> F) {
        loop {
            if self.purge().await.is_err() {
                self.report(AuditEvent::new(self.clock.now(), Action::Fail));
            }
            sleep(interval).await;
        }
    }

    /// Seals every record that is sealed with an older key with the primary key, and returns the number of records.
    ///
    /// Run it once the new key is the primary on every server: a server with an older primary still inserts records
    /// under that key. It may run while requests are served, and may be interrupted and run again. Tokens that clients
    /// hold do not change: keep the retired key until the last of them has been rotated or has expired. A record under
    /// a newer key than the primary is left unchanged.
    ///
    /// # Errors
    ///
    /// [`Error`] if the store fails. A record that cannot be opened does not stop the others; the last such error is
    /// returned after all records were tried.
    pub async fn rekey(&self) -> Result<usize, Error> {
        let (mut count, mut fault) = (0, None);
        let mut pages = Pages::new(&self.store, Select::All);
        while let Some(records) = pages.next().await? {
            for record in records {
                // The vault wraps its data keys again by itself.
                if !sealed::is_upstream(&record) && sealed::key_id(&record) != Some(self.keyring.primary_id()) {
                    match self.rekey_record(record.key).await {
                        Ok(moved) => count += usize::from(moved),
                        Err(error) if error.is_about_one_record() => fault = Some(error),
                        Err(error) => return Err(error),
                    }
                }
            }
        }
        self.report(AuditEvent::new(self.clock.now(), Action::Rekey { count }));
        fault.map_or(Ok(count), Err)
    }

    async fn rekey_record(&self, key: RecordKey) -> Result<bool, Error> {
        self.note_primary_key().await?;
        self.replace(key, |found| {
            let Some(mut record) = found else { return Ok(None) };
            let (opened, keys) = (sealed::open(&mut record, &self.keyring)?, self.keyring.primary());
            if opened.sealed_with >= keys.id {
                return Ok(None);
            }
            record.version = record.version.saturating_add(1);
            if opened.kind == Kind::FAMILY {
                record.indexes = record::indexes(&record::read(&record, &opened)?, keys);
            }
            sealed::seal(opened.kind, record, opened.content(), keys, &self.rng.bytes()?).map(Some)
        })
        .await
    }
}
