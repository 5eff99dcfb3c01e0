//! A revocation at a service that takes nothing but a live access token, when the one that is held has expired: get another
//! one, keep it, and revoke with it.

use super::CredentialVault;
use super::error::VaultError;
use super::held::{Held, RevocationProgress, SecretVersion, State};
use super::refresh::PERSISTENCE;
use super::settle::{Failure, Outcome};
use crate::id::RecordKey;
use crate::store::TokenStore;
use crate::vault::{Credential, Revocation, UpstreamAct, UpstreamReason};

impl<S: TokenStore + 'static> CredentialVault<S> {
    /// Refresh `held`, which is being revoked under `key`, and tell the service with the new tokens. They are kept first, so a
    /// failure leaves them for the next round. That the service was asked is noted before: should its answer be lost, what
    /// it has given may live on, and nobody takes the old tokens' death for a revocation.
    pub(crate) async fn renew(
        &self,
        key: RecordKey,
        mut held: Held,
        withdrawal: RevocationProgress,
    ) -> Result<bool, VaultError> {
        let (asked_at, from, mark) = (self.now(), held.mark, SecretVersion(self.random()?));
        let outage = self.reach.last_outage();
        if let Some(claim) = withdrawal.refresh.filter(|claim| claim.holds(&self.policy, outage, asked_at)) {
            // Two would spend one refresh token. What the other one gets is revoked when it comes.
            let failure =
                Failure { reason: UpstreamReason::Refreshing, retry_after: Some(claim.until.since(asked_at)) };
            return self.conclude_withdrawal(key, held, withdrawal, Err(failure)).await;
        }
        let answer_lost = withdrawal.may_have_successors();
        let retry_at = asked_at.saturating_add(self.policy.claim);
        let asked = RevocationProgress { asked_at, retry_at, refresh: None, answer_lost: true, ..withdrawal };
        held.state = State::Revoking(asked);
        let is_ours = |found, current: &RevocationProgress| found == from && current.attempts == asked.attempts;
        let noted = self.replace_withdrawn(key, from, is_ours, Some(&held)).await?;
        let Some(key) = noted.filter(|_| self.now() < retry_at) else { return Ok(false) };
        let provider = self.provider(held.account.service());
        let (Credential::OAuth(tokens), Some(provider)) = (&held.credential, provider) else { return Ok(false) };
        let answer = provider.refresh(tokens).await;
        let known = RevocationProgress { answer_lost, ..asked };
        let (withdrawal, answer) = match Outcome::of(answer, tokens, held.obtained_at, asked_at) {
            Outcome::Refreshed(tokens, obtained_at, _) => {
                let asked_at = self.now();
                let retry_at = asked_at.saturating_add(self.policy.claim);
                let renewed = RevocationProgress { asked_at, retry_at, answer_lost: false, ..asked };
                let (state, credential) = (State::Revoking(renewed), Credential::OAuth(tokens));
                let next = Held { mark, obtained_at, state, credential, ..held };
                return self.revoke_renewed(key, from, next, renewed).await;
            }
            Outcome::InvalidGrant if answer_lost => (known, Err(UpstreamReason::AnswerLost.into())),
            // Access and refresh token are dead, and no others were ever given for them.
            Outcome::InvalidGrant => (known, Ok(())),
            Outcome::Failed(failure @ Failure { reason: UpstreamReason::Uncertain, .. }) => (asked, Err(failure)),
            Outcome::Failed(failure) => (known, Err(failure)),
        };
        self.conclude_withdrawal(key, held, withdrawal, answer).await
    }

    /// Keep `next`, which came of the secret of this mark, and tell the service of it.
    async fn revoke_renewed(
        &self,
        key: RecordKey,
        from: SecretVersion,
        next: Held,
        withdrawal: RevocationProgress,
    ) -> Result<bool, VaultError> {
        // Whoever's turn it is by now.
        let kept = self.persist(PERSISTENCE, || self.keep_successor(key, from, &next)).await;
        self.report(UpstreamAct::Refresh, None, &next);
        let answer = match self.tell(&next).await {
            Ok(Revocation::NeedsRefresh) => Err(UpstreamReason::Uncertain.into()),
            answer => answer.map(|_| ()),
        };
        match (kept, answer) {
            (Ok(key), answer) => self.conclude_withdrawal(key, next, withdrawal, answer).await,
            // What was noted stays, so the next round does not take the old tokens' death for the end.
            (Err(fault), Ok(())) => {
                self.report(UpstreamAct::Revoked, None, &next);
                Err(fault)
            }
            (Err(fault), Err(_)) => {
                self.report(UpstreamAct::Lost, Some(UpstreamReason::Fault), &next);
                Err(fault)
            }
        }
    }
}
