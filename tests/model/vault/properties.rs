//! What must hold in every state, and what must happen in some, lest the model checks nothing.

use mcp_token_lifecycle::vault::decision::{MAX_ENDING, Phase, Step};
use stateright::Property;

use crate::account::{Account, Sight};
use crate::names::Secret;
use crate::setup::Setup;
use crate::world::{Flight, Foul, Intent, World};

pub const ONCE: &str =
    "a: a refresh token is presented twice only if it is on record that the first answer may be lost";
pub const REVOKED_STAYS_REVOKED: &str = "b: what was revoked is never current or leased again";
pub const NEWEST_STAYS: &str = "c: tokens of an old authorization never take the place of a new one";
pub const REVOCATION_ENDS: &str = "d: a revocation is pending, or its end was reported";
pub const NOTHING_IS_LOST: &str = "e: what the service honours is in the slot, on its way into it, or was reported";
pub const BOUND_HOLDS: &str = "f: at most four revocations are pending, and none of them vanishes without a report";
pub const KEYS_ARE_FORGOTTEN: &str = "g: a static secret is never reported as revoked at the service";
pub const NEW_GRANT_LIVES: &str =
    "h: a service that revokes whole grants is told of none that is older than the vault's";
pub const OWNERS_ARE_APART: &str = "i: a lease and a revocation reach only the secret that they mean";

pub fn all(setup: &Setup) -> Vec<Property<Account>> {
    let mut all = vec![
        Property::always(ONCE, |_, world: &World| !world.fouls.has(Foul::PresentedTwice)),
        Property::always(REVOKED_STAYS_REVOKED, |_, world: &World| {
            let is_current = current(world).is_some_and(|secret| world.grant(secret).revoked);
            !is_current && !world.fouls.has(Foul::LeasedRevoked)
        }),
        Property::always(NEWEST_STAYS, |_, world: &World| {
            current(world).is_none_or(|secret| secret.grant == world.newest)
        }),
        Property::always(REVOCATION_ENDS, |_, world: &World| {
            let is_pending =
                |at: usize| world.slot.ending.iter().any(|it| usize::from(Secret::of(it.held.id).grant) == at);
            let mut all = world.grants.iter().enumerate();
            all.all(|(at, grant)| !grant.revoked || grant.ended || is_pending(at))
        }),
        Property::always(NOTHING_IS_LOST, |_, world: &World| {
            let mut alive = (0..).zip(&world.grants).filter_map(|(grant, it)| Some(Secret { grant, depth: it.live? }));
            !world.fouls.has(Foul::LostTokens) && alive.all(|secret| is_accounted_for(world, secret))
        }),
        Property::always(BOUND_HOLDS, |_, world: &World| {
            world.slot.ending.len() <= MAX_ENDING && !world.fouls.has(Foul::Vanished)
        }),
        Property::always(KEYS_ARE_FORGOTTEN, |_, world: &World| !world.fouls.has(Foul::KeyRevoked)),
        Property::always(NEW_GRANT_LIVES, |_, world: &World| !world.fouls.has(Foul::ToldOfOlder)),
        Property::always(OWNERS_ARE_APART, |_, world: &World| !world.fouls.has(Foul::OtherOwner)),
    ];
    let sights = sights(setup);
    macro_rules! sometimes {
        ($($sight:ident: $text:literal;)+) => {$(
            if sights.contains(&Sight::$sight) {
                all.push(Property::sometimes($text, |account: &Account, _| account.has_seen(Sight::$sight)));
            }
        )+};
    }
    sometimes! {
        PresentedTwice: "a token whose answer may be lost is presented again";
        ClaimTakenOver: "a claim that is over is taken over";
        NotSent: "a claim ends before the request is sent";
        DecidedAgain: "an operation finds its own claim";
        RevokedWhileRefreshing: "a secret is revoked while it is refreshed";
        LateTokensRevoked: "late tokens of what is gone are revoked";
        LateTokensDropped: "late tokens beside another authorization are dropped";
        Revoked: "a revocation comes to its end";
        AbandonedInDoubt: "a revocation is abandoned because an answer was lost";
        AbandonedExpired: "a revocation is abandoned because the secret has expired";
        AbandonedForBound: "the oldest revocation is abandoned for the bound";
        OutboxFull: "as many revocations as possible are pending";
        Forgotten: "a static secret is forgotten";
        NeedsAuthorization: "the user has to authorize again";
        Replaced: "a secret is replaced";
        UnderWayEndsNewGrant: "a request that was under way before a put ends the new grant";
        Cancelled: "a new authorization cancels a pending revocation";
        OtherOwnerRefused: "a lease for another session is refused";
        SleeperConflicts: "a process that slept finds that its record has changed";
        SleeperWrites: "a process that slept finds its record unchanged";
        Purged: "an empty record meets the purge";
    }
    all
}

/// What must happen under `setup`.
fn sights(setup: &Setup) -> Vec<Sight> {
    let left = setup.left;
    let has_faults = left.faults > 0;
    let has_both = left.revokes > 0 && left.leases > 0;
    let mut all = vec![Sight::Revoked];
    let mut add = |condition: bool, sights: &[Sight]| {
        if condition {
            all.extend(sights);
        }
    };
    add(left.puts > 0, &[Sight::Replaced]);
    add(has_both, &[Sight::RevokedWhileRefreshing]);
    add(setup.end > 0 && has_both && left.ticks > 0, &[Sight::ClaimTakenOver, Sight::NotSent]);
    add(left.leases > 1 && has_faults, &[Sight::PresentedTwice, Sight::NeedsAuthorization]);
    add(has_faults && left.ticks > 0 && left.leases > 0, &[Sight::DecidedAgain]);
    add(has_faults && setup.needs_live_token && left.ticks > 0 && left.leases > 0, &[Sight::AbandonedInDoubt]);
    add(left.puts > 0 && left.leases > 0, &[Sight::LateTokensDropped]);
    add(left.puts > 0 && has_both, &[Sight::LateTokensRevoked]);
    add(setup.pending > 0, &[Sight::OutboxFull, Sight::AbandonedForBound]);
    add(setup.statics, &[Sight::Forgotten]);
    add(setup.whole_grants, &[Sight::Cancelled, Sight::UnderWayEndsNewGrant]);
    add(setup.two_owners, &[Sight::OtherOwnerRefused]);
    add(setup.expiry.is_some(), &[Sight::AbandonedExpired]);
    add(left.sleeps > 0, &[Sight::SleeperConflicts, Sight::SleeperWrites, Sight::Purged]);
    all
}

fn current(world: &World) -> Option<Secret> {
    world.slot.current.as_ref().map(|live| Secret::of(live.held.id))
}

/// Whether a secret that the service honours is in the slot, itself or as the unknown successor of one that is; on its way
/// into it; or reported. Tokens that only a process holds do not count: it can stop at any point.
fn is_accounted_for(world: &World, secret: Secret) -> bool {
    let current = world.slot.current.iter();
    let current = current.map(|it| (it.held.id, it.in_doubt || matches!(it.phase, Phase::Refreshing(_))));
    let ending = world.slot.ending.iter();
    let ending = ending.map(|it| (it.held.id, it.in_doubt || matches!(it.step, Step::Refreshing(_))));
    let is_in_slot = current.chain(ending).any(|(id, may_have_successors)| {
        let held = Secret::of(id);
        held == secret || held.grant == secret.grant && held.depth < secret.depth && may_have_successors
    });
    let put = Flight::Decide(Intent::Put { grant: secret.grant });
    is_in_slot || world.grant(secret).given_up & secret.bit() != 0 || world.flights.contains(&put)
}
