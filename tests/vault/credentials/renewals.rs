//! A service that revokes by a live access token alone, when the one that is held has expired.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::select;
use mcp_token_lifecycle::MemoryStore;
use mcp_token_lifecycle::vault::{BoundTo, CredentialState, CredentialVault, LeaseError, UpstreamError};

use crate::service::{DOWN, Gate, Service, Step, access_token};
use crate::support::pausing::Pausing;
use crate::support::{Fault, Op};
use crate::world::*;

const SECOND: Duration = Duration::from_secs(1);
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

/// The same on a store that suspends around every operation.
fn expired_and_pausing() -> World<Arc<Pausing<MemoryStore>>> {
    let world = world_on(Arc::new(Pausing(MemoryStore::new())), Service::default());
    world.put();
    world.pass(1_000);
    world.service.expire_all();
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
    world.service.then(DOWN);
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
    world.service.then(DOWN);
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
    assert_eq!((world.told(), world.service.refreshes()), (vec![("upstream_revoke", None)], 1));
    world.pass(2);
    assert_eq!(retry(&world), 0, "not before the other's claim has ended");
    gate.open();
    world.sim.settle();
    assert_eq!((world.service.revoked(), world.service.refreshes()), (vec![access_token(1)], 1));
    assert_eq!(world.told(), [("upstream_refresh", None), ("upstream_revoked", None)]);
}

#[test]
fn a_refresh_that_was_under_way_and_failed_for_certain_leaves_no_doubt() {
    let world = expired(Service::default());
    let gate = Gate::default();
    world.service.then(Step::FailLate(gate.clone(), || UpstreamError::unavailable("down")));
    assert!(matches!(world.lease(), Err(LeaseError::Unavailable { .. })));
    revoke(&world);
    gate.open();
    world.sim.settle();
    world.service.then(Step::Fail(|| UpstreamError::InvalidGrant));
    world.told();
    world.pass(2);
    assert_eq!((retry(&world), world.told()), (1, vec![("upstream_revoked", None)]));
}

/// The user authorizes anew while the old credential is being revoked, at any moment of either: the old refresh token is
/// presented once, and what it was exchanged for is revoked.
#[test]
fn a_new_authorization_does_not_make_two_of_what_is_being_revoked() {
    let ends = |rounds: &usize| {
        let world = expired_and_pausing();
        let gate = Gate::default();
        world.service.then(Step::HoldAnswer(gate.clone()));
        let account = account();
        let (revocation, second) = (pin!(world.vault.revoke(&account)), pin!(world.sim.runtime_sleep(SECOND)));
        let ended = world.sim.run_for(select(revocation, second), *rounds).is_some();
        world.sim.run(world.vault.put(&account, api_key("new"), BoundTo::subject())).unwrap();
        gate.open();
        world.sim.settle();
        for _ in 0..4 {
            world.pass(60);
            world.sim.run(world.twin().retry_revocations()).unwrap();
        }
        let old_is_left = world.service.refreshes() == 0;
        assert!(old_is_left || world.service.revoked() == [access_token(1)], "{rounds}: {:?}", world.told());
        assert!(world.service.refreshes() <= 1 && !world.told().contains(&ABANDONED), "{rounds}");
        let left = world.sim.run(world.vault.list("user-1")).unwrap();
        assert!(left.len() <= 1, "{rounds}: {left:?}");
        ended
    };
    let cuts = (0..).find(ends).unwrap() - 1;
    assert!(cuts > 10, "{cuts} cuts");
}

/// The same, with the refresh of a lease under way when it was revoked.
#[test]
fn nor_does_one_while_a_refresh_is_under_way() {
    let world = expired(Service::default());
    let gate = Gate::default();
    world.service.then(Step::HoldAnswer(gate.clone()));
    assert!(matches!(world.lease(), Err(LeaseError::Unavailable { .. })));
    revoke(&world);
    world.put();
    world.told();
    gate.open();
    world.sim.settle();
    world.pass(60);
    assert_eq!(retry(&world), 0);
    assert_eq!((world.service.revoked(), world.service.refreshes()), (vec![access_token(1)], 1));
    assert_eq!(world.told(), [("upstream_refresh", None), ("upstream_revoked", None)]);
}

/// The same, with the new authorization held up in the middle, and two rounds of retries meanwhile.
#[test]
fn nor_does_one_that_is_held_up() {
    let ends = |rounds: &usize, is_told_late: bool| {
        let world = expired_and_pausing();
        world.service.then(DOWN);
        world.sim.run(world.vault.revoke(&account())).unwrap();
        world.pass(2);
        let (vault, account) = (world.twin(), account());
        let mut put = Box::pin(vault.put(&account, api_key("new"), BoundTo::subject()));
        let ended = world.sim.run_for(&mut put, *rounds).is_some();
        if is_told_late {
            world.service.then_at_revocation(DOWN);
        }
        for _ in 0..2 {
            world.sim.run(world.vault.retry_revocations()).unwrap();
        }
        if !ended {
            world.sim.run(put).unwrap();
        }
        for _ in 0..4 {
            world.pass(60);
            world.sim.run(world.vault.retry_revocations()).unwrap();
        }
        assert_eq!((world.service.refreshes(), world.service.revoked()), (1, vec![access_token(1)]), "{rounds}");
        assert!(!world.told().contains(&ABANDONED), "{rounds}");
        assert_eq!(world.lease().unwrap(), "new");
        ended
    };
    for is_told_late in [false, true] {
        let cuts = (0..).find(|rounds| ends(rounds, is_told_late)).unwrap() - 1;
        assert!(cuts > 4, "{cuts} cuts");
    }
}

/// Two new authorizations at once, one of which is held up anywhere until the other has come to its end.
#[test]
fn two_new_authorizations_lose_nothing_that_is_being_revoked() {
    let ends = |rounds: &usize, gets_new_tokens: bool| {
        let world = expired_and_pausing();
        world.service.then(DOWN);
        world.sim.run(world.vault.revoke(&account())).unwrap();
        world.pass(2);
        let put = |vault: CredentialVault<_>, key: &'static str| async move {
            vault.put(&account(), api_key(key), BoundTo::subject()).await.unwrap();
        };
        let gate = Gate::default();
        if gets_new_tokens {
            world.service.then(Step::HoldAnswer(gate.clone()));
            let retry = pin!(world.vault.retry_revocations());
            let _ = world.sim.run(select(retry, pin!(world.sim.runtime_sleep(SECOND))));
        }
        let mut slow = Box::pin(put(world.twin(), "slow"));
        let ended = world.sim.run_for(&mut slow, *rounds).is_some();
        world.sim.run(put(world.twin(), "fast"));
        if gets_new_tokens {
            world.service.then_at_revocation(DOWN);
            gate.open();
            world.sim.settle();
        }
        if !ended {
            world.sim.run(slow);
        }
        for _ in 0..4 {
            world.pass(60);
            world.sim.run(world.vault.retry_revocations()).unwrap();
        }
        assert_eq!(world.service.revoked(), [access_token(1)], "{rounds}: {:?}", world.told());
        assert_eq!(world.service.refreshes(), 1);
        assert!(["fast", "slow"].contains(&&*world.lease().unwrap()));
        ended
    };
    for gets_new_tokens in [false, true] {
        let cuts = (0..).find(|rounds| ends(rounds, gets_new_tokens)).unwrap() - 1;
        assert!(cuts > 4, "{cuts} cuts");
    }
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
        world.sim.runtime_sleep(SECOND).await;
        world.store.fail_every(Op::Commit, Fault::Unavailable);
        gate.open();
    };
    let (failed, ()) = world.sim.run(futures_util::future::join(world.vault.revoke(&account), outage));
    assert!(failed.is_err());
    assert_eq!(world.told(), [("upstream_revoke", None), ("upstream_lost", Some("fault"))]);
    world.store.heal();
    world.pass(30);
    assert_eq!(retry(&world), 1);
    assert_eq!(world.told(), [ABANDONED]);
}

/// The fourth operation writes the new tokens, and the fifth looks whether it has.
#[test]
fn new_tokens_that_were_kept_unconfirmed_are_kept_once() {
    let world = expired(Service::default());
    world.store.fail_after(3, Fault::UncertainDone);
    world.store.fail_after(4, Fault::Unavailable);
    revoke(&world);
    assert_eq!(world.service.revoked(), [access_token(1)]);
    assert_eq!(world.sim.run(world.vault.list("user-1")).unwrap(), []);
}

/// Wherever the call is dropped after its first write, the renewal goes on, and what the service has given is revoked. Wherever
/// the process ends, the next round revokes that too, or reports that nobody can.
#[test]
fn a_renewal_that_was_cut_off_anywhere_is_finished() {
    for crashes in [false, true] {
        let cuts = (0..).find(|rounds| renewal_ends_within(*rounds, crashes)).unwrap() - 1;
        assert!(cuts > 14, "{cuts} cuts");
    }
}

fn renewal_ends_within(rounds: usize, crashes: bool) -> bool {
    let world = expired_and_pausing();
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
