//! States that differ only in what bears on no decision are one state.

use std::sync::Arc;

use mcp_token_lifecycle::vault::decision::{BackOff, Claim, OperationId, Slot};

use crate::account::Account;
use crate::names::{Operation, Owner, Secret, claim_of, claim_on};
use crate::runner::not_sent;
use crate::setup::{at, step_of};
use crate::world::{Answer, Call, Flight, Grant, Intent, Request, Sleeper, World};

impl Account {
    /// Gives all operations their names in the order in which they appear, and forgets what can do nothing any more.
    pub fn canonical(&self, mut world: World) -> World {
        self.forget_idle(&mut world);
        forget_history(&mut world);
        forget_last(&mut world);
        // A sleeper holds a slot with the old names.
        if self.setup.left.sleeps == 0 {
            rename(&mut world);
        }
        world
    }

    /// After a step of the clock: what is over is over, since whenever.
    pub fn let_pass(&self, world: &mut World) {
        world.now += 1;
        world.grants.iter_mut().for_each(|grant| grant.is_good = false);
        if self.setup.expiry == Some(world.now) {
            Self::expire(world);
        }
        self.settle_times(world);
        self.rest(world);
    }

    /// What is over is over, since whenever.
    pub fn settle_times(&self, world: &mut World) {
        let now = world.now;
        let slot = Arc::make_mut(&mut world.slot);
        for claim in claims(slot) {
            if step_of(claim.until) <= now {
                (claim.since, claim.until) = (at(0), at(0));
            }
        }
        for flight in std::mem::take(&mut world.flights) {
            world.take_off(match flight {
                Flight::Send(request) if request.until <= now => Flight::Decide(not_sent(request)),
                other => other,
            });
        }
    }

    /// A pause is shorter than a step, and how often it was does not matter.
    pub fn rest(&self, world: &mut World) {
        let slot = Arc::make_mut(&mut world.slot);
        slot.current.iter_mut().for_each(|live| live.back_off = BackOff::default());
        for ending in &mut slot.ending {
            (ending.back_off, ending.since) = (BackOff::default(), at(0));
        }
    }

    /// An answer without tokens that comes too late does nothing, now and later: no operation claims twice.
    fn forget_idle(&self, world: &mut World) {
        let is_idle = |flight: &Flight| match flight {
            Flight::Decide(intent @ Intent::Answered { from, answer, by }) if *answer != Answer::Fresh => {
                let is_from = |id| id == from.id();
                let current = world.slot.current.iter().filter(|live| is_from(live.held.id));
                let ending = world.slot.ending.iter().filter(|ending| is_from(ending.held.id));
                let mut phases = current.map(|live| live.phase);
                let mut endings = ending.cloned();
                let has_claim = phases.any(|mut phase| claim_of(&mut phase).is_some_and(|claim| claim.by == by.id()))
                    || endings.any(|mut ending| claim_on(&mut ending).is_some_and(|claim| claim.by == by.id()));
                !has_claim && self.is_idle(world, *intent)
            }
            // The service has replaced or revoked it, and the request would find nothing.
            Flight::Late(call, secret) => {
                let grant = world.grant(*secret);
                let is_reuse = *call == Call::Refresh && grant.spent & secret.bit() != 0;
                let ends_all = *call == Call::Tell && self.setup.whole_grants;
                grant.live != Some(secret.depth) && !is_reuse && !ends_all
            }
            Flight::Decide(intent @ Intent::Told { secret, .. }) => {
                !world.slot.has(secret.id()) && self.is_idle(world, *intent)
            }
            _ => false,
        };
        let flights = world.flights.iter().filter(|flight| !is_idle(flight)).cloned().collect();
        world.flights = flights;
    }
}

/// Of a secret that no process will present any more it does not matter whether it was presented. Of one that the service
/// does not honour any more it does not matter whether it was given up.
fn forget_history(world: &mut World) {
    let mut known = [0_u8; 8];
    let mut know = |secret: Secret| known[usize::from(secret.grant)] |= secret.bit();
    world.slot.current.iter().for_each(|live| know(Secret::of(live.held.id)));
    world.slot.ending.iter().for_each(|ending| know(Secret::of(ending.held.id)));
    for flight in &world.flights {
        match flight {
            Flight::Send(Request { secret, .. }) | Flight::Late(_, secret) => know(*secret),
            // It is stored once more after an unconfirmed write.
            Flight::Decide(Intent::Answered { from, answer: Answer::Fresh, .. }) => know(from.successor()),
            Flight::Asleep(sleeper) => {
                sleeper.loaded.current.iter().for_each(|live| know(Secret::of(live.held.id)));
                sleeper.loaded.ending.iter().for_each(|ending| know(Secret::of(ending.held.id)));
                if let Intent::Answered { from, answer: Answer::Fresh, .. } = sleeper.intent {
                    know(from.successor());
                }
            }
            Flight::Decide(Intent::Put { grant }) => know(Secret::first(usize::from(*grant))),
            Flight::Decide(_) => {}
        }
    }
    for (grant, known) in world.grants.iter_mut().zip(known) {
        grant.spent &= known;
        grant.doubted &= known;
        grant.is_good &= grant.live.is_some();
        grant.given_up &= grant.live.map_or(0, |depth| 0xff << depth);
        // Nothing more can happen to this grant.
        let is_settled = grant.live.is_none_or(|depth| grant.given_up >> depth & 1 == 1);
        if known == 0 && is_settled && (grant.ended || !grant.revoked) {
            *grant = Grant { live: None, revoked: true, ended: true, ..Grant::new(false, Owner::A) };
        }
    }
}

/// Whether a secret is the last one matters to an answer that comes from it, and so while it can be asked about.
fn forget_last(world: &mut World) {
    let Some(last) = world.last else { return };
    let asks = |flight: &Flight| match flight {
        Flight::Decide(intent) | Flight::Asleep(Sleeper { intent, .. }) => {
            matches!(intent, Intent::Answered { from, .. } if *from == last)
        }
        Flight::Send(Request { secret, .. }) => *secret == last,
        Flight::Late(..) => false,
    };
    if !world.slot.has(last.id()) && !world.flights.iter().any(asks) {
        world.last = None;
    }
}

/// The claims in a slot.
pub fn claims(slot: &mut Slot) -> impl Iterator<Item = &mut Claim> {
    let current = slot.current.iter_mut().filter_map(|live| claim_of(&mut live.phase));
    current.chain(slot.ending.iter_mut().filter_map(claim_on))
}

fn rename(world: &mut World) {
    let mut names = Vec::<Operation>::new();
    let mut slot = (*world.slot).clone();
    let mut name = |old: Operation| {
        let at = names.iter().position(|name| *name == old).unwrap_or_else(|| {
            names.push(old);
            names.len() - 1
        });
        Operation(at as u8)
    };
    let mut is_same = true;
    for claim in claims(&mut slot) {
        let id: OperationId = name(Operation::of(claim.by)).id();
        is_same &= id == claim.by;
        claim.by = id;
    }
    if !is_same {
        world.slot = Arc::new(slot);
    }
    // In the order of all but the names; those that the slot has first.
    for flight in &mut world.flights {
        if let Some(by) = operation_of(flight) {
            *by = name(*by);
        }
    }
    world.flights.sort_unstable();
}

/// The operation of a flight.
pub fn operation_of(flight: &mut Flight) -> Option<&mut Operation> {
    match flight {
        Flight::Decide(intent) => operation_in(intent),
        Flight::Send(request) => Some(&mut request.by),
        Flight::Asleep(sleeper) => operation_in(&mut sleeper.intent),
        Flight::Late(..) => None,
    }
}

fn operation_in(intent: &mut Intent) -> Option<&mut Operation> {
    match intent {
        Intent::Put { .. } | Intent::Rotate { .. } => None,
        Intent::Lease { by, .. }
        | Intent::Revoke { by, .. }
        | Intent::Tick { by }
        | Intent::Answered { by, .. }
        | Intent::Told { by, .. } => Some(by),
    }
}
