//! A revocation at a service that takes nothing but a live access token, when the one that is held has expired: get another
//! one, keep it, and revoke with it.

use futures_channel::oneshot;

use super::CredentialVault;
use super::error::VaultError;
use super::held::{Held, Mark, State, Withdrawal};
use super::refresh::{LONGEST_PAUSE, PERSISTENCE};
use super::settle::Outcome;
use crate::store::{RecordKey, TokenStore};
use crate::upstream::patience::Patience;
use crate::upstream::{Credential, Revocation, UpstreamAct, UpstreamReason};

impl<S: TokenStore + 'static> CredentialVault<S> {
    /// As [`renew`](Self::renew), whatever becomes of the caller: the service may rotate though nobody listens any more.
    pub(crate) async fn renew_and_tell(
        &self,
        key: RecordKey,
        held: Held,
        withdrawal: Withdrawal,
    ) -> Result<bool, VaultError> {
        let (done, wait) = oneshot::channel();
        let vault = self.clone();
        self.runtime.spawn(async move { drop(done.send(vault.renew(key, held, withdrawal).await)) });
        // If the runtime has dropped it, the next round goes on.
        wait.await.unwrap_or(Ok(false))
    }

    /// Refresh `held`, which is being revoked under `key`, and tell the service with the new tokens. They are kept first, so a
    /// failure leaves them for the next round. That the service was asked is noted before: should its answer be lost, what
    /// it has given may live on, and nobody takes the old tokens' death for a revocation.
    async fn renew(&self, key: RecordKey, mut held: Held, withdrawal: Withdrawal) -> Result<bool, VaultError> {
        let (asked_at, mark) = (self.now(), Mark(self.random()?));
        let withdrawal = Withdrawal { retry_at: asked_at.saturating_add(self.policy.claim), ..withdrawal };
        let asked = Withdrawal { answer_lost: true, ..withdrawal };
        held.state = State::Revoking(asked);
        if !self.replace_withdrawn(key, held.mark, Some(&held)).await? {
            return Ok(false);
        }
        let provider = self.provider(held.account.service());
        let (Credential::OAuth(tokens), Some(provider)) = (&held.credential, provider) else { return Ok(false) };
        let answer = provider.refresh(tokens).await;
        let (withdrawal, answer) = match Outcome::of(answer, tokens, held.obtained_at, asked_at) {
            Outcome::Refreshed(tokens, _) => {
                let withdrawal = Withdrawal { answer_lost: false, ..withdrawal };
                let (from, state) = (held.mark, State::Revoking(withdrawal));
                let next = Held { mark, obtained_at: asked_at, state, credential: Credential::OAuth(tokens), ..held };
                let key = self.keep_renewed(key, from, &next).await?;
                self.report(UpstreamAct::Refresh, None, &next);
                let answer = match self.tell(&next).await {
                    Ok(Revocation::NeedsRefresh) => Err(UpstreamReason::Uncertain),
                    answer => answer.map(|_| ()),
                };
                return self.conclude_withdrawal(key, next, withdrawal, answer).await;
            }
            Outcome::InvalidGrant if withdrawal.answer_lost => (withdrawal, Err(UpstreamReason::AnswerLost)),
            // Access and refresh token are dead, and no others were ever given for them.
            Outcome::InvalidGrant => (withdrawal, Ok(())),
            Outcome::Failed { reason: UpstreamReason::Uncertain, .. } => (asked, Err(UpstreamReason::Uncertain)),
            Outcome::Failed { reason, .. } => (withdrawal, Err(reason)),
        };
        self.conclude_withdrawal(key, held, withdrawal, answer).await
    }

    /// Keep `next` in the place of what it was made from, or in a record of its own if something else is there. Returns where.
    async fn keep_renewed(&self, key: RecordKey, from: Mark, next: &Held) -> Result<RecordKey, VaultError> {
        let mut patience = Patience::new(PERSISTENCE, LONGEST_PAUSE);
        loop {
            let kept = match self.replace_withdrawn(key, from, Some(next)).await {
                Ok(true) => Ok(key),
                Ok(false) => self.set_aside(next).await,
                Err(error) => Err(error),
            };
            match kept {
                Err(_) if patience.pause(&self.runtime).await => {}
                // What was noted stays, so the next round does not take it for done.
                kept => return kept,
            }
        }
    }
}
