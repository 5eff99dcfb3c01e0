//! The claim on a refresh: a holder that never returns blocks nobody for long, and one that wakes late overwrites nothing.

use std::sync::Arc;
use std::time::Duration;

use mcp_token_lifecycle::vault::{BoundTo, CredentialState, LeaseError};
use mcp_token_lifecycle::{Clock, MemoryStore, Select, TokenStore};

use crate::service::{DOWN, Gate, Service, Step, access_token};
use crate::support::pausing::Pausing;
use crate::support::{Fault, Op, TestClock, block_on};
use crate::world::*;

/// A world whose token has expired, and whose first refresh hangs at `step`.
fn hanging(service: Service, step: impl FnOnce(Gate) -> Step) -> (World<Flaky>, Gate) {
    let world = world_with(service);
    world.put();
    let gate = Gate::default();
    world.service.then(step(gate.clone()));
    world.pass(1_000);
    assert!(matches!(world.lease(), Err(LeaseError::Unavailable { .. })));
    world.told();
    (world, gate)
}

#[test]
fn claim_of_a_dead_holder_is_taken_over_when_it_ends() {
    let (world, _gate) = hanging(Service::default(), Step::HoldRequest);
    world.sim.crash();
    // 20 of the claim's 30 seconds are over.
    world.pass(5);
    let began = world.sim.now();
    assert_eq!(secret(&world.sim.run(world.twin().lease(&user(), &need())).unwrap()), access_token(1));
    assert_eq!(world.sim.now().since(began), Duration::from_secs(10));
    assert_eq!(world.service.refreshes(), 1);
}

#[test]
fn lease_that_waits_past_the_end_of_its_token_is_refused() {
    let (world, claims) = (world(), claims_for_now());
    world.put();
    world.service.then(Step::HoldRequest(Gate::default()));
    world.pass(claims.expires_at().since(world.sim.now()).as_secs() - 20);
    assert!(matches!(world.lease(), Err(LeaseError::Unavailable { .. })), "it takes 15 seconds to find out");
    world.sim.crash();
    // The claim ends in 15 seconds, and the token in five.
    let refused = world.sim.run(world.twin().lease(&claims, &need())).unwrap_err();
    assert!(matches!(refused, LeaseError::Expired), "{refused}");
    assert_eq!(world.service.refreshes(), 0);
    assert_eq!(secret(&world.sim.run(world.twin().lease(&user(), &need())).unwrap()), access_token(1));
}

/// A service that rotates would take its request for a theft: another has spent the refresh token by then.
#[test]
fn a_holder_that_wakes_past_its_claim_and_has_not_asked_yet_does_not_ask() {
    let claimed = |rounds: &usize| {
        let world = world_on(Arc::new(Pausing(MemoryStore::new())), Service::default());
        world.put();
        world.pass(1_000);
        assert!(world.sim.run_for(world.vault.lease(&user(), &need()), *rounds).is_none());
        let records = block_on(world.store.0.list(Select::All, None, 10)).unwrap().records;
        // The second version is the claim. Its writer does not know yet that it has written.
        records.iter().any(|record| record.version == 2).then_some(world)
    };
    let world = (0..).find_map(|rounds| claimed(&rounds)).unwrap();
    let twin = world.twin();
    // Only the one who takes over is polled; the other is frozen.
    let frozen = world.sim.freeze();
    world.pass(30);
    assert_eq!(secret(&world.sim.run(twin.lease(&user(), &need())).unwrap()), access_token(1));
    world.sim.thaw(frozen);
    world.sim.settle();
    assert_eq!(world.service.refreshes(), 1);
    assert_eq!(world.lease().unwrap(), access_token(1));
}

#[test]
fn a_lifetime_counts_from_the_request_and_not_from_the_answer() {
    let (world, gate) = hanging(Service::default(), Step::HoldAnswer);
    // The answer is 20 seconds on its way.
    world.pass(5);
    gate.open();
    world.sim.settle();
    let lease = world.sim.run(world.vault.lease(&user(), &need())).unwrap();
    assert_eq!(lease.expires_at().since(world.sim.now()), Duration::from_secs(980));
    // And so does one that the service does not repeat: it does not shrink from token to token.
    for number in 2..4 {
        world.service.then(Step::ExpiresIn(None));
        world.pass(1_000);
        let lease = world.sim.run(world.vault.lease(&user(), &need())).unwrap();
        assert_eq!(secret(&lease), access_token(number));
        assert_eq!(lease.expires_at().since(world.sim.now()), Duration::from_secs(1_000));
    }
}

#[test]
fn a_holder_that_wakes_late_does_not_overwrite_what_another_has_stored() {
    let (world, gate) = hanging(Service::with_leeway(), Step::HoldAnswer);
    let holder = world.sim.freeze();
    world.pass(15);
    // Its answer, held back, has the tokens of number 1; the leeway gives the same to the second.
    assert_eq!(world.lease().unwrap(), access_token(1));
    world.pass(1_000);
    assert_eq!(world.lease().unwrap(), access_token(2));
    world.told();
    gate.open();
    world.sim.thaw(holder);
    world.sim.settle();
    assert_eq!(world.told(), [("upstream_clock_stepped", None), ("upstream_superseded", None)]);
    assert_eq!(world.lease().unwrap(), access_token(2));
    world.pass(1_000);
    assert_eq!(world.lease().unwrap(), access_token(3), "the refresh token is still the newest");
}

/// The second attempt meets `invalid_grant`, because the first, whose answer is late, has rotated.
#[test]
fn a_late_success_rescues_what_another_attempt_has_given_up() {
    let (world, gate) = hanging(Service::default(), Step::HoldAnswer);
    let holder = world.sim.freeze();
    world.pass(15);
    assert!(matches!(world.lease(), Err(LeaseError::NeedsAuthorization { .. })));
    // The first holder has not come back, so its answer counts as lost.
    let refused = ("upstream_refuse", Some("needs_authorization"));
    assert_eq!(world.told(), [("upstream_needs_authorization", Some("upstream_answer_lost")), refused]);
    gate.open();
    world.sim.thaw(holder);
    world.sim.settle();
    assert_eq!(world.told(), [("upstream_refresh", None)]);
    assert_eq!(world.lease().unwrap(), access_token(1));
    world.pass(1_000);
    assert_eq!(world.lease().unwrap(), access_token(2));
}

#[test]
fn a_late_success_is_stored_while_another_holds_the_claim_and_that_ones_failure_changes_nothing() {
    let (world, first) = hanging(Service::default(), Step::HoldAnswer);
    let holder = world.sim.freeze();
    let second = Gate::default();
    world.service.then(Step::HoldAnswer(second.clone()));
    world.pass(15);
    assert!(matches!(world.lease(), Err(LeaseError::Unavailable { .. })));
    first.open();
    world.sim.thaw(holder);
    world.sim.run(async { world.sim.runtime_sleep(Duration::from_secs(1)).await });
    assert_eq!(world.lease().unwrap(), access_token(1));
    world.told();
    second.open();
    world.sim.settle();
    assert_eq!(world.told(), [("upstream_refresh_failed", Some("upstream_invalid_grant"))]);
    assert_eq!(world.lease().unwrap(), access_token(1));
}

#[test]
fn a_late_failure_does_not_end_the_claim_of_another() {
    let (world, first) = hanging(Service::default(), Step::HoldRequest);
    let holder = world.sim.freeze();
    let second = Gate::default();
    world.service.then(Step::HoldAnswer(second.clone()));
    world.pass(15);
    assert!(matches!(world.lease(), Err(LeaseError::Unavailable { .. })));
    // The second has rotated, so the first fails, and must not say that all is over.
    first.open();
    world.sim.thaw(holder);
    world.sim.run(async { world.sim.runtime_sleep(Duration::from_secs(1)).await });
    let [info] = &*world.sim.run(world.vault.list("user-1")).unwrap() else { panic!("one credential") };
    assert_eq!(info.state, CredentialState::Active);
    second.open();
    world.sim.settle();
    assert_eq!(world.lease().unwrap(), access_token(1));
}

#[test]
fn a_new_authorization_is_not_overwritten_by_a_refresh_of_the_old_one() {
    let (world, gate) = hanging(Service::default(), Step::HoldAnswer);
    world.put();
    world.told();
    gate.open();
    world.sim.settle();
    assert_eq!(world.told(), [("upstream_superseded", None)]);
    assert_eq!(world.lease().unwrap(), access_token(0));
}

/// What the refresh of the old one brings is revoked like the old one.
#[test]
fn a_credential_put_after_a_revocation_is_not_overwritten_and_what_comes_late_is_revoked() {
    let (world, gate) = hanging(Service::default(), Step::HoldAnswer);
    assert!(world.sim.run(world.vault.revoke(&account())).unwrap());
    world.sim.run(world.vault.put(&account(), api_key("new"), BoundTo::subject())).unwrap();
    world.told();
    gate.open();
    world.sim.settle();
    assert_eq!(world.told(), [("upstream_refresh", None), ("upstream_revoked", None)]);
    assert_eq!(world.service.revoked(), [access_token(1)]);
    assert_eq!(world.lease().unwrap(), "new");
}

/// The old one is gone when its new tokens arrive: they are revoked if nothing is there, and otherwise dropped, for revoking
/// them could end the grant of what is there.
#[test]
fn tokens_that_come_after_the_end_of_a_revocation_are_revoked_or_dropped() {
    for is_replaced in [false, true] {
        let (world, gate) = hanging(Service::default(), Step::HoldAnswer);
        let holder = world.sim.freeze();
        assert!(world.sim.run(world.vault.revoke(&account())).unwrap());
        if is_replaced {
            world.sim.run(world.vault.put(&account(), api_key("new"), BoundTo::subject())).unwrap();
        }
        world.pass(30);
        assert_eq!(world.sim.run(world.twin().retry_revocations()).unwrap(), 1);
        assert_eq!(world.told().last(), Some(&("upstream_revoked", Some("upstream_answer_lost"))));
        gate.open();
        world.sim.thaw(holder);
        world.sim.settle();
        let told: Vec<_> = world.told().into_iter().filter(|(act, _)| *act != "upstream_clock_stepped").collect();
        if is_replaced {
            assert_eq!(told, [("upstream_superseded", None)]);
            assert_eq!(world.lease().unwrap(), "new");
        } else {
            assert_eq!(told, [("upstream_revoke", None), ("upstream_revoked", None)]);
            assert_eq!(world.service.revoked(), [access_token(0), access_token(1)]);
        }
    }
}

/// The record stays, so its versions never begin anew.
#[test]
fn a_claim_on_what_was_revoked_and_purged_meanwhile_does_not_hit_what_was_put_in_its_place() {
    let world = Arc::new(world());
    world.put();
    world.pass(1_000);
    let during = world.clone();
    world.store.before_next_commit(move || {
        let (sim, twin) = (&during.sim, during.twin());
        assert!(sim.run(twin.revoke(&account())).unwrap());
        sim.run(twin.purge()).unwrap();
        sim.run(twin.put(&account(), api_key("new"), BoundTo::subject())).unwrap();
    });
    assert_eq!(world.lease().unwrap(), "new");
    assert_eq!(world.service.refreshes(), 0);
}

#[test]
fn a_failure_is_followed_by_a_pause_that_doubles() {
    let world = world();
    world.put();
    world.pass(1_000);
    let mut attempts = Vec::new();
    for second in 0..40 {
        world.service.then(DOWN);
        if matches!(world.lease(), Err(LeaseError::Unavailable { .. })) && told_a_failure(&world) {
            attempts.push(second);
        }
        world.pass(1);
    }
    // After pauses of 1, 2, 4, 8 and 16 seconds, less a quarter at most, in whole seconds.
    let pauses: Vec<_> = attempts.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let ranges = [1..=1, 2..=2, 3..=4, 6..=8, 12..=16];
    assert!(pauses.len() >= 5 && pauses.iter().zip(ranges).all(|(pause, range)| range.contains(pause)), "{pauses:?}");
}

fn told_a_failure(world: &World<Flaky>) -> bool {
    world.told().contains(&("upstream_refresh_failed", Some("upstream_unavailable")))
}

/// Both wrote claim number one, the store has taken the other's, and does not say whose.
#[test]
fn a_claim_that_was_not_confirmed_is_not_taken_for_ours_if_another_has_won() {
    let world = world();
    world.put();
    world.pass(1_000);
    let gate = Gate::default();
    world.service.then(Step::HoldAnswer(gate.clone()));
    let (twin, sim) = (world.twin(), world.sim.clone());
    // Ours is the operation after our look, and the other's look and claim.
    world.store.fail_after(4, Fault::UncertainUndone);
    world.store.before_next_commit(move || {
        assert!(sim.run_for(twin.lease(&user(), &need()), 1).is_none(), "it waits for the service");
    });
    assert!(matches!(world.lease(), Err(LeaseError::Unavailable { .. })));
    gate.open();
    world.sim.settle();
    assert_eq!(world.lease().unwrap(), access_token(1));
    assert_eq!(world.service.refreshes(), 1);
}

/// The holder has spent the refresh token and cannot write the new one. Another process that refreshes once the store is back
/// presents the spent one.
#[test]
fn a_claim_stands_still_while_the_store_is_away() {
    for downtime in [20, 60, 600] {
        let (world, gate) = hanging(Service::default(), Step::HoldAnswer);
        let twin = world.twin().with_policy(builder().patience(Duration::from_secs(5)).build().unwrap());
        let leased = || world.sim.run(twin.lease(&user(), &need())).map(|lease| secret(&lease));
        // 15 of the claim's 30 seconds are over.
        world.store.fail_every(Op::Get, Fault::Unavailable);
        assert!(matches!(leased(), Err(LeaseError::Fault(_))));
        // Only the one who takes over is polled; the holder is between two tries to write.
        let holder = world.sim.freeze();
        world.pass(downtime);
        world.store.heal();
        let refused = leased();
        let Err(LeaseError::Unavailable { retry_after, .. }) = refused else { panic!("{downtime}: {refused:?}") };
        assert!(!retry_after.is_zero(), "{downtime}: a client would come again at once");
        assert_eq!(world.service.refreshes(), 1, "{downtime}");
        world.sim.thaw(holder);
        gate.open();
        world.sim.settle();
        assert_eq!(leased().unwrap(), access_token(1), "{downtime}");
        assert_eq!(world.service.refreshes(), 1, "{downtime}");
    }
}

/// A holder that is gone blocks others after an outage for the length of a claim at most.
#[test]
fn a_claim_ends_after_an_outage_though_its_holder_is_gone() {
    let (world, _gate) = hanging(Service::default(), Step::HoldRequest);
    world.sim.crash();
    let twin = world.twin();
    let leased = || world.sim.run(twin.lease(&user(), &need())).map(|lease| secret(&lease));
    // 20 of the claim's 30 seconds are over.
    world.pass(5);
    world.store.fail_every(Op::Get, Fault::Unavailable);
    assert!(matches!(leased(), Err(LeaseError::Fault(_))));
    world.pass(3_000);
    world.store.heal();
    let began = world.sim.now();
    assert_eq!(leased().unwrap(), access_token(1));
    assert_eq!(world.sim.now().since(began), Duration::from_secs(10));
}

/// Two processes whose clocks differ: a service that rotates would take the second refresh for a theft.
#[test]
fn clocks_that_differ_within_the_skew_do_not_refresh_twice() {
    for (ahead, refreshes) in [(31, 1), (60, 1), (91, 2)] {
        let (world, gate) = hanging(Service::default(), Step::HoldAnswer);
        let policy = builder().clock_skew(Duration::from_secs(60)).patience(Duration::ZERO).build().unwrap();
        // The claim is 15 seconds old.
        let clock = TestClock::default();
        clock.advance(Duration::from_secs(world.sim.now_millis() / 1_000 + ahead));
        let twin = world.twin().with_policy(policy).with_clock(clock);
        let refused = world.sim.run(twin.lease(&user(), &need()));
        world.sim.run(async { world.sim.runtime_sleep(Duration::from_secs(1)).await });
        assert!(refused.is_err(), "{ahead}");
        assert_eq!(world.service.refreshes(), refreshes, "{ahead}");
        gate.open();
        world.sim.settle();
        assert_eq!(world.lease().unwrap(), access_token(1), "{ahead}");
    }
}

/// A pause that was written by a clock that is ahead by more than the policy allows does not count. A claim holds for its
/// length, counted from when it is found: its holder may be at work.
#[test]
fn a_clock_that_is_far_ahead_blocks_others_for_one_claim_at_most() {
    for fails in [false, true] {
        let world = world();
        world.put();
        let policy = builder().clock_skew(Duration::from_secs(60)).build().unwrap();
        let clock = TestClock::default();
        clock.advance(Duration::from_secs(1_000 + 1_800));
        let ahead = world.twin().with_policy(policy).with_clock(clock);
        let gate = Gate::default();
        world.service.then(if fails { DOWN } else { Step::HoldRequest(gate) });
        assert!(world.sim.run(ahead.lease(&user(), &need())).is_err());
        world.sim.crash();
        let twin = world.twin().with_policy(policy);
        world.pass(1_000);
        world.told();
        if !fails {
            assert!(matches!(world.sim.run(twin.lease(&user(), &need())), Err(LeaseError::Unavailable { .. })));
            assert_eq!(world.told()[0], ("upstream_clock_stepped", None));
            world.pass(90 - 15);
        }
        assert_eq!(secret(&world.sim.run(twin.lease(&user(), &need())).unwrap()), access_token(1), "{fails}");
    }
}
