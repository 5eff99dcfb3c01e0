//! A revocation. After its first write the credential is no longer leased; then the service is asked to revoke it, and
//! then the secret is deleted.

use super::CredentialVault;
use super::error::{VaultError, VaultErrorKind};
use super::held::{Held, RevocationProgress, State};
use crate::id::{IndexKey, RecordKey};
use crate::issuer::MAX_ATTEMPTS;
use crate::store::{Commit, TokenStore};
use crate::vault::{Account, UpstreamAct};

impl<S: TokenStore + 'static> CredentialVault<S> {
    /// Revokes the credential of `account`: in the vault at once, then at the service. If the service fails,
    /// [`retry_revocations`](Self::retry_revocations) asks it again. Returns whether there was a credential to revoke.
    ///
    /// # Errors
    ///
    /// A fault of the store, the keys or the random source. The credential may be revoked nevertheless; a retry
    /// completes it.
    pub async fn revoke(&self, account: &Account) -> Result<bool, VaultError> {
        let (vault, account) = (self.clone(), account.clone());
        self.in_own_task(async move {
            // Looked up by the whole account: a record of another account does not open here.
            let (place, _) = vault.find(&account).await?;
            let was_there = vault.begin_revocation(place.key, &|_: &Held| true).await?;
            vault.revoke_all_at_services(vec![place.key]).await?;
            Ok(was_there)
        })
        .await
    }

    /// Asks the services to revoke all credentials with a pending revocation whose pause is over. Returns how many
    /// revocations are complete. Call it at intervals, or use [`upkeep_every`](Self::upkeep_every).
    ///
    /// A service that fails is asked again after a pause that doubles, or after the time that it asks for. The retries
    /// end when the credential has expired; if its expiry is unknown, when the
    /// [retention](crate::vault::RefreshPolicyBuilder::retention) is over.
    ///
    /// # Errors
    ///
    /// A fault of the store, the keys or the random source. A record that does not open does not stop the others; its
    /// error is returned at the end.
    pub async fn retry_revocations(&self) -> Result<usize, VaultError> {
        let pending = self.root().await?.pending();
        let (all, fault) = self.listed(pending).await?;
        let count = self.revoke_all_at_services(all.into_keys().collect()).await?;
        fault.map_or(Ok(count), Err)
    }

    /// Revokes the credentials that are listed under `index` and `wanted`: first all of them in the vault, then at the
    /// services.
    pub(crate) async fn revoke_listed(
        &self,
        index: IndexKey,
        wanted: impl Fn(&Held) -> bool + Send + Sync + 'static,
    ) -> Result<usize, VaultError> {
        let vault = self.clone();
        self.in_own_task(async move {
            let (all, mut fault) = vault.listed(index).await?;
            let keys: Vec<_> = all.into_iter().filter(|(_, held)| wanted(held)).map(|(key, _)| key).collect();
            let mut count = 0;
            for key in &keys {
                match vault.begin_revocation(*key, &wanted).await {
                    Ok(was_there) => count += usize::from(was_there),
                    Err(error) if error.is_about_one_record() => fault = Some(error),
                    Err(error) => return Err(error),
                }
            }
            // This includes revocations that another process began and did not complete.
            vault.revoke_all_at_services(keys).await?;
            fault.map_or(Ok(count), Err)
        })
        .await
    }

    /// Runs `task` to completion, even if the caller drops its future: a user's credentials must not be half revoked.
    async fn in_own_task<T: Send + 'static>(
        &self,
        task: impl Future<Output = Result<T, VaultError>> + Send + 'static,
    ) -> Result<T, VaultError> {
        self.runtime.in_background(task).await.unwrap_or_else(|_| Err(VaultError::new(VaultErrorKind::Stopped)))
    }

    /// Begins the revocation of the credential under `key`: after this write it is no longer leased. `false` if there
    /// is none, or its revocation has begun already.
    async fn begin_revocation(
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
