//! A revocation: from its first write on nobody is leased the credential, then the service is told, then the secret is deleted.

use super::CredentialVault;
use super::error::{VaultError, VaultErrorKind};
use super::held::{Held, RevocationProgress, State};
use crate::id::{IndexKey, RecordKey};
use crate::issuer::MAX_ATTEMPTS;
use crate::store::{Commit, TokenStore};
use crate::vault::{Account, UpstreamAct};

impl<S: TokenStore + 'static> CredentialVault<S> {
    /// Revoke what `account` has: here at once, and at the service, which is asked before this returns. If the service fails, it
    /// is asked again by [`retry_revocations`](Self::retry_revocations). Returns whether there was anything to revoke.
    ///
    /// # Errors
    ///
    /// A fault of store, keys or randomness. The credential may be revoked nevertheless; a retry completes it.
    pub async fn revoke(&self, account: &Account) -> Result<bool, VaultError> {
        let (vault, account) = (self.clone(), account.clone());
        self.to_the_end(async move {
            // The whole account, as the record says it: a record of another one does not even open here.
            let (place, _) = vault.find(&account).await?;
            let was_there = vault.begin_withdrawal(place.key, &|_: &Held| true).await?;
            vault.withdraw_all(vec![place.key]).await?;
            Ok(was_there)
        })
        .await
    }

    /// Tell the services of all that is revoked and that they have not been told of, as far as it is time. Returns how many
    /// revocations have come to their end. Call it now and then, or use [`upkeep_every`](Self::upkeep_every).
    ///
    /// A service that fails is asked again after a pause that doubles, or for as long as it asks to be left alone, until it is
    /// done or the credential has expired; if that is unknown, until the
    /// [retention](crate::vault::RefreshPolicyBuilder::retention) is over.
    ///
    /// # Errors
    ///
    /// A fault of store, keys or randomness. One record that does not open does not hold up the others.
    pub async fn retry_revocations(&self) -> Result<usize, VaultError> {
        let pending = self.root().await?.pending();
        let (all, fault) = self.listed(pending).await?;
        let count = self.withdraw_all(all.into_keys().collect()).await?;
        fault.map_or(Ok(count), Err)
    }

    /// Revoke what is listed under `index` and `wanted`: first all of it here, then at the services.
    pub(crate) async fn revoke_listed(
        &self,
        index: IndexKey,
        wanted: impl Fn(&Held) -> bool + Send + Sync + 'static,
    ) -> Result<usize, VaultError> {
        let vault = self.clone();
        self.to_the_end(async move {
            let (all, mut fault) = vault.listed(index).await?;
            let keys: Vec<_> = all.into_iter().filter(|(_, held)| wanted(held)).map(|(key, _)| key).collect();
            let mut count = 0;
            for key in &keys {
                match vault.begin_withdrawal(*key, &wanted).await {
                    Ok(was_there) => count += usize::from(was_there),
                    Err(error) if error.is_about_one_record() => fault = Some(error),
                    Err(error) => return Err(error),
                }
            }
            // Also what somebody has begun before and not come to the end of.
            vault.withdraw_all(keys).await?;
            fault.map_or(Ok(count), Err)
        })
        .await
    }

    /// What `task` comes to, whether or not anybody waits for it: half of a user's credentials revoked is no revocation.
    async fn to_the_end<T: Send + 'static>(
        &self,
        task: impl Future<Output = Result<T, VaultError>> + Send + 'static,
    ) -> Result<T, VaultError> {
        self.runtime.in_background(task).await.unwrap_or_else(|_| Err(VaultError::new(VaultErrorKind::Stopped)))
    }

    /// From this write on nobody is leased what is under `key`. `false` if there is nothing, or it has come so far already.
    async fn begin_withdrawal(
        &self,
        key: RecordKey,
        wanted: &(impl Fn(&Held) -> bool + Sync),
    ) -> Result<bool, VaultError> {
        for _ in 0..MAX_ATTEMPTS {
            let (place, held) = self.load(key).await?;
            let Some(mut held) = held.filter(|held| wanted(held) && !matches!(held.state, State::Revoking(_))) else {
                return Ok(false);
            };
            held.state = State::Revoking(RevocationProgress::of(held.state, self.now()));
            if self.write_or_look(&place, Some(&held)).await? == Commit::Applied {
                self.report(UpstreamAct::Revoke, None, &held);
                return Ok(true);
            }
        }
        Err(VaultError::new(VaultErrorKind::Contention))
    }
}
