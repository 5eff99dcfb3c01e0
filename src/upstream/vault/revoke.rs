//! A revocation: from its first write on nobody is leased the credential, then the service is told, then the secret is deleted.

use super::CredentialVault;
use super::error::{VaultError, VaultErrorKind};
use super::held::{Held, State, Withdrawal};
use crate::issuer::MAX_ATTEMPTS;
use crate::store::{Commit, IndexKey, RecordKey, TokenStore};
use crate::upstream::{Account, UpstreamAct};

impl<S: TokenStore + 'static> CredentialVault<S> {
    /// Revoke what `account` has: here at once, and at the service, which is asked before this returns. If the service fails, it
    /// is asked again by [`retry_revocations`](Self::retry_revocations). Returns whether there was anything to revoke.
    ///
    /// # Errors
    ///
    /// A fault of store, keys or randomness. The credential may be revoked nevertheless; a retry completes it.
    pub async fn revoke(&self, account: &Account) -> Result<bool, VaultError> {
        // The whole account, as the record says it: a record of another one does not even open here.
        let (place, _) = self.find(account).await?;
        let was_there = self.begin_withdrawal(place.key, |_| true).await?;
        self.withdraw_all(&[place.key]).await?;
        Ok(was_there)
    }

    /// Tell the services of all that is revoked and that they have not been told of, as far as it is time. Returns how many
    /// revocations have come to their end. Call it now and then, or use [`upkeep_every`](Self::upkeep_every).
    ///
    /// A service that fails is asked again after a pause that doubles, or for as long as it asks to be left alone, until it is
    /// done or the credential has expired; if that is unknown, until the
    /// [retention](crate::upstream::RefreshPolicyBuilder::retention) is over.
    ///
    /// # Errors
    ///
    /// A fault of store, keys or randomness. One record that does not open does not hold up the others.
    pub async fn retry_revocations(&self) -> Result<usize, VaultError> {
        let pending = self.root().await?.pending();
        let (all, fault) = self.listed(pending).await?;
        let keys: Vec<_> = all.into_keys().collect();
        let count = self.withdraw_all(&keys).await?;
        fault.map_or(Ok(count), Err)
    }

    /// Revoke what is listed under `index` and `wanted`: first all of it here, then at the services.
    pub(crate) async fn revoke_listed(
        &self,
        index: IndexKey,
        wanted: impl Fn(&Held) -> bool,
    ) -> Result<usize, VaultError> {
        let (all, mut fault) = self.listed(index).await?;
        let wanted_keys: Vec<_> = all.into_iter().filter(|(_, held)| wanted(held)).map(|(key, _)| key).collect();
        let mut count = 0;
        for key in &wanted_keys {
            match self.begin_withdrawal(*key, &wanted).await {
                Ok(was_there) => count += usize::from(was_there),
                Err(error) if error.is_about_one_record() => fault = Some(error),
                Err(error) => return Err(error),
            }
        }
        // Also what somebody has begun before and not come to the end of.
        self.withdraw_all(&wanted_keys).await?;
        fault.map_or(Ok(count), Err)
    }

    /// From this write on nobody is leased what is under `key`. `false` if there is nothing, or it has come so far already.
    async fn begin_withdrawal(&self, key: RecordKey, wanted: impl Fn(&Held) -> bool) -> Result<bool, VaultError> {
        for _ in 0..MAX_ATTEMPTS {
            let (place, held) = self.load(key).await?;
            let Some(mut held) = held.filter(|held| wanted(held) && !matches!(held.state, State::Revoking(_))) else {
                return Ok(false);
            };
            held.state = State::Revoking(Withdrawal::of(held.state, self.now()));
            if self.write(&place, Some(&held)).await? == Commit::Apply {
                self.report(UpstreamAct::Revoke, None, &held);
                return Ok(true);
            }
        }
        Err(VaultError::new(VaultErrorKind::Contention))
    }
}
