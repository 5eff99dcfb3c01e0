//! A lease: serve, refresh, wait or refuse.

use super::draft::{Draft, Holding};
use crate::audit::{UpstreamAct, UpstreamReason};
use crate::grant::Scope;
use crate::vault::Credential;
use crate::vault::bound_to::BoundTo;
use crate::vault::policy::Age;
use crate::vault::slot::event::Ask;
use crate::vault::slot::outcome::{Effect, Refusal, Verdict};
use crate::vault::slot::state::{Live, Phase};

impl Draft<'_> {
    pub(super) fn lease(&mut self, ask: &Ask) -> Verdict {
        let Some(live) = self.slot.current.clone() else {
            let is_ending = !self.slot.ending.is_empty();
            return Verdict::Refused(if is_ending { Refusal::Revoked } else { Refusal::NotFound });
        };
        if let Some(refusal) = ask.refused_by(&live.held.bound_to) {
            return Verdict::Refused(refusal);
        }
        if live.phase == Phase::Dead {
            return Verdict::Refused(Refusal::NeedsAuthorization);
        }
        if let Some(refusal) = ask.refused_for(live.held.credential.scope()) {
            return Verdict::Refused(refusal);
        }
        let now = self.context.now;
        let is_refused = ask.refused == Some(live.held.id);
        match &*live.held.credential {
            Credential::OAuth(tokens) if tokens.can_refresh(now) => self.lease_refreshable(ask, live, is_refused),
            _ if is_refused => {
                self.report(UpstreamAct::NeedsAuthorization, Some(UpstreamReason::SecretRefused), &live.held);
                self.slot.current = Some(Live { phase: Phase::Dead, ..live });
                Verdict::Refused(Refusal::NeedsAuthorization)
            }
            Credential::Static(secret) => {
                let overdue = secret.rotate_by.is_some_and(|by| by <= now);
                if overdue {
                    self.report(UpstreamAct::Overdue, None, &live.held);
                }
                Verdict::Serve { held: live.held, overdue }
            }
            Credential::OAuth(_) if self.age(&live.held) == Age::Over => Verdict::Refused(Refusal::NeedsAuthorization),
            Credential::OAuth(_) => Verdict::Serve { held: live.held, overdue: false },
        }
    }

    fn lease_refreshable(&mut self, ask: &Ask, live: Live, is_refused: bool) -> Verdict {
        let age = if is_refused { Age::Over } else { self.age(&live.held) };
        let (is_good, held) = (age != Age::Over, live.held.clone());
        let serve = Verdict::Serve { held: held.clone(), overdue: false };
        if age == Age::Fresh {
            return serve;
        }
        if !ask.has_provider {
            self.report(UpstreamAct::RefreshFailed, Some(UpstreamReason::NoProvider), &held);
            return if is_good { serve } else { Verdict::Refused(Refusal::NoProvider) };
        }
        let (claim, in_doubt) = match live.phase {
            Phase::Refreshing(claim) => match self.holding(claim, ask.by) {
                Holding::Ours => (claim, live.in_doubt),
                Holding::Over => (self.new_claim(ask.by), true),
                _ if is_good => return serve,
                Holding::Held => return self.or_given_up(&live, Verdict::Wait { until: claim.until }),
                Holding::Ahead(claim) => {
                    self.report(UpstreamAct::ClockStepped, None, &held);
                    let verdict = self.or_given_up(&live, Verdict::Wait { until: claim.until });
                    self.slot.current = Some(Live { phase: Phase::Refreshing(claim), ..live });
                    return verdict;
                }
            },
            _ if live.back_off.holds_off(self.context.policy, self.context.now) => {
                let refusal = Refusal::Unavailable { until: live.back_off.retry_at };
                return if is_good { serve } else { self.or_given_up(&live, Verdict::Refused(refusal)) };
            }
            _ => (self.new_claim(ask.by), live.in_doubt),
        };
        self.slot.current = Some(Live { in_doubt, phase: Phase::Refreshing(claim), ..live });
        self.effect = Some(Effect::Refresh { held, claim });
        if is_good { serve } else { Verdict::Refresh }
    }

    /// `verdict`, or "needs authorization" if the service has refused for too long.
    fn or_given_up(&self, live: &Live, verdict: Verdict) -> Verdict {
        let is_given_up = self.context.policy.gives_up(live.back_off.refused_since, self.context.now);
        if is_given_up { Verdict::Refused(Refusal::NeedsAuthorization) } else { verdict }
    }
}

impl Ask {
    /// Why a secret that is bound to `bound_to` is not leased to the caller.
    fn refused_by(&self, bound_to: &BoundTo) -> Option<Refusal> {
        let is_other_client = bound_to.client_id.as_ref().is_some_and(|client_id| *client_id != self.client_id);
        match bound_to.session {
            Some(session) if session != self.session => Some(Refusal::OtherSession),
            _ => is_other_client.then_some(Refusal::OtherClient),
        }
    }

    /// Why a secret for `scope` is not leased.
    fn refused_for(&self, scope: &Scope) -> Option<Refusal> {
        if !scope.includes(&self.scope) {
            Some(Refusal::InsufficientScope)
        } else if !self.broader && !self.scope.includes(scope) {
            Some(Refusal::BroaderThanNeeded)
        } else {
            None
        }
    }
}
