//! What one decision must not do, and what the runs have seen.

use mcp_token_lifecycle::vault::UpstreamAct;
use mcp_token_lifecycle::vault::decision::{Decision, Effect, Ending, MAX_ENDING, Phase, Refusal, Slot, Step, Verdict};

use crate::account::{Account, Sight};
use crate::names::Secret;
use crate::world::{Answer, Foul, Intent, World};

impl Account {
    /// Looks at a decision about `intent`, before it changes `world`.
    pub fn judge(&self, world: &mut World, intent: Intent, before: &Slot, decision: &Decision) {
        let after = decision.write.as_ref().unwrap_or(before);
        self.judge_reports(world, intent, before, decision);
        self.judge_owner(world, intent, before, decision);
        let current = before.current.as_ref().map(|live| Secret::of(live.held.id));
        if let (Intent::Revoke { whom, .. }, Some(secret)) = (intent, current) {
            let grant = world.grant_mut(secret);
            grant.revoked |= whom.is_none_or(|owner| owner == grant.owner);
        }
        if let Some(Effect::Tell { held, .. }) = &decision.effect {
            let is_older = Secret::of(held.id).grant < world.newest;
            if self.setup.whole_grants && is_older && !world.grants[usize::from(world.newest)].revoked {
                world.fouls.add(Foul::ToldOfOlder);
            }
        }
        self.watch(intent, before, after, decision);
    }

    fn judge_reports(&self, world: &mut World, intent: Intent, before: &Slot, decision: &Decision) {
        let after = decision.write.as_ref().unwrap_or(before);
        let has = |secret: Secret, acts: &[UpstreamAct]| {
            decision.reports.iter().any(|report| report.held.id == secret.id() && acts.contains(&report.act))
        };
        let ends = [UpstreamAct::Revoked, UpstreamAct::Forgotten, UpstreamAct::Abandoned, UpstreamAct::RevokeCancelled];
        let fresh = match intent {
            Intent::Answered { from, answer: Answer::Fresh, .. } => Some(from),
            _ => None,
        };
        for secret in before.ending.iter().map(|ending| Secret::of(ending.held.id)) {
            if !after.has(secret.id()) && !has(secret, &ends) && fresh != Some(secret) {
                world.fouls.add(Foul::Vanished);
            }
        }
        if let Some(new) = fresh.map(Secret::successor) {
            let is_kept = after.has(new.id()) || has(new, &[UpstreamAct::Superseded]);
            if !is_kept {
                world.fouls.add(Foul::LostTokens);
            }
        }
        let mut revoked = decision.reports.iter().filter(|report| report.act == UpstreamAct::Revoked);
        if revoked.any(|report| world.grant(Secret::of(report.held.id)).is_static) {
            world.fouls.add(Foul::KeyRevoked);
        }
    }

    fn judge_owner(&self, world: &mut World, intent: Intent, before: &Slot, decision: &Decision) {
        let Some(live) = &before.current else { return };
        let grant = *world.grant(Secret::of(live.held.id));
        let is_same = decision.write.as_ref().is_none_or(|next| next.current == before.current);
        match intent {
            Intent::Revoke { whom: Some(owner), .. } if owner != grant.owner && !is_same => {
                world.fouls.add(Foul::OtherOwner);
            }
            Intent::Lease { owner, .. } => {
                let is_served = matches!(decision.verdict, Verdict::Serve { .. } | Verdict::Refresh);
                if owner != grant.owner && (is_served || !is_same) {
                    world.fouls.add(Foul::OtherOwner);
                }
                if is_served && grant.revoked {
                    world.fouls.add(Foul::LeasedRevoked);
                }
                if decision.verdict == Verdict::Refused(Refusal::OtherSession) {
                    self.see(Sight::OtherOwnerRefused);
                }
            }
            _ => {}
        }
    }

    fn watch(&self, intent: Intent, before: &Slot, after: &Slot, decision: &Decision) {
        if before.ending.len() == MAX_ENDING {
            self.see(Sight::OutboxFull);
        }
        match intent {
            Intent::Revoke { .. } if decision.verdict == Verdict::Done => {
                let is_refreshing = before.current.iter().any(|live| matches!(live.phase, Phase::Refreshing(_)));
                if is_refreshing {
                    self.see(Sight::RevokedWhileRefreshing);
                }
            }
            Intent::Lease { .. } | Intent::Tick { .. } => {
                let doubts = |slot: &Slot| {
                    let ending = slot.ending.iter().filter(|ending| ending.in_doubt).count();
                    ending + usize::from(slot.current.iter().any(|live| live.in_doubt))
                };
                let takes_over = |ending: &Ending| {
                    let old = before.ending.iter().find(|old| old.held == ending.held).map(|old| old.step);
                    matches!(old, Some(Step::Telling(_))) && old != Some(ending.step)
                };
                if doubts(after) > doubts(before) || after.ending.iter().any(takes_over) {
                    self.see(Sight::ClaimTakenOver);
                }
                if decision.write.is_none() && decision.effect.is_some() {
                    self.see(Sight::DecidedAgain);
                }
            }
            Intent::Answered { from, answer: Answer::Fresh, .. } => {
                let is_new = |secret: Secret| after.has(secret.id()) && !before.has(secret.id());
                if !before.has(from.id()) && is_new(from.successor()) {
                    self.see(Sight::LateTokensRevoked);
                }
            }
            Intent::Answered { answer: Answer::NotSent, .. } if decision.write.is_some() => self.see(Sight::NotSent),
            _ => {}
        }
    }
}
