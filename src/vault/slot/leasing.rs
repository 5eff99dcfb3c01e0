//! A lease: read, decide, and refresh or wait for a refresh if necessary.

use std::time::Duration;

use futures_channel::oneshot::Receiver;

use super::CredentialVault;
use super::entry::Entry;
use super::event::{Ask, Event};
use super::outcome::{Decision, Refusal, Verdict};
use super::state::{OperationId, SecretId};
use crate::grant::AccessClaims;
use crate::record::MAX_ATTEMPTS;
use crate::store::TokenStore;
use crate::time::Timestamp;
use crate::vault::patience::Patience;
use crate::vault::{Account, Lease, LeaseError, LeaseRequest, VaultError, VaultErrorKind};

/// The longest pause between two reads while another process refreshes.
const LONGEST_LOOK: Duration = Duration::from_millis(500);

impl<S: TokenStore + 'static> CredentialVault<S> {
    /// Leases the credential that the subject of `claims` has at a service, for one call.
    ///
    /// `claims` must come from a verified token. They alone decide whose credential is leased. The token itself is
    /// never sent to the service. After it has expired nothing is leased for it, and earlier leases end with it.
    ///
    /// While the token is good, a lease costs one read of the store and waits for nothing else: after about 80 % of the
    /// token's lifetime one caller refreshes it in the background. After the token has expired, all callers wait for
    /// the refresh.
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
        self.lease_or_report(claims, request, Some(refused.id)).await
    }

    async fn lease_or_report(
        &self,
        claims: &AccessClaims,
        request: &LeaseRequest,
        refused: Option<SecretId>,
    ) -> Result<Lease, LeaseError> {
        self.try_lease(claims, request, refused)
            .await
            .map_err(|error| error.linked(self.connect_link(request)))
            .inspect_err(|error| self.report_refusal(error.reason(), claims, &request.of(claims)))
    }

    async fn try_lease(
        &self,
        claims: &AccessClaims,
        request: &LeaseRequest,
        refused: Option<SecretId>,
    ) -> Result<Lease, LeaseError> {
        let account = request.of(claims);
        // Most leases claim nothing, so the first look has no operation.
        let look = Event::Lease(Ask {
            by: OperationId::NONE,
            session: claims.family(),
            client_id: claims.client_id().into(),
            scope: request.scope.clone(),
            broader: request.broader,
            refused,
            has_provider: self.provider(account.service()).is_some(),
        });
        let (mut patience, mut has_refreshed) = (Patience::new(self.policy.patience, LONGEST_LOOK), false);
        let mut entry = self.find(&account).await?;
        for _ in 0..MAX_ATTEMPTS {
            // Read in each round, because time passes while the store answers and others refresh.
            let now = self.now();
            if now >= claims.expires_at() {
                return Err(LeaseError::Expired);
            }
            let Decision { verdict, write, reports, .. } = self.decide(&entry.slot, &look);
            match verdict {
                Verdict::Serve { held, overdue } => {
                    self.report_all(&reports, &entry.account);
                    if write.is_some() {
                        // The token is good, so the lease does not wait for the refresh, nor fail with it.
                        drop(self.lease_in_background(entry, &look));
                    }
                    return Ok(Lease::of(&held, overdue, claims));
                }
                _ if write.is_some() && has_refreshed => {
                    return Err(LeaseError::Unavailable { retry_after: self.policy.first_pause });
                }
                _ if write.is_some() => {
                    let until = now.saturating_add(self.policy.claim);
                    let refresh = self.lease_in_background(entry, &look);
                    entry = match patience.wait(&self.runtime, refresh).await {
                        Some(Ok(refreshed)) => {
                            let (entry, is_ours) = refreshed?;
                            has_refreshed = is_ours;
                            entry
                        }
                        // The runtime dropped the task, or the task continues without this caller.
                        _ => return Err(LeaseError::Unavailable { retry_after: until.since(self.now()) }),
                    };
                }
                Verdict::Wait { until } => {
                    if !patience.pause(&self.runtime).await {
                        // The claim may hold beyond its own end, because of clock differences or an outage.
                        let retry_after = until.since(now).max(self.policy.first_pause);
                        return Err(LeaseError::Unavailable { retry_after });
                    }
                    entry = self.find(&account).await?;
                }
                Verdict::Refused(refusal) => {
                    self.report_all(&reports, &entry.account);
                    return Err(refusal.of(&account, now));
                }
                Verdict::Refresh | Verdict::Done | Verdict::Absent => break,
            }
        }
        Err(VaultError::new(VaultErrorKind::Contention).into())
    }

    /// Writes what `look` found necessary, and refreshes if that was a claim. Returns a receiver of the entry after it,
    /// and whether this call has refreshed.
    fn lease_in_background(&self, mut entry: Entry, look: &Event) -> Receiver<Result<(Entry, bool), VaultError>> {
        let (vault, mut event) = (self.clone(), look.clone());
        self.in_background(async move {
            if let Event::Lease(ask) = &mut event {
                ask.by = vault.operation()?;
            }
            let effect = vault.apply(&mut entry, &event).await?.effect;
            let has_refreshed = effect.is_some();
            vault.advance(&mut entry, effect).await?;
            Ok((entry, has_refreshed))
        })
    }
}

impl Refusal {
    fn of(self, account: &Account, now: Timestamp) -> LeaseError {
        let service = account.service.clone();
        match self {
            Self::NotFound => LeaseError::NotFound { service, connect: None },
            Self::Revoked => LeaseError::Revoked { service },
            Self::NeedsAuthorization => LeaseError::NeedsAuthorization { service, connect: None },
            Self::OtherSession => LeaseError::OtherSession,
            Self::OtherClient => LeaseError::OtherClient,
            Self::InsufficientScope => LeaseError::InsufficientScope { service, connect: None },
            Self::BroaderThanNeeded => LeaseError::BroaderThanNeeded,
            Self::Unavailable { until } => LeaseError::Unavailable { retry_after: until.since(now) },
            Self::NoProvider => VaultError::new(VaultErrorKind::NoProvider).about(&*service).into(),
        }
    }
}
