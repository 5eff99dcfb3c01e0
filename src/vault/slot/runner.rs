//! The runner: it decides an event on what it has read, writes, reports, and carries out what follows.
//!
//! It is the one compare-and-swap loop of the vault. After a conflict it reads and decides again. A write that the
//! store did not confirm is looked at, and decided again unless deciding twice would do harm. Each request to a
//! provider is sent under a claim in the record, before that claim ends or not at all, and is dropped at its end.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use super::CredentialVault;
use super::decision::decide;
use super::entry::Entry;
use super::event::{Answer, Context, Event, RevocationAnswer};
use super::outcome::{Decision, Effect, Verdict};
use super::state::{Claim, Failure, Held, OperationId, SecretId, Slot};
use crate::record::MAX_ATTEMPTS;
use crate::store::TokenStore;
use crate::time::Timestamp;
use crate::vault::patience::Patience;
use crate::vault::record::check_length;
use crate::vault::{
    Account, Credential, Revocation, UpstreamAct, UpstreamError, UpstreamReason, VaultError, VaultErrorKind,
};

/// For how long storing new tokens is retried. If they are lost, the user has to authorize again.
const PERSISTENCE: Duration = Duration::from_secs(5 * 60);
/// For how long storing another answer is retried. If it is lost, the claim ends by itself.
const BRIEFLY: Duration = Duration::from_secs(1);
/// The longest pause between two writes of new tokens. It is short, because after the claim has ended the next process
/// to refresh presents the spent refresh token.
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// The time after the end of a claim to read an answer that has arrived by then, while the process was suspended.
const GRACE: Duration = Duration::from_secs(1);

/// What an event has led to.
pub(crate) struct Applied {
    pub(crate) verdict: Verdict,
    pub(crate) effect: Option<Effect>,
    /// How many revocations have come to their end.
    pub(crate) ended: usize,
}

impl<S: TokenStore> CredentialVault<S> {
    /// Decides `event` now.
    pub(crate) fn decide(&self, slot: &Slot, event: &Event) -> Decision {
        decide(slot, event, &Context { policy: &self.policy, outages: self.watch.outages(), now: self.now() })
    }

    /// Decides `event` on `entry` and writes, until no other process comes between; then reports.
    pub(crate) async fn apply(&self, entry: &mut Entry, event: &Event) -> Result<Applied, VaultError> {
        let is_new = matches!(event, Event::Put { .. });
        let mut has_second_try = !matches!(event, Event::Put { .. } | Event::Rotate { .. } | Event::Revoke { .. });
        for _ in 0..MAX_ATTEMPTS {
            let Decision { write, verdict, effect, reports } = self.decide(&entry.slot, event);
            if let Some(next) = write {
                match self.swap(entry, next, is_new).await {
                    Ok(true) => {}
                    Ok(false) => continue,
                    Err(error) if error.kind() == VaultErrorKind::StoreUncertain && has_second_try => {
                        has_second_try = false;
                        continue;
                    }
                    Err(error) => return Err(error),
                }
            }
            let is_end = |act| matches!(act, UpstreamAct::Revoked | UpstreamAct::Forgotten | UpstreamAct::Abandoned);
            let ended = reports.iter().filter(|report| is_end(report.act)).count();
            self.report_all(&reports, &entry.account);
            return Ok(Applied { verdict, effect, ended });
        }
        Err(VaultError::new(VaultErrorKind::Contention))
    }

    /// Carries out `effect`, and what follows from it. Returns how many revocations have come to their end.
    pub(crate) async fn advance(&self, entry: &mut Entry, mut effect: Option<Effect>) -> Result<usize, VaultError> {
        let mut ended = 0;
        while let Some(next) = effect {
            let event = self.carry_out(&entry.account, next).await;
            let applied = self.settle(entry, &event).await?;
            ended += applied.ended;
            effect = applied.effect;
        }
        Ok(ended)
    }

    /// Carries out what a revocation has begun with, and tells the service of all else in the slot that is due.
    pub(crate) async fn finish(&self, entry: &mut Entry, begun: Applied, by: OperationId) -> Result<usize, VaultError> {
        let Applied { mut effect, mut ended, .. } = begun;
        loop {
            ended += self.advance(entry, effect).await?;
            let applied = self.apply(entry, &Event::Tick { by }).await?;
            ended += applied.ended;
            effect = applied.effect;
            if effect.is_none() {
                return Ok(ended);
            }
        }
    }

    /// Applies the answer of a service, and retries while the store fails.
    async fn settle(&self, entry: &mut Entry, event: &Event) -> Result<Applied, VaultError> {
        let new = match event {
            Event::Answered { answer: Answer::Fresh { held, .. }, .. } => Some(held),
            _ => None,
        };
        let limit = if new.is_some() { PERSISTENCE } else { BRIEFLY };
        let (mut patience, mut until) = (Patience::new(limit, LONGEST_PAUSE), None);
        loop {
            let error = match self.apply(entry, event).await {
                Err(error) => error,
                applied => return applied,
            };
            // The store may take long to fail, which `patience` does not count.
            let until = *until.get_or_insert_with(|| self.now().saturating_add(limit));
            if self.now() >= until || !patience.pause(&self.runtime).await {
                if let Some(new) = new {
                    self.report(UpstreamAct::Lost, Some(UpstreamReason::Fault), &entry.account, new);
                }
                return Err(error);
            }
        }
    }

    /// Sends a request to the service, and returns its answer as an event.
    async fn carry_out(&self, account: &Account, effect: Effect) -> Event {
        match effect {
            Effect::Refresh { held, claim } => {
                let answer = self.request_tokens(account, &held, claim).await;
                Event::Answered { from: held, claim, answer }
            }
            Effect::Tell { held, claim } => {
                let answer = self.request_revocation(account, &held, claim).await;
                Event::RevocationAnswer { id: held.id, claim, answer }
            }
        }
    }

    async fn request_tokens(&self, account: &Account, held: &Held, claim: Claim) -> Answer {
        let (Some(provider), Some(tokens)) = (self.provider(account.service()), held.tokens()) else {
            return Answer::Failed(UpstreamReason::NoProvider.into());
        };
        let Ok(id) = self.random() else { return Answer::Failed(UpstreamReason::Fault.into()) };
        // Read before the request: the lifetimes in the answer have begun at the latest after that.
        let asked_at = self.now();
        let Some(answer) = self.within(claim, account, held, provider.refresh(tokens)).await else {
            return Answer::NotSent;
        };
        let new = match answer {
            Ok(new) => new,
            Err(UpstreamError::InvalidGrant) => return Answer::Dead,
            Err(error) => return Answer::Failed(Failure::of(&error)),
        };
        let is_usable = new.access_token.is_some();
        let obtained_at = if is_usable { asked_at } else { held.obtained_at };
        let credential = Arc::new(Credential::OAuth(tokens.successor(new, held.obtained_at, asked_at)));
        let held = Held { id: SecretId(id), obtained_at, credential, ..held.clone() };
        if check_length(account, &held).is_err() {
            self.report(UpstreamAct::Lost, Some(UpstreamReason::UnusableToken), account, &held);
            return Answer::Failed(UpstreamReason::Uncertain.into());
        }
        Answer::Fresh { held, is_usable }
    }

    async fn request_revocation(&self, account: &Account, held: &Held, claim: Claim) -> RevocationAnswer {
        let Some(provider) = self.provider(account.service()) else {
            return match *held.credential {
                Credential::Static(_) => RevocationAnswer::Unsupported,
                // Another process may have a provider for it.
                Credential::OAuth(_) => RevocationAnswer::Failed(UpstreamReason::NoProvider.into()),
            };
        };
        match self.within(claim, account, held, provider.revoke(&held.credential)).await {
            None => RevocationAnswer::NotSent,
            // A service that no longer accepts it has nothing left to revoke.
            Some(Ok(Revocation::Done) | Err(UpstreamError::InvalidGrant)) => RevocationAnswer::Done,
            Some(Ok(Revocation::Unsupported)) => RevocationAnswer::Unsupported,
            Some(Ok(Revocation::NeedsRefresh)) => RevocationAnswer::NeedsRefresh,
            Some(Err(error)) => RevocationAnswer::Failed(Failure::of(&error)),
        }
    }

    /// Sends `request` under `claim` and waits for the answer until the claim ends. Returns `None` without sending it
    /// if the claim has ended, as when the write of the claim took too long: two requests would spend one refresh
    /// token.
    async fn within<T>(
        &self,
        claim: Claim,
        account: &Account,
        held: &Held,
        request: impl Future<Output = Result<T, UpstreamError>>,
    ) -> Option<Result<T, UpstreamError>> {
        let asked_at = self.now();
        let left = claim.until.since(asked_at);
        if left.is_zero() || !self.policy.has_begun(claim.since, asked_at) {
            return None;
        }
        let mut request = pin!(request);
        let mut answer = self.runtime.within(left, request.as_mut()).await;
        if answer.is_none() {
            answer = self.runtime.within(GRACE, request).await;
        }
        if self.is_stepped(asked_at, claim.until) {
            self.report(UpstreamAct::ClockStepped, None, account, held);
        }
        Some(answer.unwrap_or_else(|| Err(UpstreamError::uncertain("there was no answer before the claim ended"))))
    }

    /// Whether the time now contradicts a wait that began at `from` and was to end at `until` at the latest.
    fn is_stepped(&self, from: Timestamp, until: Timestamp) -> bool {
        let (now, skew) = (self.now(), self.policy.clock_skew);
        from.since(now) > skew || now.since(until) > skew + GRACE
    }
}

impl Failure {
    fn of(error: &UpstreamError) -> Self {
        Self { reason: error.reason(), retry_after: error.asked_pause() }
    }
}
