//! What can happen next.

use stateright::{Model, Property};

use crate::deployment::Deployment;
use crate::node::Attempt;
use crate::properties;
use crate::request::{Call, Fate, Reply, Request};
use crate::setup::{Flaw, LEEWAY};
use crate::tokens::{Token, Tokens};
use crate::world::{Errand, Exchange, Party, Race, Who, Work, World};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    Tick,
    /// The thief copies what the victim holds.
    Steal,
    /// A request sets out, or one more copy of it.
    Send(Who, Token),
    /// An idle node receives a copy that the client sent before it turned to a newer token.
    Straggle(Token),
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
            let Party { tokens, former, exchange } = *world.party(who);
            if self.setup.stragglers && idle {
                steps.extend(former.iter().filter(|token| is_in_time(world, *token)).map(Step::Straggle));
            }
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
            Step::GoOn(Work::Answering(errand, loaded, reply)) => {
                let request = Request::whole(errand.call, errand.token);
                let again = match self.setup.flaw {
                    // What was decided at the load is answered, if nothing has changed since.
                    Some(Flaw::OneLook) => Attempt { write: None, reply },
                    _ if world.store == loaded => Attempt { write: None, reply },
                    _ => self.look_again(loaded, world.store, request, world.now),
                };
                let decided = again.write.map(|write| Work::Decided(errand, write, again.reply));
                next.turn(Some(Work::Answering(errand, loaded, reply)), decided);
                if decided.is_none() {
                    self.conclude(&mut next, errand, again.reply);
                }
            }
            Step::GoOn(Work::Conflict(errand)) => {
                next.turn(Some(Work::Conflict(errand)), None);
                self.decide(&mut next, errand);
            }
            Step::Deliver(Who::Victim, token) => {
                let victim = next.party_mut(Who::Victim);
                if !victim.tokens.contains(token) {
                    if self.setup.stragglers {
                        victim.tokens.iter().for_each(|former| victim.former.insert(former));
                    }
                    victim.tokens = token.into();
                }
            }
            Step::Straggle(token) => self.decide(&mut next, Errand { who: Who::Victim, call: Call::Straggle, token }),
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
    let late = |work: Work| work.errand().call == Call::Straggle && !would_be_in_time(world, work.errand().token, 1);
    if world.works().any(late) {
        return false;
    }
    let is_busy = world.is_waiting(Who::Victim) || !world.is_settled(Who::Victim);
    let deadline = world.party(Who::Victim).exchange.and_then(|exchange| exchange.deadline);
    deadline.is_none_or(|deadline| !is_busy || world.now + 1 < deadline)
}

/// Whether a request with a spent token that arrives now comes within the leeway of that token.
fn is_in_time(world: &World, token: Token) -> bool {
    would_be_in_time(world, token, 0)
}

fn would_be_in_time(world: &World, token: Token, ticks_from_now: u8) -> bool {
    world.minted.spent_at(token).is_some_and(|spent| world.now + ticks_from_now < spent + LEEWAY)
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

    /// The first half of a node's work. What issues nothing and needs no write is concluded as of the load.
    fn decide(&self, world: &mut World, errand: Errand) {
        let request = Request::whole(errand.call, errand.token);
        let Attempt { write, reply } = self.attempt(world.store, request, world.now);
        match (write, reply) {
            (Some(write), _) => world.turn(None, Some(Work::Decided(errand, write, reply))),
            (None, Reply::Tokens { .. }) => {
                let loaded = world.store;
                world.turn(None, Some(Work::Answering(errand, loaded, reply)));
            }
            (None, _) => self.conclude(world, errand, reply),
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
        if errand.call == Call::Straggle {
            world.fouls.logged_out |= self.setup.in_time && reply == Reply::Nothing;
        }
        if errand.call != Call::Exchange {
            return;
        }
        take_turn(world, errand, reply);
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
fn take_turn(world: &mut World, Errand { who, token, .. }: Errand, reply: Reply) {
    let is_stolen = !world.party(Who::Thief).tokens.is_empty();
    let Race { leader, apart, ahead } = world.race;
    let is_other = leader.is_some_and(|leader| leader != who);
    world.race = match reply {
        // The fourth use within a leeway keeps the token.
        Reply::Tokens { retry: false, refresh } if is_stolen && refresh != token => {
            Race { leader: Some(who), apart: apart + 1, ahead: if is_other { 1 } else { ahead + 1 } }
        }
        // Within the leeway of what it holds, however many rotations ago that was spent.
        Reply::Tokens { retry: true, .. } if is_other => Race::default(),
        _ if is_other => Race { ahead: 0, ..world.race },
        _ => world.race,
    }
}
