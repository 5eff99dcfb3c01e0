//! A service that revokes by a live access token alone, when the one that is held has expired.

use std::sync::Arc;

use mcp_token_lifecycle::MemoryStore;
use mcp_token_lifecycle::upstream::{CredentialState, LeaseError, UpstreamError};

use crate::service::{Gate, Service, Step, access_token};
use crate::support::pausing::Pausing;
use crate::support::{Fault, Op};
use crate::world::*;

const FAILED: (&str, Option<&str>) = ("upstream_revoke_failed", Some("upstream_uncertain"));
const ABANDONED: (&str, Option<&str>) = ("upstream_abandoned", Some("upstream_answer_lost"));

/// A world whose token has expired here and there.
fn expired(service: Service) -> World<Flaky> {
    let world = world_with(service);
    world.put();
    world.pass(1_000);
    world.service.expire_all();
    world.told();
    world
}

fn revoke(world: &World<Flaky>) {
    assert!(world.sim.run(world.vault.revoke(&account())).expect("no fault"));
}

fn retry(world: &World<Flaky>) -> usize {
    world.sim.run(world.twin().retry_revocations()).expect("no fault")
}

#[test]
fn an_expired_access_token_is_replaced_and_the_new_one_revoked() {
    let world = expired(Service::default());
    revoke(&world);
    assert_eq!((world.service.revoked(), world.service.refreshes()), (vec![access_token(1)], 1));
    assert_eq!(world.told(), [("upstream_revoke", None), ("upstream_refresh", None), ("upstream_revoked", None)]);
    assert_eq!(world.sim.run(world.vault.list("user-1")).unwrap(), []);
}

#[test]
fn a_revocation_that_fails_after_the_renewal_is_retried_with_the_new_tokens() {
    let world = expired(Service::default());
    world.service.then_at_revocation(Step::Fail(|| UpstreamError::uncertain("timeout")));
    revoke(&world);
    assert_eq!(world.told(), [("upstream_revoke", None), ("upstream_refresh", None), FAILED]);
    let [info] = &*world.sim.run(world.vault.list("user-1")).unwrap() else { panic!("one credential") };
    assert_eq!(info.state, CredentialState::Revoking);
    world.pass(2);
    assert_eq!(retry(&world), 1);
    assert_eq!((world.service.revoked(), world.service.refreshes()), (vec![access_token(1)], 1));
}

#[test]
fn a_renewal_that_fails_is_tried_again() {
    let world = expired(Service::default());
    world.service.then(Step::Fail(|| UpstreamError::unavailable("down")));
    revoke(&world);
    assert_eq!(world.service.revoked(), [""; 0]);
    world.pass(2);
    assert_eq!(retry(&world), 1);
    assert_eq!(world.service.revoked(), [access_token(1)]);
}

#[test]
fn where_both_tokens_are_dead_nothing_is_left_to_revoke() {
    let world = expired(Service::default());
    // A failure before it, of which it is certain that nothing has changed.
    world.service.then(Step::Fail(|| UpstreamError::unavailable("down")));
    world.service.then(Step::Fail(|| UpstreamError::InvalidGrant));
    revoke(&world);
    world.pass(2);
    world.told();
    assert_eq!(retry(&world), 1);
    assert_eq!(world.told(), [("upstream_revoked", None)]);
}

#[test]
fn a_renewal_whose_answer_is_lost_is_no_revocation() {
    for (service, told, revoked) in [
        (Service::default(), vec![ABANDONED], vec![]),
        (Service::with_leeway(), vec![("upstream_refresh", None), ("upstream_revoked", None)], vec![access_token(1)]),
    ] {
        let world = expired(service);
        world.service.then(Step::LoseAnswer);
        revoke(&world);
        assert_eq!(world.told(), [("upstream_revoke", None), FAILED]);
        world.pass(2);
        assert_eq!(retry(&world), 1);
        assert_eq!((world.told(), world.service.revoked()), (told, revoked));
    }
}

#[test]
fn a_refresh_whose_answer_was_lost_before_the_revocation_is_not_forgotten() {
    let world = expired(Service::default());
    world.service.then(Step::LoseAnswer);
    world.lease().unwrap_err();
    world.told();
    revoke(&world);
    assert_eq!(world.told(), [("upstream_revoke", None), ABANDONED]);
}

/// Two would spend one refresh token, and the service would take the second for a theft.
#[test]
fn while_a_refresh_is_under_way_there_is_no_other() {
    let world = expired(Service::default());
    let gate = Gate::default();
    world.service.then(Step::HoldAnswer(gate.clone()));
    assert!(matches!(world.lease(), Err(LeaseError::Unavailable { .. })));
    world.told();
    revoke(&world);
    let waits = ("upstream_revoke_failed", Some("upstream_refreshing"));
    assert_eq!((world.told(), world.service.refreshes()), (vec![("upstream_revoke", None), waits], 1));
    world.pass(2);
    assert_eq!(retry(&world), 0, "not before the other's claim has ended");
    gate.open();
    world.sim.settle();
    assert_eq!((world.service.revoked(), world.service.refreshes()), (vec![access_token(1)], 1));
    assert_eq!(world.told(), [("upstream_refresh", None), ("upstream_revoked", None)]);
}

#[test]
fn once_the_claim_of_a_refresh_has_ended_the_revocation_renews_and_knows_that_an_answer_may_be_lost() {
    for (service, told) in [
        (Service::default(), vec![ABANDONED]),
        (Service::with_leeway(), vec![("upstream_refresh", None), ("upstream_revoked", None)]),
    ] {
        let world = expired(service);
        world.service.then(Step::HoldAnswer(Gate::default()));
        assert!(matches!(world.lease(), Err(LeaseError::Unavailable { .. })));
        world.sim.crash();
        revoke(&world);
        world.told();
        // 15 of the claim's 30 seconds were spent waiting.
        world.pass(15);
        assert_eq!((retry(&world), world.told()), (1, told));
    }
}

#[test]
fn new_tokens_that_cannot_be_kept_are_no_revocation_either() {
    let world = expired(Service::default());
    let gate = Gate::default();
    world.service.then(Step::HoldAnswer(gate.clone()));
    let account = account();
    let outage = async {
        world.sim.runtime_sleep(std::time::Duration::from_secs(1)).await;
        world.store.fail_every(Op::Commit, Fault::Unavailable);
        gate.open();
    };
    let (failed, ()) = world.sim.run(futures_util::future::join(world.vault.revoke(&account), outage));
    assert!(failed.is_err());
    world.store.heal();
    world.pass(30);
    world.told();
    assert_eq!(retry(&world), 1);
    assert_eq!(world.told(), [ABANDONED]);
}

/// Wherever the call is dropped after its first write, the renewal goes on, and what the service has given is revoked. Wherever
/// the process ends, the next round revokes that too, or reports that nobody can.
#[test]
fn a_renewal_that_was_cut_off_anywhere_is_finished() {
    for crashes in [false, true] {
        let cuts = (0..).find(|rounds| renewal_ends_within(*rounds, crashes)).unwrap() - 1;
        assert!(cuts > 20, "{cuts} cuts");
    }
}

fn renewal_ends_within(rounds: usize, crashes: bool) -> bool {
    let world = world_on(Arc::new(Pausing(MemoryStore::new())), Service::default());
    world.put();
    world.pass(1_000);
    world.service.expire_all();
    let ended = world.sim.run_for(world.vault.revoke(&account()), rounds).is_some();
    if crashes {
        world.sim.crash();
    } else {
        world.sim.settle();
    }
    // Behind any claim on the attempt.
    world.pass(60);
    world.sim.run(world.twin().revoke(&account())).unwrap();
    let (revoked, told) = (world.service.revoked().contains(&access_token(1)), world.told());
    let abandoned = told.contains(&ABANDONED);
    assert!(revoked != abandoned && (revoked || crashes), "{crashes}, cut off after {rounds} rounds: {told:?}");
    ended
}

#[test]
fn a_lost_answer_is_remembered_when_the_refresh_token_is_found_dead() {
    let world = expired(Service::default());
    world.service.then(Step::Fail(|| UpstreamError::uncertain("timeout")));
    world.service.then(Step::Fail(|| UpstreamError::InvalidGrant));
    world.service.then(Step::Fail(|| UpstreamError::InvalidGrant));
    world.lease().unwrap_err();
    world.pass(60);
    world.lease().unwrap_err();
    let [info] = &*world.sim.run(world.vault.list("user-1")).unwrap() else { panic!("one credential") };
    assert_eq!(info.state, CredentialState::NeedsAuthorization);
    world.told();
    revoke(&world);
    assert_eq!(world.told(), [("upstream_revoke", None), ABANDONED]);
}
