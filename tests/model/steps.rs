//! What can happen next.

use stateright::{Model, Property};

use crate::deployment::Deployment;
use crate::node::Attempt;
use crate::properties;
use crate::request::{Call, Fate, Reply, Request};
use crate::setup::Flaw;
use crate::tokens::{Token, Tokens};
use crate::world::{Errand, Exchange, Party, Race, Who, Work, World};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    Tick,
    /// The thief copies what the victim holds.
    Steal,
    /// A request sets out, or one more copy of it.
    Send(Who, Token),
    /// An idle node receives a copy, loads the record and decides.
    Receive(Who),
    /// A node commits; after a conflict it loads and decides again.
    GoOn(Work),
    /// A response arrives, perhaps not for the first time.
    Deliver(Who, Token),
    /// All that is under way between the victim and the nodes is lost.
    Lose,
    /// A resource server asks an idle node about an access token of the party.
    CheckLive(Who, Token),
    LogOut(Token),
}

impl Model for Deployment {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        vec![self.start]
    }

    fn actions(&self, world: &World, steps: &mut Vec<Step>) {
        let idle = world.has_idle_node();
        if may_tick(world) {
            steps.push(Step::Tick);
        }
        if self.setup.thief && world.party(Who::Thief).tokens.is_empty() {
            steps.push(Step::Steal);
        }
        for who in [Who::Victim, Who::Thief] {
            let Party { tokens, exchange } = *world.party(who);
            for token in tokens.iter() {
                if may_send(world, who, token) {
                    steps.push(Step::Send(who, token));
                }
                if idle && !token.is_code() && world.is_settled(who) {
                    steps.push(Step::CheckLive(who, token));
                }
            }
            if let Some(Exchange { request, responses, .. }) = exchange {
                if idle && request {
                    steps.push(Step::Receive(who));
                }
                steps.extend(responses.iter().map(|token| Step::Deliver(who, token)));
                // What a thief loses makes it no more dangerous.
                if who == Who::Victim && (request || !responses.is_empty()) {
                    steps.push(Step::Lose);
                }
            }
        }
        steps.extend(world.works().map(Step::GoOn));
        if self.setup.logout && idle {
            steps.extend(world.party(Who::Victim).tokens.iter().map(Step::LogOut));
        }
    }

    fn next_state(&self, world: &World, step: Step) -> Option<World> {
        let mut next = *world;
        match step {
            Step::Tick => next.now += 1,
            Step::Steal => next.party_mut(Who::Thief).tokens = world.party(Who::Victim).tokens,
            Step::Send(who, token) => self.send(&mut next, who, token),
            Step::Receive(who) => {
                let exchange = next.party_mut(who).exchange.as_mut()?;
                exchange.request = false;
                let token = exchange.token;
                self.decide(&mut next, Errand { who, call: Call::Exchange, token });
            }
            Step::GoOn(Work::Decided(errand, write, reply)) => {
                let applies = self.may_commit(world, write.version);
                next.turn(Some(Work::Decided(errand, write, reply)), (!applies).then_some(Work::Conflict(errand)));
                if applies {
                    next.store = write;
                    self.conclude(&mut next, errand, reply);
                }
            }
            Step::GoOn(Work::Conflict(errand)) => {
                next.turn(Some(Work::Conflict(errand)), None);
                self.decide(&mut next, errand);
            }
            Step::Deliver(Who::Victim, token) => next.party_mut(Who::Victim).tokens = token.into(),
            Step::Deliver(Who::Thief, token) => next.party_mut(Who::Thief).tokens.insert(token),
            Step::Lose => {
                let exchange = next.party_mut(Who::Victim).exchange.as_mut()?;
                *exchange = Exchange { request: false, responses: Tokens::NONE, ..*exchange };
            }
            Step::CheckLive(who, token) => self.decide(&mut next, Errand { who, call: Call::Live, token }),
            Step::LogOut(token) => self.decide(&mut next, Errand { who: Who::Victim, call: Call::Revoke, token }),
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all(&self.setup)
    }

    fn within_boundary(&self, world: &World) -> bool {
        world.now <= self.setup.horizon && world.store.version <= self.setup.versions
    }
}

/// Time does not run away from a client that is to be in time.
fn may_tick(world: &World) -> bool {
    let is_busy = world.is_waiting(Who::Victim) || !world.is_settled(Who::Victim);
    let deadline = world.party(Who::Victim).exchange.and_then(|exchange| exchange.deadline);
    deadline.is_none_or(|deadline| !is_busy || world.now + 1 < deadline)
}

/// A client turns to its new token when none of its requests with the old one is under way any more. Once there is a thief,
/// both go on refreshing: neither rotates more than twice before the other's next turn.
fn may_send(world: &World, who: Who, token: Token) -> bool {
    let has_turn = world.race.leader != Some(who) || world.race.ahead < 2;
    has_turn
        && match world.party(who).exchange {
            Some(exchange) if exchange.token == token => !exchange.request,
            _ => world.is_settled(who),
        }
}

impl Deployment {
    fn send(&self, world: &mut World, who: Who, token: Token) {
        let deadline = self.setup.in_time.then_some(world.now + self.setup.patience());
        match &mut world.party_mut(who).exchange {
            Some(exchange) if exchange.token == token => exchange.request = true,
            exchange => *exchange = Some(Exchange { token, deadline, request: true, responses: Tokens::NONE }),
        }
    }

    /// The first half of a node's work. What needs no write is concluded as of the load.
    fn decide(&self, world: &mut World, errand: Errand) {
        let request = Request::whole(errand.call, errand.token);
        let Attempt { write, reply } = self.attempt(world.store, request, world.now);
        match write {
            Some(write) => world.turn(None, Some(Work::Decided(errand, write, reply))),
            None => self.conclude(world, errand, reply),
        }
    }

    /// Compare and swap.
    fn may_commit(&self, world: &World, version: u64) -> bool {
        version == world.store.version + 1 || matches!(self.setup.flaw, Some(Flaw::BlindCommit))
    }

    /// The second half: the write, if there is one, is in the store, and the reply sets out.
    fn conclude(&self, world: &mut World, errand: Errand, reply: Reply) {
        world.fouls.resurrected |= world.dead && reply != Reply::Nothing;
        world.dead |= world.store.fate != Fate::Alive;
        if errand.call != Call::Exchange {
            return;
        }
        take_turn(world, errand.who, reply);
        match (reply, &mut world.party_mut(errand.who).exchange) {
            (Reply::Tokens { refresh, .. }, Some(exchange)) => {
                exchange.responses.insert(refresh);
                world.minted.insert(refresh);
            }
            _ if self.setup.in_time => world.fouls.logged_out = true,
            _ => world.fouls.survived |= !world.dead,
        }
    }
}

/// A node has answered `who`.
fn take_turn(world: &mut World, who: Who, reply: Reply) {
    let is_stolen = !world.party(Who::Thief).tokens.is_empty();
    let Race { leader, apart, ahead } = world.race;
    let is_other = leader.is_some_and(|leader| leader != who);
    world.race = match reply {
        Reply::Tokens { retry: false, .. } if is_stolen => {
            Race { leader: Some(who), apart: apart + 1, ahead: if is_other { 1 } else { ahead + 1 } }
        }
        // Two rotations back nothing is a retry any more.
        Reply::Tokens { retry: true, .. } if is_other && apart == 1 => Race::default(),
        _ if is_other => Race { ahead: 0, ..world.race },
        _ => world.race,
    }
}
