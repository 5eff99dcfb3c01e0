//! The second half of a revocation: the service is told of what nobody is leased any more, and the secret is deleted.
//!
//! What was begun is finished whatever happens: a record that is being revoked is listed as pending until the service has
//! been told, or nothing is left to be told. Who asks the service has counted the attempt in the record first, and writes what
//! has come of it only if nobody has asked since.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::CredentialVault;
use super::error::{VaultError, VaultErrorKind};
use super::held::{Held, RevocationProgress, State};
use super::settle::Failure;
use crate::id::RecordKey;
use crate::issuer::MAX_ATTEMPTS;
use crate::store::{Commit, TokenStore};
use crate::vault::{Credential, Revocation, UpstreamAct, UpstreamError, UpstreamReason};

/// How many credentials are revoked at once, so that a service that does not answer holds up few others.
const AT_ONCE: usize = 8;

impl<S: TokenStore + 'static> CredentialVault<S> {
    /// [`withdraw`](Self::withdraw) all of `keys`, in the background. Returns how many have come to their end.
    pub(crate) async fn withdraw_all(&self, keys: Vec<RecordKey>) -> Result<usize, VaultError> {
        let at_once = AT_ONCE.min(keys.len());
        let queue = Arc::new((keys, AtomicUsize::new(0)));
        let begin = |_| {
            let (vault, queue) = (self.clone(), queue.clone());
            self.runtime.in_background(async move { vault.withdraw_each(&queue.0, &queue.1).await })
        };
        let (mut count, mut fault) = (0, None);
        for wait in (0..at_once).map(begin).collect::<Vec<_>>() {
            // If the runtime has dropped it, the next round goes on.
            let (done, error) = wait.await.unwrap_or_default();
            count += done;
            fault = fault.or(error);
        }
        fault.map_or(Ok(count), Err)
    }

    /// The same of those that nobody else has taken, one by one.
    async fn withdraw_each(&self, keys: &[RecordKey], next: &AtomicUsize) -> (usize, Option<VaultError>) {
        let (mut count, mut fault) = (0, None);
        while let Some(key) = keys.get(next.fetch_add(1, Ordering::Relaxed)) {
            match self.withdraw(*key).await {
                Ok(done) => count += usize::from(done),
                Err(error) if error.is_about_one_record() => fault = Some(error),
                Err(error) => return (count, Some(error)),
            }
        }
        (count, fault)
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
                if self.write_or_look(&place, None).await? == Commit::Applied {
                    self.report(UpstreamAct::Abandoned, withdrawal.doubt(), &held);
                    return Ok(true);
                }
                continue;
            }
            if withdrawal.holds_off(&self.policy, self.reach.last_outage(), now) {
                return Ok(false);
            }
            // Nobody else asks the service meanwhile, and somebody does should this be cut off.
            let attempts = withdrawal.attempts.saturating_add(1);
            let retry_at = now.saturating_add(self.policy.claim);
            let withdrawal = RevocationProgress { attempts, asked_at: now, retry_at, ..withdrawal };
            held.state = State::Revoking(withdrawal);
            if self.write(&place, Some(&held)).await? == Commit::Applied {
                return self.tell_and_conclude(key, held, withdrawal).await;
            }
        }
        Err(VaultError::new(VaultErrorKind::Contention))
    }

    async fn tell_and_conclude(
        &self,
        key: RecordKey,
        held: Held,
        withdrawal: RevocationProgress,
    ) -> Result<bool, VaultError> {
        if self.now() >= withdrawal.retry_at {
            // The write has taken too long: it is somebody else's turn.
            return Ok(false);
        }
        match self.tell(&held).await {
            Ok(Revocation::NeedsRefresh) if held.is_refreshable() => self.renew(key, held, withdrawal).await,
            answer => self.conclude_withdrawal(key, held, withdrawal, answer.map(|_| ())).await,
        }
    }

    /// Revoke `held` at its service.
    pub(crate) async fn tell(&self, held: &Held) -> Result<Revocation, Failure> {
        match (self.provider(held.account.service()), &held.credential) {
            (Some(provider), credential) => match provider.revoke(credential).await {
                Ok(revocation) => Ok(revocation),
                // A service that honours it no more has nothing left to revoke.
                Err(UpstreamError::InvalidGrant) => Ok(Revocation::Done),
                Err(error) => Err(Failure::of(&error)),
            },
            (None, Credential::Static(_)) => Ok(Revocation::Unsupported),
            // Another process may well have one.
            (None, Credential::OAuth(_)) => Err(UpstreamReason::NoProvider.into()),
        }
    }

    /// Delete the secret if nothing is left to be done for `told`, or note when to ask again. Returns whether it is deleted.
    pub(crate) async fn conclude_withdrawal(
        &self,
        key: RecordKey,
        mut told: Held,
        withdrawal: RevocationProgress,
        answer: Result<(), Failure>,
    ) -> Result<bool, VaultError> {
        let mark = told.mark;
        let (is_over, act, reason) = match answer {
            Ok(()) => (true, UpstreamAct::Revoked, withdrawal.doubt()),
            Err(Failure { reason: UpstreamReason::AnswerLost, .. }) => {
                (true, UpstreamAct::Abandoned, Some(UpstreamReason::AnswerLost))
            }
            Err(Failure { reason, retry_after }) => {
                let [jitter] = self.random()?;
                let pause = self.policy.pause(withdrawal.attempts, retry_after, jitter);
                let asked_at = self.now();
                let retry_at = asked_at.saturating_add(pause);
                told.state = State::Revoking(RevocationProgress { asked_at, retry_at, ..withdrawal });
                (false, UpstreamAct::RevokeFailed, Some(reason))
            }
        };
        // What is revoked is revoked, whoever's turn it is.
        let is_ours = |found, current: &RevocationProgress| {
            found == mark && (act == UpstreamAct::Revoked || current.attempts == withdrawal.attempts)
        };
        if self.replace_withdrawn(key, mark, is_ours, (!is_over).then_some(&told)).await?.is_none() {
            return Ok(false);
        }
        self.report(act, reason, &told);
        Ok(is_over)
    }
}
