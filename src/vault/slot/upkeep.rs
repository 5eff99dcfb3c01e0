//! The upkeep of the vault: rewrapping after a key rotation, retries of revocations, the purge.

use std::future::Future;
use std::time::Duration;

use super::CredentialVault;
use crate::audit::{Action, AuditEvent};
use crate::record::{compare_and_swap, sealed};
use crate::store::{Commit, Pages, Record, Select, TokenStore, purge_all};
use crate::vault::record::{self, context};
use crate::vault::{UpstreamAct, VaultError, WrappedKey};

impl<S: TokenStore + 'static> CredentialVault<S> {
    /// Wraps each data key that is wrapped with another key with the primary key. Returns how many were rewrapped.
    /// Credentials are not decrypted or sealed again: nonce and ciphertext of a record stay as they are.
    ///
    /// It may run while leases are served, and may be repeated after it was cut off. After it returns without an error,
    /// the old wrapping key can be removed.
    ///
    /// # Errors
    ///
    /// A fault of the store or the keys. A record that does not open does not stop the others; its error is returned at
    /// the end.
    pub async fn rewrap(&self) -> Result<usize, VaultError> {
        let primary = self.keys.primary().await?;
        let (mut count, mut fault) = (0, None);
        let mut pages = Pages::new(&*self.store, Select::All);
        while let Some(records) = self.watch.observe(&*self.clock, pages.next()).await? {
            for record in records.into_iter().filter(sealed::is_upstream) {
                match self.rewrap_record(&record, &primary).await {
                    Ok(wrapped) => count += usize::from(wrapped),
                    Err(error) if error.is_about_one_record() => fault = Some(error),
                    Err(error) => return Err(error),
                }
            }
        }
        self.audit.record(&AuditEvent::new(self.now(), Action::Upstream(UpstreamAct::Rewrap { count })));
        fault.map_or(Ok(count), Err)
    }

    async fn rewrap_record(&self, listed: &Record, primary: &str) -> Result<bool, VaultError> {
        let key = listed.key;
        if record::wrapped(listed)?.0 == primary {
            return Ok(false);
        }
        compare_and_swap(async || {
            let record = self.watch.observe(&*self.clock, self.store.get(key)).await?;
            let Some(record) = record.filter(|record| record.key == key) else { return Ok(Some(false)) };
            let (key_id, bytes) = record::wrapped(&record)?;
            if key_id == primary {
                return Ok(Some(false));
            }
            let wrapped = WrappedKey::new(key_id, bytes.to_vec());
            let next = record::rewrap(&record, &*self.keys.rewrap(&wrapped, &context(key)).await?)?;
            let commit = self.watch.observe(&*self.clock, self.store.commit(next)).await?;
            Ok((commit == Commit::Applied).then_some(true))
        })
        .await
    }

    /// Deletes expired records from the store, those of the vault and all others. Returns how many were deleted.
    ///
    /// # Errors
    ///
    /// A fault of the store.
    pub async fn purge(&self) -> Result<usize, VaultError> {
        Ok(purge_all(&*self.store, &*self.clock).await?)
    }

    /// [Retries revocations](Self::retry_revocations), [rewraps](Self::rewrap) and [purges](Self::purge) at this
    /// interval, without end.
    ///
    /// A failure is reported to the audit as [`Action::Fail`], and the next run tries again.
    pub async fn upkeep_every(&self, interval: Duration) {
        loop {
            self.or_report(self.retry_revocations()).await;
            self.or_report(self.rewrap()).await;
            self.or_report(self.purge()).await;
            self.runtime.sleep(interval).await;
        }
    }

    async fn or_report(&self, run: impl Future<Output = Result<usize, VaultError>>) {
        if run.await.is_err() {
            self.audit.record(&AuditEvent::new(self.now(), Action::Fail));
        }
    }
}
