//! The answer to a refresh, of a lease or of a revocation.

use super::draft::{Draft, lost};
use super::event::{Answer, Fresh};
use super::outcome::Verdict;
use crate::audit::{UpstreamAct, UpstreamReason};
use crate::vault::policy::Age;
use crate::vault::slot::state::{Claim, Ending, Failure, Held, Live, Phase, Step};

impl Draft<'_> {
    pub(super) fn answered(&mut self, from: &Held, claim: Claim, answer: &Answer) -> Verdict {
        let ending = self.slot.ending.iter().position(|ending| ending.held.id == from.id);
        match (answer, self.slot.current.clone()) {
            (Answer::Fresh(fresh), current) => self.fresh(from, claim, fresh, current, ending),
            (answer, Some(live)) if live.held.id == from.id && live.is_refreshing(claim) => {
                self.without_tokens(live, answer);
            }
            (answer, _) => match ending {
                Some(at) if self.slot.ending[at].is_refreshing(claim) => self.ending_without_tokens(at, answer),
                _ => self.report_failure(from, answer),
            },
        }
        Verdict::Done
    }

    /// New tokens replace what they came from, and nothing else. The service may accept nothing else any more, so they
    /// are stored under the claim of another operation too, and after another one has found the old tokens dead.
    fn fresh(&mut self, from: &Held, claim: Claim, fresh: &Fresh, current: Option<Live>, ending: Option<usize>) {
        let next = |generation| Held {
            id: fresh.id,
            generation,
            obtained_at: fresh.obtained_at,
            bound_to: from.bound_to.clone(),
            credential: fresh.credential.clone(),
        };
        if self.slot.has(fresh.id) {
            return;
        }
        match (current, ending) {
            (Some(live), _) if live.held.id == from.id => {
                let mut next = Live::ready(self.numbered(next(0)));
                let usable = fresh.is_usable && !self.is_over(&next.held);
                if !usable {
                    next.back_off = self.failed(live.back_off, UpstreamReason::UnusableToken.into());
                    self.report(UpstreamAct::RefreshFailed, Some(UpstreamReason::UnusableToken), &next.held);
                } else {
                    self.report(UpstreamAct::Refresh, None, &next.held);
                }
                self.slot.current = Some(next);
            }
            (_, Some(at)) => {
                let held = self.numbered(next(0));
                self.report(UpstreamAct::Refresh, None, &held);
                let ending = Ending { held, in_doubt: false, is_renewed: true, ..self.slot.ending[at].clone() };
                self.slot.ending[at] = ending;
                self.tell(at, claim.by);
            }
            (Some(_), None) => self.report(UpstreamAct::Superseded, None, &next(from.generation)),
            (None, None) => {
                let held = self.numbered(next(0));
                self.report(UpstreamAct::Revoke, None, &held);
                let ending = Ending { is_renewed: true, ..Ending::due(held, self.context.now) };
                let at = self.push(ending);
                self.tell(at, claim.by);
            }
        }
    }

    fn is_over(&self, held: &Held) -> bool {
        let ([jitter, ..], at) = (held.id.0, held.obtained_at);
        held.tokens().is_some_and(|tokens| self.context.policy.age(tokens, at, jitter, self.context.now) == Age::Over)
    }

    fn without_tokens(&mut self, mut live: Live, answer: &Answer) {
        live.phase = Phase::Ready;
        match answer {
            Answer::Dead => {
                let reason = lost(live.in_doubt).unwrap_or(UpstreamReason::InvalidGrant);
                self.report(UpstreamAct::NeedsAuthorization, Some(reason), &live.held);
                live.phase = Phase::Dead;
            }
            Answer::Failed(failure) => {
                // Reported once, when the limit is passed.
                let (policy, before) = (self.context.policy, live.back_off.failed_at);
                live.back_off = self.failed(live.back_off, *failure);
                live.in_doubt |= failure.is_lost();
                let gives_up = |at| policy.gives_up(live.back_off.refused_since, at);
                match gives_up(self.context.now) && !gives_up(before) {
                    true => {
                        self.report(UpstreamAct::NeedsAuthorization, Some(UpstreamReason::Refused), &live.held);
                    }
                    false => self.report(UpstreamAct::RefreshFailed, Some(failure.reason), &live.held),
                }
            }
            Answer::NotSent | Answer::Fresh(_) => {}
        }
        self.slot.current = Some(live);
    }

    fn ending_without_tokens(&mut self, at: usize, answer: &Answer) {
        match answer {
            Answer::Dead => {
                let Ending { held, in_doubt, .. } = self.slot.ending.remove(at);
                // Access and refresh token are invalid. Without doubt, the service never issued others for them.
                let act = if in_doubt { UpstreamAct::Abandoned } else { UpstreamAct::Revoked };
                self.report(act, lost(in_doubt), &held);
            }
            Answer::Failed(failure) => {
                self.slot.ending[at].in_doubt |= failure.is_lost();
                self.postpone(at, *failure);
            }
            Answer::NotSent | Answer::Fresh(_) => self.slot.ending[at].step = Step::Due,
        }
    }

    /// The secret is gone, or another operation holds the claim.
    fn report_failure(&mut self, from: &Held, answer: &Answer) {
        let reason = match answer {
            Answer::Dead => UpstreamReason::InvalidGrant,
            Answer::Failed(failure) => failure.reason,
            Answer::NotSent | Answer::Fresh(_) => return,
        };
        self.report(UpstreamAct::RefreshFailed, Some(reason), from);
    }
}

impl Failure {
    /// Whether the service may have carried out the request.
    fn is_lost(self) -> bool {
        self.reason == UpstreamReason::Uncertain
    }
}
