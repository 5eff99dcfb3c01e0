//! A lease: read, decide, and refresh or wait for a refresh if necessary.

use std::time::Duration;

use super::CredentialVault;
use super::error::{VaultError, VaultErrorKind};
use super::held::{Held, State};
use super::lease::{Lease, LeaseRequest};
use super::lease_decision::{Act, Refusal, decide, decide_refused};
use super::lease_error::LeaseError;
use crate::grant::AccessClaims;
use crate::issuer::MAX_ATTEMPTS;
use crate::store::{Commit, TokenStore};
use crate::time::Timestamp;
use crate::vault::patience::Patience;
use crate::vault::{Account, UpstreamAct, UpstreamReason};

/// The longest pause between two reads while another process refreshes.
const LONGEST_LOOK: Duration = Duration::from_millis(500);

impl<S: TokenStore + 'static> CredentialVault<S> {
    /// Leases the credential that the subject of `claims` has at a service, for one call.
    ///
    /// `claims` must come from a verified token. They alone decide whose credential is leased. The token itself is
    /// never sent to the service. After it has expired nothing is leased for it, and earlier leases end with it.
    ///
    /// Up to about 80 % of a token's lifetime a lease costs one read of the store. After that one caller refreshes, and
    /// the others get the token that is still good. After the token has expired, all callers wait for the refresh.
    ///
    /// # Errors
    ///
    /// [`LeaseError`] says whether to send the user to the service or to retry later. The vault reports each refusal to
    /// the audit.
    pub async fn lease(&self, claims: &AccessClaims, request: &LeaseRequest) -> Result<Lease, LeaseError> {
        self.lease_or_report(claims, request, None).await
    }

    /// Leases another secret after the service has answered 401 to the secret of `refused`.
    ///
    /// If the vault still holds that secret, it refreshes once, however many callers report it. If another secret has
    /// replaced it, that one is leased. A secret that cannot be refreshed is not leased again: the user has to
    /// authorize again, or the application has to [`rotate`](Self::rotate) a static secret. Call this only for a 401: a
    /// 403 or a 5xx says nothing about the secret. If the service refuses the new secret too, give up.
    ///
    /// # Errors
    ///
    /// The errors of [`lease`](Self::lease). The call never leases the refused secret.
    pub async fn lease_after(
        &self,
        claims: &AccessClaims,
        request: &LeaseRequest,
        refused: Lease,
    ) -> Result<Lease, LeaseError> {
        self.lease_or_report(claims, request, Some(refused)).await
    }

    async fn lease_or_report(
        &self,
        claims: &AccessClaims,
        request: &LeaseRequest,
        refused: Option<Lease>,
    ) -> Result<Lease, LeaseError> {
        self.try_lease(claims, request, refused)
            .await
            .inspect_err(|error| self.report_refusal(error.reason(), claims, &request.of(claims)))
    }

    async fn try_lease(
        &self,
        claims: &AccessClaims,
        request: &LeaseRequest,
        refused: Option<Lease>,
    ) -> Result<Lease, LeaseError> {
        let account = request.of(claims);
        let mut patience = Patience::new(self.policy.patience, LONGEST_LOOK);
        // The failure of this call's refresh, after which it does not try again.
        let mut gave_up = None;
        for _ in 0..MAX_ATTEMPTS {
            let (place, held) = self.find(&account).await?;
            // Read in each round, because time passes while the store answers and others refresh.
            let now = self.now();
            if now >= claims.expires_at() {
                return Err(LeaseError::Expired);
            }
            let held = held.ok_or_else(|| LeaseError::NotFound { service: account.service.clone() })?;
            request.check_binding(&held, claims)?;
            let outage = self.reach.last_outage();
            let act = match &refused {
                Some(refused) if refused.is_of(&held) => decide_refused(&held, &self.policy, outage, now),
                _ => decide(&held, &self.policy, outage, now),
            };
            let act = act.map_err(|refusal| refusal.of(&account, now))?;
            request.check_scope(&held)?;
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
                    // Time has passed and others may have written, so the next round reads the store again.
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
                        // The claim may hold beyond its own end, because of clock differences or an outage.
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
