//! Where what is being revoked is: under the key of its account, or set aside, because something new was put there.
//!
//! Set aside, a secret is found by its mark. So whoever works on it finds it there, too, and two who set the same one aside
//! leave one record.

use super::CredentialVault;
use super::error::{VaultError, VaultErrorKind};
use super::held::{Held, Mark, State, Withdrawal};
use crate::issuer::MAX_ATTEMPTS;
use crate::store::{Commit, RecordKey, TokenStore};

impl<S: TokenStore> CredentialVault<S> {
    /// Write `next`, or that it is gone, in the place of the secret of this `mark`, which is being revoked, if it `is_ours`: under
    /// `key`, or where `put` has set it aside. Returns where; nowhere if somebody else's turn has come, or newer tokens have
    /// taken its place.
    pub(crate) async fn replace_withdrawn(
        &self,
        key: RecordKey,
        mark: Mark,
        is_ours: impl Fn(&Withdrawal) -> bool,
        next: Option<&Held>,
    ) -> Result<Option<RecordKey>, VaultError> {
        for key in [key, aside(mark)] {
            for _ in 0..MAX_ATTEMPTS {
                let (place, held) = self.load(key).await?;
                match held.map(|held| (held.mark, held.state)) {
                    Some((found, State::Revoking(current))) if found == mark && is_ours(&current) => {}
                    _ => break,
                }
                if self.write_or_look(&place, next).await? == Commit::Apply {
                    return Ok(Some(key));
                }
            }
        }
        Ok(None)
    }

    /// Let `found`, which is being revoked, make room for a new credential of the same account.
    pub(crate) async fn make_room(&self, found: Held, withdrawal: Withdrawal) -> Result<(), VaultError> {
        // Until the new one is there, two records say the same: nobody goes to work on the one set aside. Should the call be cut
        // off here, it is revoked twice.
        let retry_at = withdrawal.retry_at.max(self.now().saturating_add(self.policy.claim));
        let state = State::Revoking(Withdrawal { retry_at, ..withdrawal });
        self.set_aside(&Held { state, ..found }).await?;
        Ok(())
    }

    /// Undo that: meanwhile somebody else has come to the end of the secret of this mark, or replaced it, where it was.
    pub(crate) async fn discard_aside(&self, mark: Mark) -> Result<(), VaultError> {
        self.replace_withdrawn(aside(mark), mark, |_| true, None).await?;
        Ok(())
    }

    /// Keep `next`, which came of the secret of this mark and is to be revoked, in the place of that secret if it was set aside,
    /// and in a record of its own otherwise. Returns where.
    pub(crate) async fn set_aside_for(&self, from: Mark, next: &Held) -> Result<RecordKey, VaultError> {
        match self.replace_withdrawn(aside(from), from, |_| true, Some(next)).await? {
            Some(key) => Ok(key),
            None => self.set_aside(next).await,
        }
    }

    /// Keep `held`, which is being revoked, in a record that is found by its mark. Returns where.
    pub(crate) async fn set_aside(&self, held: &Held) -> Result<RecordKey, VaultError> {
        let key = aside(held.mark);
        for _ in 0..MAX_ATTEMPTS {
            let (place, _) = self.load(key).await?;
            if self.write_or_look(&place, Some(held)).await? == Commit::Apply {
                return Ok(key);
            }
        }
        Err(VaultError::new(VaultErrorKind::Contention))
    }
}

/// Where the secret of this mark is while it is being revoked, once it had to make room.
fn aside(mark: Mark) -> RecordKey {
    RecordKey::from_bytes(mark.0)
}
