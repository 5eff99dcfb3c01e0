//! A refresh: one caller claims it, and a background task runs it to completion even if the caller drops its future.

use std::time::Duration;

use super::CredentialVault;
use super::content::check_length;
use super::error::{VaultError, VaultErrorKind};
use super::held::{Attempts, Claim, Held, SecretVersion, State};
use super::settle::{Attempt, Outcome, Settlement, settle};
use super::storage::Place;
use crate::store::{Commit, TokenStore};
use crate::vault::patience::Patience;
use crate::vault::{Credential, UpstreamAct, UpstreamProvider, UpstreamReason};

/// For how long storing new tokens is retried. If they are lost, the user has to authorize again.
pub(crate) const PERSISTENCE: Duration = Duration::from_secs(5 * 60);
/// For how long storing a failure is retried. If it is lost, the claim ends by itself.
const BRIEFLY: Duration = Duration::from_secs(1);
/// The longest pause between two writes of new tokens. It is short, because after the claim has ended the next process
/// to refresh presents the spent refresh token.
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

impl<S: TokenStore + 'static> CredentialVault<S> {
    /// Refreshes `held`, unless another process is faster, and waits for the result while waiting time is left.
    ///
    /// Returns `true` if the store then holds the result, and `false` if the waiting time ran out. The background task
    /// writes the claim too, so a dropped caller leaves no claim behind.
    pub(crate) async fn refresh(&self, place: Place, held: Held, patience: &mut Patience) -> Result<bool, VaultError> {
        let Some(provider) = self.provider(held.account.service()) else {
            self.report(UpstreamAct::RefreshFailed, Some(UpstreamReason::NoProvider), &held);
            return Err(VaultError::new(VaultErrorKind::NoProvider).about(held.account.service()));
        };
        let vault = self.clone();
        let refresh = self.runtime.in_background(async move {
            if let Some(attempt) = vault.claim(&place, held).await? {
                vault.run_to_completion(&attempt, &*provider).await;
            }
            Ok(true)
        });
        // Both count as no result in time: the runtime dropped the task, or the task continues without this caller.
        patience.wait(&self.runtime, refresh).await.and_then(Result::ok).unwrap_or(Ok(false))
    }

    /// Claims the refresh of `held`. `None` if another process was faster.
    async fn claim(&self, place: &Place, mut held: Held) -> Result<Option<Attempt>, VaultError> {
        let State::Active(attempts) = held.state else { return Ok(None) };
        let since = self.now();
        let claim = Claim {
            fence: attempts.fence.saturating_add(1),
            id: self.random()?,
            since,
            until: since.saturating_add(self.policy.claim),
        };
        let answer_lost = attempts.may_have_successors();
        held.state = State::Active(Attempts { fence: claim.fence, claim: Some(claim), answer_lost, ..attempts });
        let version = SecretVersion(self.random()?);
        let is_ours = self.write_or_look(place, Some(&held)).await? == Commit::Applied;
        Ok(is_ours.then_some(Attempt { from: held, claim, version }))
    }

    /// Sends the refresh of `attempt` and stores its outcome.
    async fn run_to_completion(&self, attempt: &Attempt, provider: &dyn UpstreamProvider) {
        let Credential::OAuth(tokens) = &attempt.from.credential else { return };
        // Read before the request: the lifetimes in the answer have begun at the latest after that.
        let asked_at = self.now();
        if asked_at >= attempt.claim.until {
            // The write of the claim took too long. Another process may hold a claim by now, and two requests would
            // spend one refresh token.
            return;
        }
        let answer = provider.refresh(tokens).await;
        let outcome = Outcome::of(answer, tokens, attempt.from.obtained_at, asked_at);
        let has_tokens = matches!(outcome, Outcome::Refreshed(..));
        let limit = if has_tokens { PERSISTENCE } else { BRIEFLY };
        if self.persist(limit, || self.conclude(attempt, &outcome)).await.is_err() && has_tokens {
            self.report(UpstreamAct::Lost, Some(UpstreamReason::Fault), &attempt.from);
        }
    }

    /// Retries `write` for `limit` after its first failure, and returns its last result.
    pub(crate) async fn persist<T, F: Future<Output = Result<T, VaultError>> + Send>(
        &self,
        limit: Duration,
        write: impl Fn() -> F,
    ) -> Result<T, VaultError> {
        let (mut patience, mut until) = (Patience::new(limit, LONGEST_PAUSE), None);
        loop {
            let error = match write().await {
                Err(error) => error,
                written => return written,
            };
            // The store may take long to fail, which `patience` does not count.
            let until = *until.get_or_insert_with(|| self.now().saturating_add(limit));
            if self.now() >= until || !patience.pause(&self.runtime).await {
                return Err(error);
            }
        }
    }

    /// Writes and reports the outcome of the attempt. `Contention` if another process has written in between.
    async fn conclude(&self, attempt: &Attempt, outcome: &Outcome) -> Result<(), VaultError> {
        let key = self.root().await?.locate(&attempt.from.account);
        let (place, current) = self.load(key).await?;
        let Settlement { write, aside, act, reason } = settle(current, attempt, outcome, &self.policy, self.now());
        let Some(next) = write else {
            self.report(act, reason, &attempt.from);
            return Ok(());
        };
        if next.version == attempt.version {
            check_length(&next)?;
        }
        let key = if aside {
            self.keep_successor(key, attempt.from.version, &next).await?
        } else if self.write_or_look(&place, Some(&next)).await? == Commit::Applied {
            key
        } else {
            return Err(VaultError::new(VaultErrorKind::Contention));
        };
        self.report(act, reason, &next);
        if matches!(next.state, State::Revoking(_)) {
            // If this fails, the next round of retries asks the service.
            let _ = self.revoke_at_service(key).await;
        }
        Ok(())
    }
}
