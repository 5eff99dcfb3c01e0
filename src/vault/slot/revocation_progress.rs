//! The second half of a revocation: the service is asked to revoke a credential that is no longer leased, and the
//! secret is deleted.
//!
//! A crash does not lose a revocation: the record stays listed as pending until the service has revoked the credential,
//! nothing is left to revoke, or the time for retries is over. A process counts its attempt in the record before it
//! asks the service, and writes the result only if no other process has asked since.

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

/// How many credentials are revoked at the same time, so that a service that does not answer delays few others.
const AT_ONCE: usize = 8;

impl<S: TokenStore + 'static> CredentialVault<S> {
    /// Calls [`revoke_at_service`](Self::revoke_at_service) for all of `keys`, in the background. Returns how many
    /// revocations are complete.
    pub(crate) async fn revoke_all_at_services(&self, keys: Vec<RecordKey>) -> Result<usize, VaultError> {
        let at_once = AT_ONCE.min(keys.len());
        let queue = Arc::new((keys, AtomicUsize::new(0)));
        let begin = |_| {
            let (vault, queue) = (self.clone(), queue.clone());
            self.runtime.in_background(async move { vault.revoke_queued(&queue.0, &queue.1).await })
        };
        let (mut count, mut fault) = (0, None);
        for wait in (0..at_once).map(begin).collect::<Vec<_>>() {
            // If the runtime dropped the task, the next round continues.
            let (done, error) = wait.await.unwrap_or_default();
            count += done;
            fault = fault.or(error);
        }
        fault.map_or(Ok(count), Err)
    }

    /// Revokes the keys that no other worker has taken, one after another.
    async fn revoke_queued(&self, keys: &[RecordKey], next: &AtomicUsize) -> (usize, Option<VaultError>) {
        let (mut count, mut fault) = (0, None);
        while let Some(key) = keys.get(next.fetch_add(1, Ordering::Relaxed)) {
            match self.revoke_at_service(*key).await {
                Ok(done) => count += usize::from(done),
                Err(error) if error.is_about_one_record() => fault = Some(error),
                Err(error) => return (count, Some(error)),
            }
        }
        (count, fault)
    }

    /// Asks the service to revoke the credential under `key`, if its pause is over. Returns whether the revocation is
    /// complete.
    pub(crate) async fn revoke_at_service(&self, key: RecordKey) -> Result<bool, VaultError> {
        for _ in 0..MAX_ATTEMPTS {
            let (place, held) = self.load(key).await?;
            let Some(mut held) = held else { return Ok(false) };
            let State::Revoking(progress) = held.state else { return Ok(false) };
            let now = self.now();
            let end = held.expires_at().unwrap_or(progress.since.saturating_add(self.policy.retention));
            if end <= now {
                if self.write_or_look(&place, None).await? == Commit::Applied {
                    self.report(UpstreamAct::Abandoned, progress.lost_answer_reason(), &held);
                    return Ok(true);
                }
                continue;
            }
            if progress.holds_off(&self.policy, self.reach.last_outage(), now) {
                return Ok(false);
            }
            // This write keeps other processes from asking, and lets one continue if this process is cut off.
            let attempts = progress.attempts.saturating_add(1);
            let retry_at = now.saturating_add(self.policy.claim);
            let progress = RevocationProgress { attempts, asked_at: now, retry_at, ..progress };
            held.state = State::Revoking(progress);
            if self.write(&place, Some(&held)).await? == Commit::Applied {
                return self.request_and_conclude(key, held, progress).await;
            }
        }
        Err(VaultError::new(VaultErrorKind::Contention))
    }

    async fn request_and_conclude(
        &self,
        key: RecordKey,
        held: Held,
        progress: RevocationProgress,
    ) -> Result<bool, VaultError> {
        if self.now() >= progress.retry_at {
            // The write took too long, so another process may ask by now.
            return Ok(false);
        }
        match self.request_revocation(&held).await {
            Ok(Revocation::NeedsRefresh) if held.is_refreshable() => self.renew(key, held, progress).await,
            answer => self.conclude_revocation(key, held, progress, answer.map(|_| ())).await,
        }
    }

    /// Asks the service of `held` to revoke it.
    pub(crate) async fn request_revocation(&self, held: &Held) -> Result<Revocation, Failure> {
        match (self.provider(held.account.service()), &held.credential) {
            (Some(provider), credential) => match provider.revoke(credential).await {
                Ok(revocation) => Ok(revocation),
                // A service that no longer accepts it has nothing left to revoke.
                Err(UpstreamError::InvalidGrant) => Ok(Revocation::Done),
                Err(error) => Err(Failure::of(&error)),
            },
            (None, Credential::Static(_)) => Ok(Revocation::Unsupported),
            // Another process may have a provider for it.
            (None, Credential::OAuth(_)) => Err(UpstreamReason::NoProvider.into()),
        }
    }

    /// Deletes the secret if nothing is left to do for `held`, or records when to ask again. Returns whether it was
    /// deleted.
    pub(crate) async fn conclude_revocation(
        &self,
        key: RecordKey,
        mut held: Held,
        progress: RevocationProgress,
        answer: Result<(), Failure>,
    ) -> Result<bool, VaultError> {
        let version = held.version;
        let (is_over, act, reason) = match answer {
            Ok(()) => (true, UpstreamAct::Revoked, progress.lost_answer_reason()),
            Err(Failure { reason: UpstreamReason::AnswerLost, .. }) => {
                (true, UpstreamAct::Abandoned, Some(UpstreamReason::AnswerLost))
            }
            Err(Failure { reason, retry_after }) => {
                let [jitter] = self.random()?;
                let pause = self.policy.pause(progress.attempts, retry_after, jitter);
                let asked_at = self.now();
                let retry_at = asked_at.saturating_add(pause);
                held.state = State::Revoking(RevocationProgress { asked_at, retry_at, ..progress });
                (false, UpstreamAct::RevokeFailed, Some(reason))
            }
        };
        // A completed revocation counts even if another process has asked since.
        let is_ours = |found, current: &RevocationProgress| {
            found == version && (act == UpstreamAct::Revoked || current.attempts == progress.attempts)
        };
        if self.replace_revoking(key, version, is_ours, (!is_over).then_some(&held)).await?.is_none() {
            return Ok(false);
        }
        self.report(act, reason, &held);
        Ok(is_over)
    }
}
