//! What the runner does with a decision.

use std::sync::Arc;

use mcp_token_lifecycle::vault::UpstreamReason;
use mcp_token_lifecycle::vault::decision::{self, Ask, Claim, Effect, Event, Report, Slot};

use crate::account::{Account, LAST, Sight};
use crate::names::{Operation, Secret, whom};
use crate::setup::{at, step_of};
use crate::world::{Answer, Call, Flight, Intent, Request, Told, World};

/// How the write of a decision goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Write {
    Confirmed,
    /// It is in the store, and the store has not said so: the event is decided again.
    Unconfirmed,
}

impl Account {
    /// Decides `intent` on what is in the store, and writes. Returns whether anything came of it.
    pub fn commit(&self, world: &mut World, intent: Intent, how: Write) -> bool {
        let (loaded, now) = (world.slot.clone(), world.now);
        self.commit_on(world, intent, how, &loaded, now)
    }

    /// Decides `intent` on `loaded` at the step `now`, and writes.
    pub fn commit_on(&self, world: &mut World, intent: Intent, how: Write, loaded: &Slot, now: u8) -> bool {
        let decision = self.decide(loaded, &self.event(world, intent), now);
        self.judge(world, intent, loaded, &decision);
        let (has_write, request) = (decision.write.is_some(), decision.effect.as_ref().map(request_of));
        if let Some(next) = decision.write {
            if next.generation > LAST {
                let current = next.current.iter().map(|live| &live.held);
                let mut all = current.chain(next.ending.iter().map(|ending| &ending.held));
                world.last = all.find(|held| held.generation == next.generation).map(|held| Secret::of(held.id));
            }
            world.slot = Arc::new(Slot { generation: LAST, ..next });
            if self.setup.left.sleeps > 0 {
                world.version += 1;
            }
        }
        note_doubts(world);
        decision.reports.iter().for_each(|report| self.note_report(world, report));
        if let (Intent::Put { grant } | Intent::Rotate { grant }, true) = (intent, has_write) {
            world.newest = grant;
        }
        match how {
            Write::Confirmed => world_takes(world, request),
            Write::Unconfirmed => world.take_off(Flight::Decide(intent)),
        }
        has_write || request.is_some()
    }

    /// The event that the decision gets.
    fn event(&self, world: &World, intent: Intent) -> Event {
        let held = |secret: Secret| self.held(world, secret);
        // An answer is matched by the operation alone.
        let claim = |by: Operation| Claim { by: by.id(), since: at(world.now), until: at(world.now) };
        match intent {
            Intent::Put { grant } => {
                Event::Put { held: held(Secret { grant, depth: 0 }), ends_grants: self.setup.whole_grants }
            }
            Intent::Rotate { grant } => Event::Rotate { held: held(Secret { grant, depth: 0 }) },
            Intent::Lease { owner, by } => Event::Lease(Ask {
                by: by.id(),
                session: owner.session(),
                client_id: "client".into(),
                scope: self.scope().clone(),
                broader: false,
                refused: None,
                has_provider: true,
            }),
            Intent::Revoke { whom: owner, by } => Event::Revoke { by: by.id(), whom: whom(owner) },
            Intent::Tick { by } => Event::Tick { by: by.id() },
            Intent::Answered { from, answer, by } => {
                let answer = match answer {
                    Answer::Fresh => decision::Answer::Fresh { held: held(from.successor()), is_usable: true },
                    Answer::Dead => decision::Answer::Dead,
                    Answer::Lost => decision::Answer::Failed(UpstreamReason::Uncertain.into()),
                    Answer::Unavailable => decision::Answer::Failed(UpstreamReason::Unavailable.into()),
                    Answer::NotSent => decision::Answer::NotSent,
                };
                Event::Answered { from: held(from), claim: claim(by), answer }
            }
            Intent::Told { secret, told, by } => {
                let answer = match told {
                    Told::Done => decision::RevocationAnswer::Done,
                    Told::Unsupported => decision::RevocationAnswer::Unsupported,
                    Told::NeedsRefresh => decision::RevocationAnswer::NeedsRefresh,
                    Told::Lost => decision::RevocationAnswer::Failed(UpstreamReason::Uncertain.into()),
                    Told::Unavailable => decision::RevocationAnswer::Failed(UpstreamReason::Unavailable.into()),
                    Told::NotSent => decision::RevocationAnswer::NotSent,
                };
                Event::RevocationAnswer { id: secret.id(), claim: claim(by), answer }
            }
        }
    }

    /// Whether deciding `intent` now would change nothing.
    pub fn is_idle(&self, world: &World, intent: Intent) -> bool {
        let decision = self.decide(&world.slot, &self.event(world, intent), world.now);
        decision.write.is_none() && decision.effect.is_none()
    }

    /// What a report says about a grant.
    fn note_report(&self, world: &mut World, Report { act, reason, held }: &Report) {
        use mcp_token_lifecycle::vault::UpstreamAct::{
            Abandoned, Forgotten, NeedsAuthorization, Replaced, RevokeCancelled, Revoked, Superseded,
        };
        let secret = Secret::of(held.id);
        let grant = world.grant_mut(secret);
        let in_doubt = *reason == Some(UpstreamReason::AnswerLost);
        grant.ended |= matches!(act, Revoked | Forgotten | Abandoned | RevokeCancelled);
        // A secret and its successors, where they may be; or the secret alone.
        let with_successors = 0xff << secret.depth;
        grant.given_up |= match act {
            RevokeCancelled => with_successors,
            Abandoned if *reason == Some(UpstreamReason::TooMany) => with_successors,
            Replaced | Abandoned | Revoked | NeedsAuthorization if in_doubt => with_successors,
            Replaced | Abandoned | Superseded | Forgotten => secret.bit(),
            _ => 0,
        };
        let sight = match act {
            Revoked if !in_doubt => Sight::Revoked,
            Abandoned if *reason == Some(UpstreamReason::TooMany) => Sight::AbandonedForBound,
            Abandoned if in_doubt => Sight::AbandonedInDoubt,
            Abandoned => Sight::AbandonedExpired,
            Forgotten => Sight::Forgotten,
            Replaced => Sight::Replaced,
            Superseded => Sight::LateTokensDropped,
            RevokeCancelled => Sight::Cancelled,
            NeedsAuthorization => Sight::NeedsAuthorization,
            _ => return,
        };
        self.see(sight);
    }

    /// Sends a request while its claim lasts, and returns what becomes of it.
    pub fn carry_out(&self, world: &mut World, Request { call, secret, by, .. }: Request, fate: Fate) {
        let intent = match call {
            Call::Refresh => {
                let answer = match fate {
                    Fate::Answered => self.present(world, secret),
                    Fate::Unavailable => Answer::Unavailable,
                    Fate::Lost => Answer::Lost,
                };
                Intent::Answered { from: secret, answer, by }
            }
            Call::Tell => {
                let told = match fate {
                    Fate::Answered => self.revoke(world, secret),
                    Fate::Unavailable => Told::Unavailable,
                    Fate::Lost => Told::Lost,
                };
                Intent::Told { secret, told, by }
            }
        };
        if fate == Fate::Lost {
            world.take_off(Flight::Late(call, secret));
        }
        world.take_off(Flight::Decide(intent));
    }
}

/// What becomes of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    Answered,
    /// The service says that it has not carried it out.
    Unavailable,
    /// The process gives up waiting. The service gets the request at once, later or never.
    Lost,
}

/// The event of a request that is not sent, because its claim has ended.
pub fn not_sent(Request { call, secret, by, .. }: Request) -> Intent {
    match call {
        Call::Refresh => Intent::Answered { from: secret, answer: Answer::NotSent, by },
        Call::Tell => Intent::Told { secret, told: Told::NotSent, by },
    }
}

fn world_takes(world: &mut World, request: Option<Request>) {
    if let Some(request) = request {
        world.take_off(Flight::Send(request));
    }
}

fn request_of(effect: &Effect) -> Request {
    let (call, held, claim) = match effect {
        Effect::Refresh { held, claim } => (Call::Refresh, held, claim),
        Effect::Tell { held, claim } => (Call::Tell, held, claim),
    };
    Request { call, secret: Secret::of(held.id), until: step_of(claim.until), by: Operation::of(claim.by) }
}

/// Notes of which secrets it is on record that an answer may be lost.
fn note_doubts(world: &mut World) {
    let slot = world.slot.clone();
    let current = slot.current.iter().filter(|live| live.in_doubt).map(|live| live.held.id);
    let ending = slot.ending.iter().filter(|ending| ending.in_doubt).map(|ending| ending.held.id);
    for secret in current.chain(ending).map(Secret::of) {
        let grant = world.grant_mut(secret);
        grant.doubted |= secret.bit();
        grant.spent &= !secret.bit();
    }
}
