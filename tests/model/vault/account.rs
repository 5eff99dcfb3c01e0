//! The model: a setup, and the decision, as it is or broken.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use mcp_token_lifecycle::vault::decision::{
    self, Context, Decision, Event, Held, Phase, RevocationAnswer, Slot, Step, Whom,
};
use mcp_token_lifecycle::vault::{
    Credential, RefreshPolicy, Secret as StaticText, SecretText, StaticSecret, TokenSet, UpstreamAct, UpstreamReason,
};
use mcp_token_lifecycle::{Outages, Scope};

use crate::names::Secret;
use crate::setup::{Flaw, Setup, at};
use crate::world::World;

/// The number of the last secret. Of all numbers it matters only whether they are this one.
pub const LAST: u64 = 1;

pub struct Account {
    pub setup: Setup,
    policy: RefreshPolicy,
    scope: Scope,
    tokens: Arc<Credential>,
    key: Arc<Credential>,
    seen: AtomicU32,
}

/// What must happen somewhere, lest a property says nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sight {
    PresentedTwice,
    ClaimTakenOver,
    NotSent,
    DecidedAgain,
    RevokedWhileRefreshing,
    LateTokensRevoked,
    LateTokensDropped,
    Revoked,
    AbandonedInDoubt,
    AbandonedExpired,
    AbandonedForBound,
    OutboxFull,
    Forgotten,
    NeedsAuthorization,
    Replaced,
    Cancelled,
    OtherOwnerRefused,
    SleeperConflicts,
    SleeperWrites,
    Purged,
    /// The one way left in which a service that revokes whole grants ends a new one: the request was under way.
    UnderWayEndsNewGrant,
}

impl Account {
    pub fn new(setup: Setup) -> Self {
        let scope = Scope::parse("read").unwrap();
        let text = || SecretText::new("text");
        let tokens = TokenSet::new(text(), scope.clone()).expires_at(setup.expires_at()).refresh_token(text());
        let tokens = match setup.expiry {
            Some(step) => tokens.refresh_expires_at(at(step)),
            None => tokens,
        };
        Self {
            setup,
            policy: setup.policy(),
            tokens: Arc::new(Credential::OAuth(tokens)),
            key: Arc::new(Credential::Static(StaticSecret::new(StaticText::ApiKey(text()), scope.clone()))),
            scope,
            seen: AtomicU32::new(0),
        }
    }

    pub fn see(&self, sight: Sight) {
        self.seen.fetch_or(1 << sight as u32, Ordering::Relaxed);
    }

    pub fn has_seen(&self, sight: Sight) -> bool {
        self.seen.load(Ordering::Relaxed) >> sight as u32 & 1 == 1
    }

    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    pub fn held(&self, world: &World, secret: Secret) -> Held {
        let grant = world.grant(secret);
        let credential = if grant.is_static { &self.key } else { &self.tokens };
        let bound_to = grant.owner.bound_to();
        let generation = if world.last == Some(secret) { LAST } else { LAST - 1 };
        Held { id: secret.id(), generation, obtained_at: at(0), bound_to, credential: credential.clone() }
    }

    /// What the crate decides, or a broken version of it.
    pub fn decide(&self, slot: &Slot, event: &Event, now: u8) -> Decision {
        let context = Context { policy: &self.policy, outages: Outages::default(), now: at(now) };
        let decide = |event: &Event| decision::decide(slot, event, &context);
        let Some(flaw) = self.setup.flaw else { return decide(event) };
        match (flaw, event) {
            (Flaw::KeepsPending, Event::Put { held, .. }) => {
                decide(&Event::Put { held: held.clone(), ends_grants: false })
            }
            (Flaw::TakesAny, Event::Revoke { by, .. }) => decide(&Event::Revoke { by: *by, whom: Whom::Account }),
            (
                Flaw::KeyCountsAsRevoked,
                Event::RevocationAnswer { id, claim, answer: RevocationAnswer::Unsupported },
            ) => decide(&Event::RevocationAnswer { id: *id, claim: *claim, answer: RevocationAnswer::Done }),
            _ => spoil(flaw, slot, event, decide(event)),
        }
    }
}

/// Breaks a decision.
fn spoil(flaw: Flaw, slot: &Slot, event: &Event, mut decision: Decision) -> Decision {
    let Decision { write, reports, .. } = &mut decision;
    let has_report = |act| reports.iter().any(|report| report.act == act);
    match (flaw, event) {
        (Flaw::TakesOverWithoutDoubt, Event::Lease(_) | Event::Tick { .. } | Event::Revoke { .. }) => {
            let Some(next) = write else { return decision };
            let was_in_doubt = |held: &Held| {
                let current = slot.current.iter().map(|live| (live.held.id, live.in_doubt));
                let mut all = current.chain(slot.ending.iter().map(|ending| (ending.held.id, ending.in_doubt)));
                all.any(|(id, in_doubt)| id == held.id && in_doubt)
            };
            next.current.iter_mut().for_each(|live| live.in_doubt = was_in_doubt(&live.held));
            next.ending.iter_mut().for_each(|ending| ending.in_doubt = was_in_doubt(&ending.held));
        }
        (Flaw::ForgetsRefresh, Event::Revoke { .. }) => {
            let Some(moved) = slot.current.as_ref().filter(|live| matches!(live.phase, Phase::Refreshing(_))) else {
                return decision;
            };
            let next = write.iter_mut().flat_map(|next| &mut next.ending);
            next.filter(|ending| ending.held == moved.held).for_each(|ending| ending.step = Step::Due);
        }
        (Flaw::LateTokensReturn, Event::Answered { answer: decision::Answer::Fresh { held, .. }, .. })
            if has_report(UpstreamAct::Superseded) =>
        {
            let mut next = slot.clone();
            next.current.iter_mut().for_each(|live| live.held = held.clone());
            *write = Some(next);
        }
        (Flaw::ForgetsFailure, Event::RevocationAnswer { id, answer: RevocationAnswer::Failed(_), .. }) => {
            write.iter_mut().for_each(|next| next.ending.retain(|ending| ending.held.id != *id));
        }
        (Flaw::TrustsLateTokens, Event::Answered { from, answer: decision::Answer::Fresh { held, .. }, .. })
            if !slot.has(from.id) =>
        {
            let next = write.iter_mut().flat_map(|next| &mut next.ending);
            next.filter(|ending| ending.held == *held).for_each(|ending| ending.in_doubt = false);
        }
        (Flaw::DropsLateTokens, Event::Answered { from, answer: decision::Answer::Fresh { .. }, .. })
            if !slot.has(from.id) =>
        {
            reports.clear();
            decision.effect = None;
            decision.write = None;
        }
        (Flaw::ReplacesSilently, Event::Put { .. }) => reports.retain(|report| report.act != UpstreamAct::Replaced),
        (Flaw::Unbounded, _) => {
            let too_many = reports.iter().position(|report| report.reason == Some(UpstreamReason::TooMany));
            if let (Some(at), Some(next)) = (too_many, write) {
                reports.remove(at);
                next.ending.insert(0, slot.ending[0].clone());
            }
        }
        (Flaw::AbandonsSilently, _) => reports.retain(|report| report.reason != Some(UpstreamReason::TooMany)),
        _ => {}
    }
    decision
}
