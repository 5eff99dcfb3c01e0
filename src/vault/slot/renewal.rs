//! A revocation at a service that accepts only a live access token, when the stored one has expired: refresh, store the
//! new tokens, and revoke with them.

use super::CredentialVault;
use super::error::VaultError;
use super::held::{Held, RevocationProgress, SecretVersion, State};
use super::refresh::PERSISTENCE;
use super::settle::{Failure, Outcome};
use crate::id::RecordKey;
use crate::store::TokenStore;
use crate::vault::{Credential, Revocation, UpstreamAct, UpstreamReason};

impl<S: TokenStore + 'static> CredentialVault<S> {
    /// Refreshes `held`, whose revocation is stored under `key`, and asks the service to revoke the new tokens.
    ///
    /// The new tokens are stored first, so that the next round can use them if this one fails. The record notes the
    /// refresh before it is sent. If the answer is lost, tokens that the vault does not know may be valid, so the vault
    /// does not report the revocation as complete when the old tokens become invalid.
    pub(crate) async fn renew(
        &self,
        key: RecordKey,
        mut held: Held,
        progress: RevocationProgress,
    ) -> Result<bool, VaultError> {
        let (asked_at, from, version) = (self.now(), held.version, SecretVersion(self.random()?));
        let outage = self.reach.last_outage();
        if let Some(claim) = progress.refresh.filter(|claim| claim.holds(&self.policy, outage, asked_at)) {
            // Two refreshes would spend one refresh token. The tokens of the other one are revoked when they arrive.
            let failure =
                Failure { reason: UpstreamReason::Refreshing, retry_after: Some(claim.until.since(asked_at)) };
            return self.conclude_revocation(key, held, progress, Err(failure)).await;
        }
        let answer_lost = progress.may_have_successors();
        let retry_at = asked_at.saturating_add(self.policy.claim);
        let asked = RevocationProgress { asked_at, retry_at, refresh: None, answer_lost: true, ..progress };
        held.state = State::Revoking(asked);
        let is_ours = |found, current: &RevocationProgress| found == from && current.attempts == asked.attempts;
        let noted = self.replace_revoking(key, from, is_ours, Some(&held)).await?;
        let Some(key) = noted.filter(|_| self.now() < retry_at) else { return Ok(false) };
        let provider = self.provider(held.account.service());
        let (Credential::OAuth(tokens), Some(provider)) = (&held.credential, provider) else { return Ok(false) };
        let answer = provider.refresh(tokens).await;
        let known = RevocationProgress { answer_lost, ..asked };
        let (progress, answer) = match Outcome::of(answer, tokens, held.obtained_at, asked_at) {
            Outcome::Refreshed(tokens, obtained_at, _) => {
                let asked_at = self.now();
                let retry_at = asked_at.saturating_add(self.policy.claim);
                let renewed = RevocationProgress { asked_at, retry_at, answer_lost: false, ..asked };
                let (state, credential) = (State::Revoking(renewed), Credential::OAuth(tokens));
                let next = Held { version, obtained_at, state, credential, ..held };
                return self.revoke_renewed(key, from, next, renewed).await;
            }
            Outcome::InvalidGrant if answer_lost => (known, Err(UpstreamReason::AnswerLost.into())),
            // Access and refresh token are invalid, and the service never issued others for them.
            Outcome::InvalidGrant => (known, Ok(())),
            Outcome::Failed(failure @ Failure { reason: UpstreamReason::Uncertain, .. }) => (asked, Err(failure)),
            Outcome::Failed(failure) => (known, Err(failure)),
        };
        self.conclude_revocation(key, held, progress, answer).await
    }

    /// Stores `next`, the result of refreshing the secret of the version `from`, and asks the service to revoke it.
    async fn revoke_renewed(
        &self,
        key: RecordKey,
        from: SecretVersion,
        next: Held,
        progress: RevocationProgress,
    ) -> Result<bool, VaultError> {
        // Stored even if another process has taken over the revocation.
        let kept = self.persist(PERSISTENCE, || self.keep_successor(key, from, &next)).await;
        self.report(UpstreamAct::Refresh, None, &next);
        let answer = match self.request_revocation(&next).await {
            Ok(Revocation::NeedsRefresh) => Err(UpstreamReason::Uncertain.into()),
            answer => answer.map(|_| ()),
        };
        match (kept, answer) {
            (Ok(key), answer) => self.conclude_revocation(key, next, progress, answer).await,
            // The record still notes the refresh, so the next round does not take invalid old tokens for a completed
            // revocation.
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
