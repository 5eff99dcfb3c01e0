//! A lease: read, decide, and if need be refresh or wait for whoever does.

use std::time::Duration;

use super::CredentialVault;
use super::decision::{Act, Refusal, decide, decide_refused};
use super::error::{VaultError, VaultErrorKind};
use super::held::{Held, State};
use super::lease::{Lease, LeaseRequest};
use super::lease_error::LeaseError;
use crate::grant::AccessClaims;
use crate::issuer::MAX_ATTEMPTS;
use crate::store::{Commit, TokenStore};
use crate::time::Timestamp;
use crate::vault::patience::Patience;
use crate::vault::{Account, UpstreamAct, UpstreamReason};

/// The longest pause between two looks at what somebody else refreshes.
const LONGEST_LOOK: Duration = Duration::from_millis(500);

impl<S: TokenStore + 'static> CredentialVault<S> {
    /// What the subject of `claims` has at a service, for one call.
    ///
    /// `claims` come from a token that was verified; they alone say whose credential it is. The token itself never goes upstream. Once
    /// it has expired nothing is leased for it, and a lease that was given before ends with it.
    /// Up to 80 % of a token's lifetime this is one read of the store. From then on one caller refreshes and all others get the
    /// token that is still good; once it has expired they wait for the one.
    ///
    /// # Errors
    ///
    /// [`LeaseError`] says whether the user is to be sent to the service, or the client is to come back later. Every refusal is
    /// reported to the audit.
    pub async fn lease(&self, claims: &AccessClaims, need: &LeaseRequest) -> Result<Lease, LeaseError> {
        self.lease_or_report(claims, need, None).await
    }

    /// The same, after the service has answered 401 to the secret of `refused`, before its time.
    ///
    /// If that is still the secret that is held, it is refreshed now, once, whoever comes with it; if another has taken its place
    /// meanwhile, that is leased. A secret that cannot be refreshed is leased to nobody any more: the user has to authorize
    /// anew, or somebody has to [`rotate`](Self::rotate) a static one. So call it for a 401 and for nothing else: a 403
    /// or a 5xx says nothing about the secret. Should the new one be refused too, give up.
    ///
    /// # Errors
    ///
    /// As [`lease`](Self::lease). The refused secret is not among what it leases.
    pub async fn lease_after(
        &self,
        claims: &AccessClaims,
        need: &LeaseRequest,
        refused: Lease,
    ) -> Result<Lease, LeaseError> {
        self.lease_or_report(claims, need, Some(refused)).await
    }

    async fn lease_or_report(
        &self,
        claims: &AccessClaims,
        need: &LeaseRequest,
        refused: Option<Lease>,
    ) -> Result<Lease, LeaseError> {
        self.try_lease(claims, need, refused)
            .await
            .inspect_err(|error| self.report_refusal(error.reason(), claims, &need.of(claims)))
    }

    async fn try_lease(
        &self,
        claims: &AccessClaims,
        need: &LeaseRequest,
        refused: Option<Lease>,
    ) -> Result<Lease, LeaseError> {
        let account = need.of(claims);
        let mut patience = Patience::new(self.policy.patience, LONGEST_LOOK);
        // Why this one does not try to refresh again.
        let mut gave_up = None;
        for _ in 0..MAX_ATTEMPTS {
            let (place, held) = self.find(&account).await?;
            // Looked at in each round: time passes while the store answers and others refresh.
            let now = self.now();
            if now >= claims.expires_at() {
                return Err(LeaseError::Expired);
            }
            let held = held.ok_or_else(|| LeaseError::NotFound { service: account.service.clone() })?;
            need.check_owner(&held, claims)?;
            let outage = self.reach.last_outage();
            let act = match &refused {
                Some(refused) if refused.is_of(&held) => decide_refused(&held, &self.policy, outage, now),
                _ => decide(&held, &self.policy, outage, now),
            };
            let act = act.map_err(|refusal| refusal.of(&account, now))?;
            need.check_scope(&held)?;
            match act {
                Act::Serve { overdue } => {
                    if overdue {
                        self.report(UpstreamAct::Overdue, None, &held);
                    }
                    return Ok(Lease::of(held, overdue, claims));
                }
                Act::Refresh { is_good: true } if gave_up.is_some() => return Ok(Lease::of(held, false, claims)),
                Act::Refresh { .. } => {
                    if let Some(error) = gave_up {
                        return Err(error);
                    }
                    // Time has passed and others have written meanwhile: whatever comes of it, the store is asked again.
                    gave_up = match self.refresh(place, held, &mut patience).await {
                        Ok(true) => None,
                        Ok(false) => Some(LeaseError::Unavailable { retry_after: self.policy.claim }),
                        Err(error) => Some(error.into()),
                    };
                }
                Act::Discard => {
                    let answer_lost = held.state.may_have_successors();
                    let held = Held { state: State::NeedsAuthorization { since: now, answer_lost }, ..held };
                    if self.write(&place, Some(&held)).await? == Commit::Applied {
                        self.report(UpstreamAct::NeedsAuthorization, Some(UpstreamReason::SecretRefused), &held);
                    }
                }
                Act::Wait { until } => {
                    if !patience.pause(&self.runtime).await {
                        // The claim may hold beyond its own end: for the clocks, or for an outage.
                        let retry_after = until.since(now).max(self.policy.first_pause);
                        return Err(LeaseError::Unavailable { retry_after });
                    }
                }
            }
        }
        Err(VaultError::new(VaultErrorKind::Contention).into())
    }
}

impl Refusal {
    fn of(self, account: &Account, now: Timestamp) -> LeaseError {
        let service = account.service.clone();
        match self {
            Self::NeedsAuthorization => LeaseError::NeedsAuthorization { service },
            Self::Revoked => LeaseError::Revoked { service },
            Self::Unavailable { until } => LeaseError::Unavailable { retry_after: until.since(now) },
        }
    }
}
