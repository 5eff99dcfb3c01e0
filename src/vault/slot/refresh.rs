//! A refresh: one caller claims it, a task of its own carries it out, whatever becomes of the caller.

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

/// How long new tokens are tried to be stored: if they are lost, the user has to authorize anew.
pub(crate) const PERSISTENCE: Duration = Duration::from_secs(5 * 60);
/// The same for a failure: if that is lost, the claim ends by itself.
const BRIEFLY: Duration = Duration::from_secs(1);
/// Short, for whoever holds new tokens: once the store is back and the claim has ended, the first other one who refreshes
/// presents the refresh token that was spent.
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

impl<S: TokenStore + 'static> CredentialVault<S> {
    /// Refresh `held`, unless somebody else is faster, and wait for that as long as there is patience. `false` if that was not
    /// long enough; otherwise what has become of it is in the store. The claim is written by the task too, so that no caller who
    /// is dropped leaves one behind.
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
        // If the runtime has dropped it, or it goes on without us, it was not long enough.
        patience.wait(&self.runtime, refresh).await.and_then(Result::ok).unwrap_or(Ok(false))
    }

    /// Claim the refresh of `held`; `None` if somebody else was faster.
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
        let mark = SecretVersion(self.random()?);
        let is_ours = self.write_or_look(place, Some(&held)).await? == Commit::Applied;
        Ok(is_ours.then_some(Attempt { from: held, claim, mark }))
    }

    async fn run_to_completion(&self, attempt: &Attempt, provider: &dyn UpstreamProvider) {
        let Credential::OAuth(tokens) = &attempt.from.credential else { return };
        // Before the request: that is when the lifetimes that the service answers with have begun at the latest.
        let asked_at = self.now();
        if asked_at >= attempt.claim.until {
            // The write of the claim has taken too long. Another may have claimed it, and two would spend one refresh token.
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

    /// What `write` comes to, tried again when it fails, for so long after the first time.
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
            // The store may take long to fail, which the patience does not count.
            let until = *until.get_or_insert_with(|| self.now().saturating_add(limit));
            if self.now() >= until || !patience.pause(&self.runtime).await {
                return Err(error);
            }
        }
    }

    /// Write and report what the attempt has come to. `Contention` if somebody else has written meanwhile.
    async fn conclude(&self, attempt: &Attempt, outcome: &Outcome) -> Result<(), VaultError> {
        let key = self.root().await?.locate(&attempt.from.account);
        let (place, current) = self.load(key).await?;
        let Settlement { write, aside, act, reason } = settle(current, attempt, outcome, &self.policy, self.now());
        let Some(next) = write else {
            self.report(act, reason, &attempt.from);
            return Ok(());
        };
        if next.mark == attempt.mark {
            check_length(&next)?;
        }
        let key = if aside {
            self.keep_successor(key, attempt.from.mark, &next).await?
        } else if self.write_or_look(&place, Some(&next)).await? == Commit::Applied {
            key
        } else {
            return Err(VaultError::new(VaultErrorKind::Contention));
        };
        self.report(act, reason, &next);
        if matches!(next.state, State::Revoking(_)) {
            // Otherwise the next round of retries does it.
            let _ = self.withdraw(key).await;
        }
        Ok(())
    }
}
