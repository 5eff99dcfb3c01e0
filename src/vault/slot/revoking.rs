//! A revocation: in the vault at once, then at the service.

use std::sync::{Arc, Mutex, PoisonError};

use super::CredentialVault;
use super::entry::Entry;
use super::event::{Event, Whom};
use super::outcome::Verdict;
use super::runner::Applied;
use super::state::OperationId;
use crate::id::{FamilyId, IndexKey};
use crate::store::TokenStore;
use crate::vault::{Account, VaultError, VaultErrorKind};

/// How many credentials are revoked at the same time, so that a service that does not answer delays few others.
const AT_ONCE: usize = 8;

/// A revocation that has begun in the vault.
struct Begun {
    entry: Entry,
    applied: Applied,
    by: OperationId,
}

/// Revocations that have begun in the vault, and the last error of those that have not.
pub(crate) struct Revocations {
    begun: Vec<Begun>,
    fault: Option<VaultError>,
}

impl Revocations {
    /// Whether none is missing.
    pub(crate) fn is_complete(&self) -> bool {
        self.fault.is_none()
    }
}

impl<S: TokenStore + 'static> CredentialVault<S> {
    /// Revokes the credential of `account`: in the vault at once, then at the service. If the service fails,
    /// [`retry_revocations`](Self::retry_revocations) asks it again. Returns whether there was a credential to revoke.
    ///
    /// While a refresh of the credential is under way, the service is not asked: the tokens that the refresh returns
    /// are revoked when they arrive.
    ///
    /// # Errors
    ///
    /// A fault of the store, the keys or the random source. The credential may be revoked nevertheless; a retry
    /// completes it.
    pub async fn revoke(&self, account: &Account) -> Result<bool, VaultError> {
        let (vault, account) = (self.clone(), account.clone());
        self.in_own_task(async move {
            let entry = vault.find(&account).await?;
            let begun = vault.begin(entry, &Whom::Account).await?;
            let was_there = begun.applied.verdict == Verdict::Done;
            vault.finish_all(Revocations { begun: vec![begun], fault: None }).await?;
            Ok(was_there)
        })
        .await
    }

    /// Revokes all credentials of `subject`. Returns how many were active until now.
    ///
    /// When a user leaves, call this in addition to
    /// [`TokenIssuer::revoke_subject`](crate::TokenIssuer::revoke_subject): the
    /// [`RevocationListener`](crate::vault::RevocationListener) is notified only about subjects that had a live
    /// session. Calling it again does no harm. A credential that is put into the vault during the call may be missed,
    /// so lock the user out first.
    ///
    /// # Errors
    ///
    /// The errors of [`revoke`](Self::revoke). A record that does not open does not stop the others; its error is
    /// returned at the end.
    pub async fn revoke_subject(&self, subject: &str) -> Result<usize, VaultError> {
        let index = self.root().await?.subject(subject);
        self.revoke_listed(index, Whom::Account).await
    }

    /// Revokes all credentials that are bound to the session `family`. Returns how many were active until now.
    ///
    /// # Errors
    ///
    /// The errors of [`revoke_subject`](Self::revoke_subject).
    pub async fn revoke_session(&self, family: FamilyId) -> Result<usize, VaultError> {
        let index = self.root().await?.session(family);
        self.revoke_listed(index, Whom::Session(family)).await
    }

    /// Revokes all credentials that are bound to the client `client_id`, of all users. Returns how many were active
    /// until now.
    ///
    /// When a client is withdrawn, call this in addition to
    /// [`TokenIssuer::revoke_client`](crate::TokenIssuer::revoke_client): the
    /// [`RevocationListener`](crate::vault::RevocationListener) is notified only about clients that had a live session.
    /// Calling it again does no harm.
    ///
    /// # Errors
    ///
    /// The errors of [`revoke_subject`](Self::revoke_subject).
    pub async fn revoke_client(&self, client_id: &str) -> Result<usize, VaultError> {
        let index = self.root().await?.client(client_id);
        self.revoke_listed(index, Whom::Client(client_id.into())).await
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
        let vault = self.clone();
        self.in_own_task(async move {
            let pending = vault.root().await?.pending();
            let (entries, fault) = vault.listed(pending).await?;
            let nothing = || Applied { verdict: Verdict::Absent, effect: None, ended: 0 };
            let begun = |entry| Ok(Begun { entry, applied: nothing(), by: vault.operation()? });
            let begun = entries.into_iter().map(begun).collect::<Result<_, VaultError>>()?;
            vault.finish_all(Revocations { begun, fault }).await
        })
        .await
    }

    /// Revokes in the vault what `whom` means of what is listed under `index`, and then at the services.
    async fn revoke_listed(&self, index: IndexKey, whom: Whom) -> Result<usize, VaultError> {
        let vault = self.clone();
        self.in_own_task(async move {
            let (count, revocations) = vault.begin_listed(index, whom).await?;
            vault.finish_all(revocations).await?;
            Ok(count)
        })
        .await
    }

    /// Revokes in the vault what `whom` means of what is listed under `index`. Returns how many were active until now.
    pub(crate) async fn begin_listed(&self, index: IndexKey, whom: Whom) -> Result<(usize, Revocations), VaultError> {
        let (entries, mut fault) = self.listed(index).await?;
        let mut begun = Vec::new();
        for entry in entries {
            match self.begin(entry, &whom).await {
                Ok(revocation) => begun.push(revocation),
                Err(error) => {
                    let goes_on = error.is_about_one_record();
                    fault = Some(error);
                    if !goes_on {
                        break;
                    }
                }
            }
        }
        let count = begun.iter().filter(|begun| begun.applied.verdict == Verdict::Done).count();
        Ok((count, Revocations { begun, fault }))
    }

    /// Begins the revocation of what `whom` means in `entry`: after this write it is no longer leased.
    async fn begin(&self, mut entry: Entry, whom: &Whom) -> Result<Begun, VaultError> {
        let by = self.operation()?;
        let applied = self.apply(&mut entry, &Event::Revoke { by, whom: whom.clone() }).await?;
        Ok(Begun { entry, applied, by })
    }

    /// Completes `revocations` at the services, in the background. Returns how many came to their end.
    pub(crate) async fn finish_all(&self, revocations: Revocations) -> Result<usize, VaultError> {
        let Revocations { begun, mut fault } = revocations;
        let at_once = AT_ONCE.min(begun.len());
        let queue = Arc::new(Mutex::new(begun));
        let start = |_| {
            let (vault, queue) = (self.clone(), queue.clone());
            self.in_background(async move { vault.finish_queued(&queue).await })
        };
        let mut count = 0;
        for wait in (0..at_once).map(start).collect::<Vec<_>>() {
            // If the runtime dropped the task, the next round continues.
            let (ended, error) = wait.await.unwrap_or_default();
            count += ended;
            fault = fault.or(error);
        }
        fault.map_or(Ok(count), Err)
    }

    /// Completes what no other worker has taken, one after another.
    async fn finish_queued(&self, queue: &Mutex<Vec<Begun>>) -> (usize, Option<VaultError>) {
        let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let (mut count, mut fault) = (0, None);
        while let Some(Begun { mut entry, applied, by }) = next() {
            match self.finish(&mut entry, applied, by).await {
                Ok(ended) => count += ended,
                Err(error) if error.is_about_one_record() => fault = Some(error),
                Err(error) => return (count, Some(error)),
            }
        }
        (count, fault)
    }

    /// Runs `task` to completion, even if the caller drops its future: a user's credentials must not be half revoked.
    async fn in_own_task<T: Send + 'static>(
        &self,
        task: impl Future<Output = Result<T, VaultError>> + Send + 'static,
    ) -> Result<T, VaultError> {
        self.in_background(task).await.unwrap_or_else(|_| Err(VaultError::new(VaultErrorKind::Stopped)))
    }
}
