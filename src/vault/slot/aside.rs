//! Where a pending revocation is stored: under the key of its account, or aside.
//!
//! A revocation moves aside when a new credential is put under the key of its account. The record key of the one set
//! aside derives from its secret version. So each process finds it there, and two processes that set the same one aside
//! leave one record.

use super::CredentialVault;
use super::error::{VaultError, VaultErrorKind};
use super::held::{Held, RevocationProgress, SecretVersion, State};
use crate::id::RecordKey;
use crate::issuer::MAX_ATTEMPTS;
use crate::store::{Commit, TokenStore};
use crate::time::Timestamp;

impl<S: TokenStore> CredentialVault<S> {
    /// Replaces the pending revocation for which `is_ours` holds with `next`; `None` marks it as gone.
    ///
    /// The record is under `key`, or aside under the version `from`. Returns the key of the record that was written.
    /// Returns `None` if another process took over the revocation or another credential is there.
    pub(crate) async fn replace_revoking(
        &self,
        key: RecordKey,
        from: SecretVersion,
        is_ours: impl Fn(SecretVersion, &RevocationProgress) -> bool,
        next: Option<&Held>,
    ) -> Result<Option<RecordKey>, VaultError> {
        for key in [key, aside(from)] {
            if self.replace_at(key, &is_ours, next).await? {
                return Ok(Some(key));
            }
        }
        Ok(None)
    }

    async fn replace_at(
        &self,
        key: RecordKey,
        is_ours: impl Fn(SecretVersion, &RevocationProgress) -> bool,
        next: Option<&Held>,
    ) -> Result<bool, VaultError> {
        for _ in 0..MAX_ATTEMPTS {
            let (place, held) = self.load(key).await?;
            match held.map(|held| (held.version, held.state)) {
                Some((version, State::Revoking(current))) if is_ours(version, &current) => {}
                _ => return Ok(false),
            }
            if self.write_or_look(&place, next).await? == Commit::Applied {
                return Ok(true);
            }
        }
        Err(VaultError::new(VaultErrorKind::Contention))
    }

    /// Sets the pending revocation `found` aside, so that a new credential can be put under the key of its account.
    pub(crate) async fn make_room(&self, found: Held, progress: RevocationProgress) -> Result<(), VaultError> {
        // Until the new credential is written, two records hold the same revocation. `retry_at` keeps other processes
        // from the one set aside. If this call is cut off here, the secret is revoked twice, which does no harm.
        let asked_at = self.now();
        let retry_at = progress.retry_at.max(asked_at.saturating_add(self.policy.claim));
        let state = State::Revoking(RevocationProgress { asked_at, retry_at, ..progress });
        self.set_aside(&Held { state, ..found }).await?;
        Ok(())
    }

    /// Deletes the record that [`make_room`](Self::make_room) set aside for `version`, unless it is needed. `since` is
    /// when that revocation began; `found` is what the account has now.
    ///
    /// If the account has another credential, another process put it there and needs the record set aside. If the
    /// account has nothing, or holds the successor of this secret under the same revocation, the revocation continues
    /// there or is complete.
    pub(crate) async fn discard_aside(
        &self,
        version: SecretVersion,
        since: Timestamp,
        found: Option<&Held>,
    ) -> Result<(), VaultError> {
        let is_over = match found.map(|found| found.state) {
            None => true,
            Some(State::Revoking(current)) => current.since == since,
            Some(_) => false,
        };
        if is_over {
            self.replace_at(aside(version), |found, _| found == version, None).await?;
        }
        Ok(())
    }

    /// Stores `next`, which a refresh made from the secret of the version `from` and which has to be revoked. It
    /// replaces that secret, under `key` or aside; if that is not possible, it gets its own record aside. Returns the
    /// key of the record.
    pub(crate) async fn keep_successor(
        &self,
        key: RecordKey,
        from: SecretVersion,
        next: &Held,
    ) -> Result<RecordKey, VaultError> {
        // A previous write may have stored it without a confirmation from the store.
        let is_ours = |version, _: &RevocationProgress| version == from || version == next.version;
        match self.replace_revoking(key, from, is_ours, Some(next)).await? {
            Some(key) => Ok(key),
            None => self.set_aside(next).await,
        }
    }

    /// Stores the pending revocation `held` aside, under the key that derives from its version. If there was a record,
    /// and another process has revoked or exchanged the secret since, that record stays. Returns the key of the record.
    async fn set_aside(&self, held: &Held) -> Result<RecordKey, VaultError> {
        let key = aside(held.version);
        for _ in 0..MAX_ATTEMPTS {
            let (place, found) = self.load(key).await?;
            let is_free = found.map_or(place.is_new(), |found| found.version == held.version);
            if !is_free || self.write_or_look(&place, Some(held)).await? == Commit::Applied {
                return Ok(key);
            }
        }
        Err(VaultError::new(VaultErrorKind::Contention))
    }
}

/// The record key under which a pending revocation of this secret version is set aside.
fn aside(version: SecretVersion) -> RecordKey {
    RecordKey::from_bytes(version.0)
}
