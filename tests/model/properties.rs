//! What must hold in every state, and what must happen in some, lest the model checks nothing.

use std::time::Duration;

use stateright::Property;

use crate::deployment::Deployment;
use crate::request::{Call, Fate};
use crate::setup::{LEEWAY, Setup};
use crate::world::{Who, Work, World};

/// Once a reuse or a revocation is committed, no live check and no refresh accepts anything of the family any more: none did,
/// and none would now, for any token that it is asked about.
pub const DEAD_STAYS_DEAD: &str = "a: nothing of a dead family is accepted";
/// A client alone with the network is never refused, even if messages are lost or come twice, if each of its requests reaches a node
/// less than a leeway after it first sent that token. With an open lost-response window: less than a window after.
pub const HONEST_STAYS_IN: &str = "b: an honest client is never logged out";
/// Of all tokens that were ever handed out at most one would be rotated now. Every other answer is a retry, and
/// gets that same one.
pub const ONE_SUCCESSOR: &str = "c: there are never two live successors";
/// Client and thief hold the same token when it is stolen, and again when one of them asks within the leeway of the other's
/// rotation. From the last such moment on there are at most two rotations, if both go on refreshing: if neither rotates more
/// than twice before the other's next turn.
pub const THEFT_ENDS: &str = "d: a theft is followed by two rotations at most";
/// And it is not merely stuck then: a refusal of a genuine token leaves a dead family behind.
pub const REFUSAL_KILLS: &str = "d: a refusal leaves a dead family";
/// A request with a token that is not genuine, by another client, or without the binding leads to no write and to no tokens.
pub const NO_INTRUSION: &str = "e: only a rightful request changes state";

type Claim = Property<Deployment>;

pub fn all(setup: &Setup) -> Vec<Claim> {
    let mut all = vec![
        Claim::always(DEAD_STAYS_DEAD, |deployment, world| {
            let outlook = deployment.outlook(world);
            let is_dead = outlook.rotated.is_empty() && outlook.repeated.is_empty() && outlook.live.is_empty();
            !world.fouls.resurrected && (is_dead || !world.dead)
        }),
        Claim::always(HONEST_STAYS_IN, |_, world| !world.fouls.logged_out),
        Claim::always(ONE_SUCCESSOR, |deployment, world| {
            let outlook = deployment.outlook(world);
            outlook.rotated.len() <= 1 && outlook.repeated.is_subset(outlook.rotated)
        }),
        Claim::always(THEFT_ENDS, |_, world| world.race.apart <= 2),
        Claim::always(REFUSAL_KILLS, |_, world| !world.fouls.survived),
        Claim::always(NO_INTRUSION, |deployment, world| deployment.outlook(world).intrusion.is_none()),
        Claim::sometimes("a token is rotated", |_, world| world.minted.len() > 2),
        Claim::sometimes("a commit meets a conflict", |_, world| {
            world.works().any(|work| matches!(work, Work::Conflict(_)))
        }),
        Claim::sometimes("a response is lost", |_, world| {
            let exchange = world.party(Who::Victim).exchange;
            let is_lost = exchange
                .is_some_and(|exchange| exchange.responses.is_empty() && world.minted.newest() > Some(exchange.token));
            is_lost && world.is_waiting(Who::Victim) && world.is_settled(Who::Victim)
        }),
    ];
    if setup.policy().reuse_leeway() > Duration::ZERO {
        all.push(Claim::sometimes("a retry gets the successor", repeats));
    }
    if setup.window.is_some() {
        all.push(Claim::sometimes("a retry gets the successor after the leeway", |deployment, world| {
            let elapsed = world.minted.newest().map(|token| world.now - token.issued());
            elapsed >= Some(LEEWAY) && repeats(deployment, world)
        }));
    }
    if setup.thief {
        all.push(Claim::sometimes("client and thief are two rotations apart", |_, world| world.race.apart == 2));
        all.push(Claim::sometimes("a reuse is detected", |_, world| world.store.fate == Fate::Reused));
    }
    if setup.logout {
        all.push(Claim::sometimes("a revocation races a refresh", |_, world| {
            let is_at = |call| world.works().any(|work| work.errand().call == call);
            is_at(Call::Exchange) && is_at(Call::Revoke)
        }));
    }
    all
}

fn repeats(deployment: &Deployment, world: &World) -> bool {
    !deployment.outlook(world).repeated.is_empty()
}
