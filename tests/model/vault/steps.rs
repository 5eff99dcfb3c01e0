//! What can happen next.

use std::sync::Arc;

use mcp_token_lifecycle::vault::decision::Slot;
use stateright::{Model, Property};

use crate::account::{Account, LAST, Sight};
use crate::canonical::{claims, operation_of};
use crate::names::{Operation, Owner, Secret};
use crate::properties;
use crate::runner::{Fate, Write};
use crate::setup::Flaw;
use crate::world::{Call, Flight, Fouls, Grant, Intent, Request, Sleeper, Told, World};

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// The clock goes on.
    Pass,
    /// The user authorizes, and the application puts the secret into the vault: now, or whenever it gets to it.
    Authorize(Grant, Delivery),
    /// The application replaces the static secret.
    Rotate,
    /// An operation begins, and decides.
    Begin(Intent, Write),
    /// A process decides what it is at.
    Decide(Intent, Write),
    /// A process reads, and is suspended.
    Doze(Intent),
    /// It goes on.
    Wake(Sleeper),
    Send(Request, Fate),
    /// A request reaches the service after its process has given up waiting.
    Arrive(Call, Secret),
    /// The user ends the grant at the service.
    EndGrant(u8),
    /// The upkeep deletes what has expired.
    Purge,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Delivery {
    AtOnce(Write),
    Later,
}

impl Model for Account {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        let mut world = World {
            now: 0,
            slot: Arc::new(Slot { generation: LAST, ..Slot::default() }),
            version: 0,
            flights: Vec::new(),
            grants: Vec::new(),
            newest: 0,
            last: None,
            left: self.setup.left,
            fouls: Fouls::default(),
        };
        for _ in 0..self.setup.pending {
            self.put(&mut world, Grant::new(false, Owner::A));
            let by = Operation(0);
            self.commit(&mut world, Intent::Revoke { whom: None, by }, Write::Confirmed);
            world.flights.clear();
            let secret = Secret::first(world.grants.len() - 1);
            self.commit(&mut world, Intent::Told { secret, told: Told::Unavailable, by }, Write::Confirmed);
            self.rest(&mut world);
        }
        self.put(&mut world, Grant::new(false, Owner::A));
        vec![world]
    }

    fn actions(&self, world: &World, steps: &mut Vec<Step>) {
        let left = world.left;
        if world.now < self.setup.end {
            steps.push(Step::Pass);
        }
        self.add_puts(world, steps);
        for intent in self.beginnings(world) {
            steps.push(Step::Begin(intent, Write::Confirmed));
            if left.faults > 0 && !matches!(intent, Intent::Revoke { .. }) {
                steps.push(Step::Begin(intent, Write::Unconfirmed));
            }
            if left.sleeps > 0 {
                steps.push(Step::Doze(intent));
            }
        }
        for flight in &world.flights {
            match flight {
                Flight::Decide(intent) => {
                    steps.push(Step::Decide(*intent, Write::Confirmed));
                    if left.faults > 0 && !matches!(intent, Intent::Put { .. } | Intent::Revoke { .. }) {
                        steps.push(Step::Decide(*intent, Write::Unconfirmed));
                    }
                    if left.sleeps > 0 {
                        steps.push(Step::Doze(*intent));
                    }
                }
                Flight::Send(request) => {
                    steps.push(Step::Send(*request, Fate::Answered));
                    if left.faults > 0 {
                        steps.extend([Fate::Unavailable, Fate::Lost].map(|fate| Step::Send(*request, fate)));
                    }
                }
                Flight::Late(call, secret) => steps.push(Step::Arrive(*call, *secret)),
                Flight::Asleep(sleeper) => steps.push(Step::Wake(sleeper.clone())),
            }
        }
        if left.faults > 0 && self.setup.user_ends_grants {
            let alive = |at: &u8| {
                let grant = &world.grants[usize::from(*at)];
                !grant.is_static && grant.live.is_some()
            };
            steps.extend((0..world.grants.len() as u8).filter(alive).map(Step::EndGrant));
        }
        if self.setup.left.sleeps > 0 && world.slot.is_empty() {
            steps.push(Step::Purge);
        }
    }

    fn next_state(&self, world: &World, step: Step) -> Option<World> {
        let mut next = world.clone();
        let changes = match step {
            Step::Pass => {
                self.let_pass(&mut next);
                self.is_waiting(world) || next != World { now: next.now, ..world.clone() }
            }
            Step::Authorize(grant, delivery) => {
                next.left.puts -= 1;
                match delivery {
                    Delivery::AtOnce(Write::Confirmed) => self.put(&mut next, grant),
                    Delivery::AtOnce(Write::Unconfirmed) => {
                        next.left.faults -= 1;
                        next.grants.push(grant);
                        let intent = Intent::Put { grant: next.grants.len() as u8 - 1 };
                        self.commit(&mut next, intent, Write::Unconfirmed);
                    }
                    Delivery::Later => {
                        next.grants.push(grant);
                        next.take_off(Flight::Decide(Intent::Put { grant: next.grants.len() as u8 - 1 }));
                    }
                }
                true
            }
            Step::Rotate => {
                next.left.puts -= 1;
                let old = next.slot.current.as_ref().map(|live| Secret::of(live.held.id))?;
                let grant = next.grant_mut(old);
                grant.live = None;
                let new = Grant::new(true, grant.owner);
                next.grants.push(new);
                let intent = Intent::Rotate { grant: next.grants.len() as u8 - 1 };
                self.commit(&mut next, intent, Write::Confirmed)
            }
            Step::Begin(intent, how) => {
                spend(&mut next, intent, how);
                self.commit(&mut next, intent, how)
            }
            Step::Decide(intent, how) => {
                next.land(&Flight::Decide(intent));
                spend_fault(&mut next, how);
                // A write that changes nothing is always confirmed.
                self.commit(&mut next, intent, how) || how == Write::Confirmed
            }
            Step::Doze(intent) => {
                let flight = Flight::Decide(intent);
                if next.flights.contains(&flight) {
                    next.land(&flight)
                } else {
                    spend(&mut next, intent, Write::Confirmed)
                }
                next.left.sleeps -= 1;
                let sleeper = Sleeper { intent, loaded: next.slot.clone(), version: next.version, at: next.now };
                next.take_off(Flight::Asleep(sleeper));
                true
            }
            Step::Wake(sleeper) => {
                next.land(&Flight::Asleep(sleeper.clone()));
                let Sleeper { intent, loaded, version, at } = sleeper;
                if version == next.version {
                    self.see(Sight::SleeperWrites);
                    self.commit_on(&mut next, intent, Write::Confirmed, &loaded, at);
                    self.settle_times(&mut next);
                } else {
                    self.see(Sight::SleeperConflicts);
                    next.take_off(Flight::Decide(intent));
                }
                true
            }
            Step::Send(request, fate) => {
                next.land(&Flight::Send(request));
                next.left.faults -= u8::from(fate != Fate::Answered);
                self.carry_out(&mut next, request, fate);
                true
            }
            Step::Arrive(call, secret) => {
                next.land(&Flight::Late(call, secret));
                match call {
                    Call::Refresh => drop(self.present(&mut next, secret)),
                    Call::Tell => drop(self.revoke(&mut next, secret)),
                }
                true
            }
            Step::EndGrant(grant) => {
                next.left.faults -= 1;
                next.grants[usize::from(grant)].live = None;
                true
            }
            Step::Purge => {
                self.see(Sight::Purged);
                // The record of an account never expires, and its version never starts again.
                let restarts = self.setup.flaw == Some(Flaw::VersionsRestart) && next.version > 0;
                if restarts {
                    next.version = 0;
                }
                restarts
            }
        };
        // What changes nothing only leaves less to happen.
        (changes || next.fouls != world.fouls).then(|| self.canonical(next))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all(&self.setup)
    }
}

impl Account {
    /// Whether something depends on the time beyond the next step. Where nothing does, and where a step of the clock changes
    /// nothing, it only leaves less time.
    fn is_waiting(&self, world: &World) -> bool {
        let is_asleep = world.flights.iter().any(|flight| matches!(flight, Flight::Asleep(_)));
        is_asleep || self.setup.claim > 1 || self.setup.expiry.is_some()
    }

    fn put(&self, world: &mut World, grant: Grant) {
        world.grants.push(grant);
        let grant = world.grants.len() as u8 - 1;
        self.commit(world, Intent::Put { grant }, Write::Confirmed);
    }

    fn add_puts(&self, world: &World, steps: &mut Vec<Step>) {
        if world.left.puts == 0 {
            return;
        }
        let owners: &[Owner] = if self.setup.two_owners { &[Owner::A, Owner::B] } else { &[Owner::A] };
        let kinds: &[bool] = if self.setup.statics { &[false, true] } else { &[false] };
        for grant in owners.iter().flat_map(|owner| kinds.iter().map(|is_static| Grant::new(*is_static, *owner))) {
            // Only with such a service it makes a difference when the secret arrives.
            let later = self.setup.whole_grants;
            let delivery = if later { Delivery::Later } else { Delivery::AtOnce(Write::Confirmed) };
            steps.push(Step::Authorize(grant, delivery));
            if self.setup.flaw == Some(Flaw::PutsAgain) && world.left.faults > 0 {
                steps.push(Step::Authorize(grant, Delivery::AtOnce(Write::Unconfirmed)));
            }
        }
        let current = world.slot.current.as_ref().map(|live| world.grant(Secret::of(live.held.id)));
        if current.is_some_and(|grant| grant.is_static) {
            steps.push(Step::Rotate);
        }
    }

    /// What can begin with what is there.
    fn beginnings(&self, world: &World) -> Vec<Intent> {
        let (left, by) = (world.left, free_name(world));
        let mut all = Vec::new();
        let owners: &[Owner] = if self.setup.two_owners { &[Owner::A, Owner::B] } else { &[Owner::A] };
        if world.slot.current.is_some() {
            if left.leases > 0 {
                all.extend(owners.iter().map(|owner| Intent::Lease { owner: *owner, by }));
            }
            if left.revokes > 0 {
                all.push(Intent::Revoke { whom: None, by });
                if self.setup.two_owners {
                    all.extend(owners.iter().map(|owner| Intent::Revoke { whom: Some(*owner), by }));
                }
            }
        }
        if left.ticks > 0 && !world.slot.ending.is_empty() {
            all.push(Intent::Tick { by });
        }
        all
    }
}

fn spend(world: &mut World, intent: Intent, how: Write) {
    let left = &mut world.left;
    match intent {
        Intent::Lease { .. } => left.leases -= 1,
        Intent::Revoke { .. } => left.revokes -= 1,
        Intent::Tick { .. } => left.ticks -= 1,
        Intent::Put { .. } | Intent::Rotate { .. } | Intent::Answered { .. } | Intent::Told { .. } => {}
    }
    spend_fault(world, how);
}

fn spend_fault(world: &mut World, how: Write) {
    world.left.faults -= u8::from(how == Write::Unconfirmed);
}

/// A name that no operation has.
fn free_name(world: &World) -> Operation {
    let mut slot = (*world.slot).clone();
    let mut names: Vec<_> = claims(&mut slot).map(|claim| Operation::of(claim.by)).collect();
    names.extend(world.flights.iter().cloned().filter_map(|mut flight| operation_of(&mut flight).copied()));
    let mut loaded = world.flights.iter().filter_map(|flight| match flight {
        Flight::Asleep(sleeper) => Some((*sleeper.loaded).clone()),
        _ => None,
    });
    names.extend(
        loaded.by_ref().flat_map(|mut slot| claims(&mut slot).map(|claim| Operation::of(claim.by)).collect::<Vec<_>>()),
    );
    (0..).map(Operation).find(|name| !names.contains(name)).unwrap_or(Operation(0))
}
