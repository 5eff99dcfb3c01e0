//! A revocation: in the vault at once, then at the service.

use super::draft::{Draft, Holding, lost};
use crate::audit::{UpstreamAct, UpstreamReason};
use crate::time::Timestamp;
use crate::vault::slot::event::{RevocationAnswer, Whom};
use crate::vault::slot::outcome::{Effect, Verdict};
use crate::vault::slot::state::{
    BackOff, Claim, Ending, Failure, Held, Live, MAX_ENDING, OperationId, Phase, SecretId, Step,
};

impl Draft<'_> {
    pub(super) fn revoke(&mut self, by: OperationId, whom: &Whom) -> Verdict {
        let Some(Live { held, in_doubt, phase, .. }) =
            self.slot.current.take_if(|live| whom.means(&live.held.bound_to))
        else {
            self.tick(by);
            return Verdict::Absent;
        };
        self.report(UpstreamAct::Revoke, None, &held);
        let step = if let Phase::Refreshing(claim) = phase { Step::Refreshing(claim) } else { Step::Due };
        self.push(Ending { in_doubt, step, ..Ending::due(held, self.context.now) });
        self.tick(by);
        Verdict::Done
    }

    /// Begins to tell the service of the first secret that is due.
    pub(super) fn tick(&mut self, by: OperationId) -> Verdict {
        let mut at = 0;
        while at < self.slot.ending.len() && self.effect.is_none() {
            let ending = self.slot.ending[at].clone();
            match ending.step.claim().map(|claim| (claim, self.holding(claim, by))) {
                Some((_, Holding::Held)) => {}
                Some((_, Holding::Ours)) => self.effect = ending.effect(),
                Some((_, Holding::Ahead(claim))) => {
                    self.report(UpstreamAct::ClockStepped, None, &ending.held);
                    self.slot.ending[at].step = ending.step.under(claim);
                }
                Some((_, Holding::Over)) | None if self.has_ended(&ending) => {
                    self.slot.ending[at].in_doubt = ending.may_have_successors();
                    self.end(at, UpstreamAct::Abandoned);
                    continue;
                }
                None if ending.back_off.holds_off(self.context.policy, self.context.now) => {}
                Some((_, Holding::Over)) | None => {
                    self.slot.ending[at].in_doubt = ending.may_have_successors();
                    self.tell(at, by);
                }
            }
            at += 1;
        }
        Verdict::Done
    }

    /// Whether nothing is left to revoke, or the time for retries is over.
    fn has_ended(&self, ending: &Ending) -> bool {
        let retention = || ending.since.saturating_add(self.context.policy.retention);
        ending.held.expires_at().unwrap_or_else(retention) <= self.context.now
    }

    /// Claims the request to revoke the secret at `at`.
    pub(super) fn tell(&mut self, at: usize, by: OperationId) {
        self.slot.ending[at].step = Step::Telling(self.new_claim(by));
        self.effect = self.slot.ending[at].effect();
    }

    /// Adds `ending`, and abandons the oldest if there are too many. Returns its place.
    pub(super) fn push(&mut self, ending: Ending) -> usize {
        if self.slot.ending.len() >= MAX_ENDING {
            let oldest = self.slot.ending.remove(0);
            self.report(UpstreamAct::Abandoned, Some(UpstreamReason::TooMany), &oldest.held);
        }
        self.slot.ending.push(ending);
        self.slot.ending.len() - 1
    }

    pub(super) fn revocation_answered(&mut self, id: SecretId, claim: Claim, answer: RevocationAnswer) -> Verdict {
        let Some(at) = self.slot.ending.iter().position(|ending| ending.held.id == id) else { return Verdict::Done };
        let ending = self.slot.ending[at].clone();
        let is_telling = ending.is_telling(claim);
        match answer {
            // It is revoked, also if another operation asks by now.
            RevocationAnswer::Done if !matches!(ending.step, Step::Refreshing(_)) => self.end(at, UpstreamAct::Revoked),
            RevocationAnswer::Unsupported if !matches!(ending.step, Step::Refreshing(_)) => {
                self.end(at, UpstreamAct::Forgotten)
            }
            RevocationAnswer::NeedsRefresh if ending.is_refreshing(claim) => self.effect = ending.effect(),
            RevocationAnswer::NeedsRefresh if is_telling && ending.is_renewed => {
                self.slot.ending[at].is_renewed = false;
                self.postpone(at, UpstreamReason::Uncertain.into(), claim.by);
            }
            RevocationAnswer::NeedsRefresh if is_telling && ending.held.can_refresh(self.context.now) => {
                self.slot.ending[at].step = Step::Refreshing(self.new_claim(claim.by));
                self.effect = self.slot.ending[at].effect();
            }
            RevocationAnswer::NeedsRefresh if is_telling => self.end(at, UpstreamAct::Revoked),
            RevocationAnswer::Failed(failure) if is_telling => self.postpone(at, failure, claim.by),
            RevocationAnswer::NotSent if is_telling => self.slot.ending[at].step = Step::Due,
            _ => {}
        }
        Verdict::Done
    }

    /// The secret at `at` needs no more.
    pub(super) fn end(&mut self, at: usize, act: UpstreamAct) {
        let Ending { held, in_doubt, .. } = self.slot.ending.remove(at);
        self.report(act, lost(in_doubt), &held);
    }

    /// Tells the service of the secret at `at` later.
    pub(super) fn postpone(&mut self, at: usize, failure: Failure, by: OperationId) {
        let held = self.slot.ending[at].held.clone();
        self.report(UpstreamAct::RevokeFailed, Some(failure.reason), &held);
        self.slot.ending[at].back_off = self.failed(self.slot.ending[at].back_off, failure, by);
        self.slot.ending[at].step = Step::Due;
    }
}

impl Ending {
    /// The revocation of `held`, which begins at `since`.
    pub(super) fn due(held: Held, since: Timestamp) -> Self {
        let back_off = BackOff::default();
        Self { held, since, in_doubt: false, is_renewed: false, back_off, step: Step::Due }
    }

    /// Whether the operation of `claim` refreshes.
    pub(super) fn is_refreshing(&self, claim: Claim) -> bool {
        matches!(self.step, Step::Refreshing(held) if held.by == claim.by)
    }

    /// Whether the operation of `claim` tells the service.
    pub(super) fn is_telling(&self, claim: Claim) -> bool {
        matches!(self.step, Step::Telling(held) if held.by == claim.by)
    }

    /// The request of its step.
    pub(super) fn effect(&self) -> Option<Effect> {
        let held = self.held.clone();
        match self.step {
            Step::Due => None,
            Step::Refreshing(claim) => Some(Effect::Refresh { held, claim }),
            Step::Telling(claim) => Some(Effect::Tell { held, claim }),
        }
    }

    /// Whether the service may have issued tokens for it that the vault does not know: also while a refresh runs.
    fn may_have_successors(&self) -> bool {
        self.in_doubt || matches!(self.step, Step::Refreshing(_))
    }
}

impl Step {
    fn claim(self) -> Option<Claim> {
        match self {
            Self::Due => None,
            Self::Refreshing(claim) | Self::Telling(claim) => Some(claim),
        }
    }

    /// The same step under another claim.
    fn under(self, claim: Claim) -> Self {
        match self {
            Self::Due => Self::Due,
            Self::Refreshing(_) => Self::Refreshing(claim),
            Self::Telling(_) => Self::Telling(claim),
        }
    }
}
