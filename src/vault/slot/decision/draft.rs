//! A decision in the making.

use crate::audit::{UpstreamAct, UpstreamReason};
use crate::vault::policy::Age;
use crate::vault::slot::event::Context;
use crate::vault::slot::outcome::{Effect, Report};
use crate::vault::slot::state::{BackOff, Claim, Failure, Held, Live, OperationId, Phase, Slot};

/// A decision in the making.
pub(super) struct Draft<'a> {
    pub(super) slot: Slot,
    pub(super) effect: Option<Effect>,
    pub(super) reports: Vec<Report>,
    pub(super) context: &'a Context<'a>,
}

/// What a claim means to an operation.
pub(super) enum Holding {
    Ours,
    Held,
    /// With new dates.
    Ahead(Claim),
    Over,
}

impl<'a> Draft<'a> {
    pub(super) fn of(slot: &Slot, context: &'a Context<'a>) -> Self {
        Self { slot: slot.clone(), effect: None, reports: Vec::new(), context }
    }

    /// Gives the next number of the account to `held`.
    pub(super) fn numbered(&mut self, held: &Held) -> Held {
        self.slot.generation = self.slot.generation.saturating_add(1);
        Held { generation: self.slot.generation, ..held.clone() }
    }

    pub(super) fn age(&self, held: &Held) -> Age {
        let ([jitter, ..], policy, now) = (held.id.0, self.context.policy, self.context.now);
        held.tokens().map_or(Age::Fresh, |tokens| policy.age(tokens, held.obtained_at, jitter, now))
    }

    pub(super) fn report(&mut self, act: UpstreamAct, reason: Option<UpstreamReason>, held: &Held) {
        self.reports.push(Report { act, reason, held: held.clone() });
    }

    pub(super) fn new_claim(&self, by: OperationId) -> Claim {
        Claim::begin(by, self.context.policy, self.context.now)
    }

    pub(super) fn holding(&self, claim: Claim, by: OperationId) -> Holding {
        let Context { policy, outages, now, .. } = self.context;
        if claim.by == by {
            Holding::Ours
        } else if !policy.has_begun(claim.since, *now) {
            Holding::Ahead(self.new_claim(claim.by))
        } else if policy.is_claimed(claim.since, claim.until, outages.within(claim.since, *now), *now) {
            Holding::Held
        } else {
            Holding::Over
        }
    }

    /// The pause after one more failure. The id of the operation, which is random, spreads the retries.
    pub(super) fn failed(&self, back_off: BackOff, failure: Failure, by: OperationId) -> BackOff {
        let [random, ..] = by.0;
        back_off.failed(failure, self.context.policy, random, self.context.now)
    }
}

impl Live {
    /// A secret of which nothing is known yet.
    pub(super) fn ready(held: Held) -> Self {
        Self { held, in_doubt: false, back_off: BackOff::default(), phase: Phase::Ready }
    }

    /// Whether the service may have issued tokens for it that the vault does not know: also while a refresh runs.
    pub(super) fn may_have_successors(&self) -> bool {
        self.in_doubt || matches!(self.phase, Phase::Refreshing(_))
    }

    /// Whether the operation of `claim` refreshes. The claim may have new dates.
    pub(super) fn is_refreshing(&self, claim: Claim) -> bool {
        matches!(self.phase, Phase::Refreshing(held) if held.by == claim.by)
    }
}

/// The reason to report if tokens that the vault never received may be alive.
pub(super) fn lost(in_doubt: bool) -> Option<UpstreamReason> {
    in_doubt.then_some(UpstreamReason::AnswerLost)
}
