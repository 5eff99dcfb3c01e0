//! Where what is being revoked is: under the key of its account, or set aside, because something new was put there.
//!
//! Set aside, a secret is found by its mark. So whoever works on it finds it there, too, and two who set the same one aside
//! leave one record.

use super::CredentialVault;
use super::error::{VaultError, VaultErrorKind};
use super::held::{Held, RevocationProgress, SecretVersion, State};
use crate::id::RecordKey;
use crate::issuer::MAX_ATTEMPTS;
use crate::store::{Commit, TokenStore};
use crate::time::Timestamp;

impl<S: TokenStore> CredentialVault<S> {
    /// Write `next`, or that it is gone, in the place of what is being revoked and `is_ours`: under `key`, or where `put` has set
    /// aside the secret of the mark `from`. Returns where; nowhere if somebody else's turn has come, or other tokens have taken
    /// its place.
    pub(crate) async fn replace_withdrawn(
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
            match held.map(|held| (held.mark, held.state)) {
                Some((mark, State::Revoking(current))) if is_ours(mark, &current) => {}
                _ => return Ok(false),
            }
            if self.write_or_look(&place, next).await? == Commit::Applied {
                return Ok(true);
            }
        }
        Err(VaultError::new(VaultErrorKind::Contention))
    }

    /// Let `found`, which is being revoked, make room for a new credential of the same account.
    pub(crate) async fn make_room(&self, found: Held, withdrawal: RevocationProgress) -> Result<(), VaultError> {
        // Until the new one is there, two records say the same: nobody goes to work on the one set aside. Should the call be cut
        // off here, it is revoked twice.
        let asked_at = self.now();
        let retry_at = withdrawal.retry_at.max(asked_at.saturating_add(self.policy.claim));
        let state = State::Revoking(RevocationProgress { asked_at, retry_at, ..withdrawal });
        self.set_aside(&Held { state, ..found }).await?;
        Ok(())
    }

    /// Undo that for the secret of this mark, which was being revoked since then, now that the account has `found`. If that is another credential, somebody else has put it there, who counts
    /// on what was set aside. If it is nothing, or what the secret of this mark was exchanged for, that has come to its end.
    pub(crate) async fn discard_aside(
        &self,
        mark: SecretVersion,
        since: Timestamp,
        found: Option<&Held>,
    ) -> Result<(), VaultError> {
        let is_over = match found.map(|found| found.state) {
            None => true,
            Some(State::Revoking(current)) => current.since == since,
            Some(_) => false,
        };
        if is_over {
            self.replace_at(aside(mark), |found, _| found == mark, None).await?;
        }
        Ok(())
    }

    /// Keep `next`, which came of the secret of the mark `from` and is to be revoked: in the place of that secret, under `key` or
    /// set aside, or else in a record of its own. Returns where.
    pub(crate) async fn keep_successor(
        &self,
        key: RecordKey,
        from: SecretVersion,
        next: &Held,
    ) -> Result<RecordKey, VaultError> {
        // After a write that the store did not confirm it may be there already.
        let is_ours = |mark, _: &RevocationProgress| mark == from || mark == next.mark;
        match self.replace_withdrawn(key, from, is_ours, Some(next)).await? {
            Some(key) => Ok(key),
            None => self.set_aside(next).await,
        }
    }

    /// Keep `held`, which is being revoked, in a record that is found by its mark, unless there was one already and somebody has
    /// revoked or exchanged it. Returns where.
    async fn set_aside(&self, held: &Held) -> Result<RecordKey, VaultError> {
        let key = aside(held.mark);
        for _ in 0..MAX_ATTEMPTS {
            let (place, found) = self.load(key).await?;
            let is_free = found.map_or(place.is_new(), |found| found.mark == held.mark);
            if !is_free || self.write_or_look(&place, Some(held)).await? == Commit::Applied {
                return Ok(key);
            }
        }
        Err(VaultError::new(VaultErrorKind::Contention))
    }
}

/// Where the secret of this mark is while it is being revoked, once it had to make room.
fn aside(mark: SecretVersion) -> RecordKey {
    RecordKey::from_bytes(mark.0)
}
