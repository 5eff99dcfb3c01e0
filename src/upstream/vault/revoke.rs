//! A revocation: from its first write on nobody is leased the credential, then the service is told, then the secret is deleted.
//!
//! What was begun is finished whatever happens: a record that is being revoked is listed as pending until the service has
//! been told, or nothing is left to be told.

use super::CredentialVault;
use super::error::{VaultError, VaultErrorKind};
use super::held::{Held, Mark, State, Withdrawal};
use crate::issuer::MAX_ATTEMPTS;
use crate::store::{Commit, IndexKey, RecordKey, TokenStore};
use crate::upstream::{Account, Credential, Revocation, UpstreamAct, UpstreamError, UpstreamReason};

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
        self.withdraw(place.key).await?;
        Ok(was_there)
    }

    /// Tell the services of all that is revoked and that they have not been told of, as far as it is time. Returns how many
    /// revocations have come to their end. Call it now and then, or use [`upkeep_every`](Self::upkeep_every).
    ///
    /// A service that fails is asked again after a pause that doubles, until it is done or the credential has expired; if
    /// that is unknown, until the [retention](crate::upstream::RefreshPolicyBuilder::retention) is over.
    ///
    /// # Errors
    ///
    /// A fault of store, keys or randomness. One record that does not open does not hold up the others.
    pub async fn retry_revocations(&self) -> Result<usize, VaultError> {
        let pending = self.root().await?.pending();
        let (all, mut fault) = self.listed(pending).await?;
        let mut count = 0;
        for key in all.into_keys() {
            match self.withdraw(key).await {
                Ok(done) => count += usize::from(done),
                Err(error) if error.is_about_one_record() => fault = Some(error),
                Err(error) => return Err(error),
            }
        }
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
        for key in wanted_keys {
            match self.withdraw(key).await {
                Ok(_) => {}
                Err(error) if error.is_about_one_record() => fault = Some(error),
                Err(error) => return Err(error),
            }
        }
        fault.map_or(Ok(count), Err)
    }

    /// From this write on nobody is leased what is under `key`. `false` if there is nothing, or it has come so far already.
    async fn begin_withdrawal(&self, key: RecordKey, wanted: impl Fn(&Held) -> bool) -> Result<bool, VaultError> {
        for _ in 0..MAX_ATTEMPTS {
            let (place, held) = self.load(key).await?;
            let Some(mut held) = held.filter(|held| wanted(held) && !matches!(held.state, State::Revoking(_))) else {
                return Ok(false);
            };
            let answer_lost = held.state.may_have_successors();
            held.state = State::Revoking(Withdrawal { answer_lost, ..Withdrawal::begin(self.now(), self.now()) });
            if self.write(&place, Some(&held)).await? == Commit::Apply {
                self.report(UpstreamAct::Revoke, None, &held);
                return Ok(true);
            }
        }
        Err(VaultError::new(VaultErrorKind::Contention))
    }

    /// Tell the service of what is being revoked under `key`, if it is time. Returns whether that has come to its end.
    pub(crate) async fn withdraw(&self, key: RecordKey) -> Result<bool, VaultError> {
        for _ in 0..MAX_ATTEMPTS {
            let (place, held) = self.load(key).await?;
            let Some(mut held) = held else { return Ok(false) };
            let State::Revoking(withdrawal) = held.state else { return Ok(false) };
            let now = self.now();
            let end = held.expires_at().unwrap_or(withdrawal.since.saturating_add(self.policy.retention));
            if end <= now {
                if self.write(&place, None).await? == Commit::Apply {
                    self.report(UpstreamAct::Abandoned, None, &held);
                    return Ok(true);
                }
                continue;
            }
            if now < withdrawal.retry_at {
                return Ok(false);
            }
            // Nobody else asks the service meanwhile, and somebody does should this be cut off.
            let attempts = withdrawal.attempts.saturating_add(1);
            let retry_at = now.saturating_add(self.policy.claim);
            let withdrawal = Withdrawal { attempts, retry_at, ..withdrawal };
            held.state = State::Revoking(withdrawal);
            if self.write(&place, Some(&held)).await? == Commit::Apply {
                return match self.tell(&held).await {
                    Ok(Revocation::NeedsRefresh) if held.is_refreshable() => {
                        self.renew_and_tell(key, held, withdrawal).await
                    }
                    answer => self.conclude_withdrawal(key, held, withdrawal, answer.map(|_| ())).await,
                };
            }
        }
        Err(VaultError::new(VaultErrorKind::Contention))
    }

    /// Revoke `held` at its service.
    pub(crate) async fn tell(&self, held: &Held) -> Result<Revocation, UpstreamReason> {
        match (self.provider(held.account.service()), &held.credential) {
            (Some(provider), credential) => match provider.revoke(credential).await {
                Ok(revocation) => Ok(revocation),
                // A service that honours it no more has nothing left to revoke.
                Err(UpstreamError::InvalidGrant) => Ok(Revocation::Done),
                Err(UpstreamError::Refused { .. }) => Err(UpstreamReason::Refused),
                Err(UpstreamError::Unavailable { .. }) => Err(UpstreamReason::Unavailable),
                Err(UpstreamError::Uncertain(_)) => Err(UpstreamReason::Uncertain),
            },
            (None, Credential::Static(_)) => Ok(Revocation::Unsupported),
            // Another process may well have one.
            (None, Credential::OAuth(_)) => Err(UpstreamReason::NoProvider),
        }
    }

    /// Delete the secret if nothing is left to be done for `told`, or note when to ask again. Returns whether it is deleted.
    pub(crate) async fn conclude_withdrawal(
        &self,
        key: RecordKey,
        mut told: Held,
        withdrawal: Withdrawal,
        answer: Result<(), UpstreamReason>,
    ) -> Result<bool, VaultError> {
        let is_over = matches!(answer, Ok(()) | Err(UpstreamReason::AnswerLost));
        if !is_over {
            let [jitter] = self.random()?;
            let pause = self.policy.pause(withdrawal.attempts, None, jitter);
            let retry_at = self.now().saturating_add(pause);
            told.state = State::Revoking(Withdrawal { retry_at, ..withdrawal });
        }
        if !self.replace_withdrawn(key, told.mark, (!is_over).then_some(&told)).await? {
            return Ok(false);
        }
        match answer {
            Ok(()) => self.report(UpstreamAct::Revoked, None, &told),
            Err(reason) if is_over => self.report(UpstreamAct::Abandoned, Some(reason), &told),
            Err(reason) => self.report(UpstreamAct::RevokeFailed, Some(reason), &told),
        }
        Ok(is_over)
    }

    /// Write `next`, or that it is gone, in the place of what is being revoked under `key`, if that is still the secret of this
    /// mark or already `next`. Newer tokens, which a refresh has left there meanwhile, are not touched: `false`.
    pub(crate) async fn replace_withdrawn(
        &self,
        key: RecordKey,
        mark: Mark,
        next: Option<&Held>,
    ) -> Result<bool, VaultError> {
        let is_ours = |held: &Held| {
            let known = held.mark == mark || next.is_some_and(|next| next.mark == held.mark);
            known && matches!(held.state, State::Revoking(_))
        };
        for _ in 0..MAX_ATTEMPTS {
            let (place, held) = self.load(key).await?;
            if !held.as_ref().is_some_and(is_ours) {
                return Ok(false);
            }
            if self.write(&place, next).await? == Commit::Apply {
                return Ok(true);
            }
        }
        Err(VaultError::new(VaultErrorKind::Contention))
    }
}
