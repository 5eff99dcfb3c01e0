//! The answer to a refresh, of a lease or of a revocation.

use super::draft::{Draft, lost};
use crate::audit::{UpstreamAct, UpstreamReason};
use crate::vault::policy::Age;
use crate::vault::slot::event::Answer;
use crate::vault::slot::outcome::Verdict;
use crate::vault::slot::state::{Claim, Ending, Failure, Held, Live, Phase, Step};

impl Draft<'_> {
    pub(super) fn answered(&mut self, from: &Held, claim: Claim, answer: &Answer) -> Verdict {
        let current = self.slot.current.clone().filter(|live| live.held.id == from.id);
        let ending = self.slot.ending.iter().position(|ending| ending.held.id == from.id);
        match (answer, current, ending) {
            (Answer::Fresh { held, .. }, ..) if self.slot.has(held.id) => self.resume(held, claim),
            (Answer::Fresh { held, is_usable }, Some(live), _) => self.renewed(live, held, *is_usable, claim),
            (Answer::Fresh { held, .. }, None, Some(at)) => self.renewed_ending(at, held, claim),
            (Answer::Fresh { held, .. }, None, None) => self.late(from, held, claim),
            (_, Some(live), _) if live.is_refreshing(claim) => self.without_tokens(live, answer, claim),
            (_, _, Some(at)) if self.slot.ending[at].is_refreshing(claim) => {
                self.ending_without_tokens(at, answer, claim);
            }
            (Answer::Dead, ..) => self.report(UpstreamAct::RefreshFailed, Some(UpstreamReason::InvalidGrant), from),
            (Answer::Failed(failure), ..) => self.report(UpstreamAct::RefreshFailed, Some(failure.reason), from),
            (Answer::NotSent, ..) => {}
        }
        Verdict::Done
    }

    /// The new tokens are there, because an earlier write was not confirmed.
    fn resume(&mut self, held: &Held, claim: Claim) {
        if let Some(at) = self.slot.ending.iter().position(|ending| ending.held == *held && ending.is_telling(claim)) {
            self.effect = self.slot.ending[at].effect();
        }
    }

    /// New tokens replace what they came from, and nothing else. The service may accept nothing else any more, so they
    /// are stored under the claim of another operation too, and after another one has found the old tokens dead.
    fn renewed(&mut self, old: Live, held: &Held, is_usable: bool, claim: Claim) {
        let mut next = Live::ready(self.numbered(held));
        if is_usable && self.age(&next.held) != Age::Over {
            self.report(UpstreamAct::Refresh, None, &next.held);
        } else {
            // The next lease must not refresh again at once.
            let reason = UpstreamReason::UnusableToken;
            next.back_off = self.failed(old.back_off, reason.into(), claim.by);
            self.report(UpstreamAct::RefreshFailed, Some(reason), &next.held);
        }
        self.slot.current = Some(next);
    }

    fn renewed_ending(&mut self, at: usize, held: &Held, claim: Claim) {
        let held = self.numbered(held);
        self.report(UpstreamAct::Refresh, None, &held);
        let old = self.slot.ending[at].clone();
        self.slot.ending[at] = Ending { held, in_doubt: false, is_renewed: true, ..old };
        self.tell(at, claim.by);
    }

    /// What they came from is gone. If the account has had another secret since, that may have been these tokens: a write
    /// that was not confirmed stored them, and another operation has spent them.
    fn late(&mut self, from: &Held, held: &Held, claim: Claim) {
        if self.slot.current.is_some() {
            return self.report(UpstreamAct::Superseded, None, held);
        }
        let in_doubt = self.slot.generation != from.generation;
        let held = self.numbered(held);
        self.report(UpstreamAct::Revoke, None, &held);
        let ending = Ending { in_doubt, is_renewed: true, ..Ending::due(held, self.context.now) };
        let at = self.push(ending);
        self.tell(at, claim.by);
    }

    fn without_tokens(&mut self, mut live: Live, answer: &Answer, claim: Claim) {
        live.phase = Phase::Ready;
        match answer {
            Answer::Dead => {
                let reason = lost(live.in_doubt).unwrap_or(UpstreamReason::InvalidGrant);
                self.report(UpstreamAct::NeedsAuthorization, Some(reason), &live.held);
                live.phase = Phase::Dead;
            }
            Answer::Failed(failure) => {
                // Reported once, when the limit is passed.
                let before = live.back_off.failed_at;
                live.back_off = self.failed(live.back_off, *failure, claim.by);
                live.in_doubt |= failure.is_lost();
                let gives_up = |at| self.context.policy.gives_up(live.back_off.refused_since, at);
                if gives_up(self.context.now) && !gives_up(before) {
                    self.report(UpstreamAct::NeedsAuthorization, Some(UpstreamReason::Refused), &live.held);
                } else {
                    self.report(UpstreamAct::RefreshFailed, Some(failure.reason), &live.held);
                }
            }
            Answer::NotSent | Answer::Fresh { .. } => {}
        }
        self.slot.current = Some(live);
    }

    fn ending_without_tokens(&mut self, at: usize, answer: &Answer, claim: Claim) {
        let ending = &mut self.slot.ending[at];
        match answer {
            // Access and refresh token are invalid. Without doubt, the service never issued others for them.
            Answer::Dead if ending.in_doubt => self.end(at, UpstreamAct::Abandoned),
            Answer::Dead => self.end(at, UpstreamAct::Revoked),
            Answer::Failed(failure) => {
                ending.in_doubt |= failure.is_lost();
                self.postpone(at, *failure, claim.by);
            }
            Answer::NotSent | Answer::Fresh { .. } => ending.step = Step::Due,
        }
    }
}

impl Failure {
    /// Whether the service may have carried out the request.
    fn is_lost(self) -> bool {
        self.reason == UpstreamReason::Uncertain
    }
}
