//! A revocation: nobody is leased the credential from its first write on, and the service is told, however long that takes.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_executor::block_on;
use futures_util::future::{Either, join, select};
use mcp_token_lifecycle::vault::{
    Account, BoundTo, Credential, CredentialState, LeaseError, Secret, StaticSecret, TokenSet, UpstreamError,
};
use mcp_token_lifecycle::{Clock, MemoryStore, Select, TokenStore};

use crate::service::{DOWN, Gate, Service, Step, access_token};
use crate::support::pausing::Pausing;
use crate::support::{Fault, Op, scope};
use crate::world::*;

const BUSY: Step = Step::Fail(|| UpstreamError::retry_after(Duration::from_secs(600), "busy"));

fn revoke(world: &World<Flaky>) -> bool {
    world.sim.run(world.vault.revoke(&account())).expect("no fault")
}

fn retry(world: &World<Flaky>) -> usize {
    world.sim.run(world.twin().retry_revocations()).expect("no fault")
}

/// Drop `call` when it has waited for the service for a second.
fn drop_after_a_second(world: &World<Flaky>, call: impl Future) {
    let second = world.sim.runtime_sleep(Duration::from_secs(1));
    assert!(matches!(world.sim.run(select(pin!(call), pin!(second))), Either::Right(_)));
}

fn state(world: &World<Flaky>) -> Option<CredentialState> {
    world.sim.run(world.vault.list("user-1")).unwrap().first().map(|info| info.state)
}

#[test]
fn revoked_credential_is_not_leased_revoked_upstream_and_deleted() {
    let world = world();
    world.put();
    world.told();
    assert!(revoke(&world));
    assert_eq!(world.service.revoked(), [access_token(0)]);
    assert_eq!(world.told(), [("upstream_revoke", None), ("upstream_revoked", None)]);
    assert!(matches!(world.lease(), Err(LeaseError::NotFound { .. })));
    assert_eq!(world.sim.run(world.vault.list("user-1")).unwrap(), []);
    world.pass(1_000 * 24 * 3_600);
    assert_eq!(world.sim.run(world.vault.purge()).unwrap(), 0, "the empty record stays");
    assert!(!revoke(&world), "there is nothing any more");
    assert_eq!(world.service.revoked().len(), 1);
    world.put();
    assert_eq!(world.lease().unwrap(), access_token(0));
}

#[test]
fn lease_ends_with_the_first_write_of_a_revocation() {
    let world = world();
    world.put();
    let gate = Gate::default();
    world.service.then_at_revocation(Step::HoldRequest(gate.clone()));
    let (claims, need, twin) = (user(), need(), world.twin());
    let others = async {
        world.sim.runtime_sleep(Duration::from_secs(1)).await;
        let refused = twin.lease(&claims, &need).await;
        assert!(matches!(refused, Err(LeaseError::Revoked { .. })), "{refused:?}");
        gate.open();
    };
    let account = account();
    let (revoked, ()) = world.sim.run(join(world.vault.revoke(&account), others));
    assert!(revoked.unwrap());
}

#[test]
fn a_failed_revocation_is_retried_with_growing_pauses_until_it_is_done() {
    let world = world();
    world.put();
    for _ in 0..5 {
        world.service.then_at_revocation(DOWN);
    }
    world.told();
    assert!(revoke(&world));
    assert_eq!(state(&world), Some(CredentialState::Revoking));
    let failed = ("upstream_revoke_failed", Some("upstream_unavailable"));
    assert_eq!(world.told(), [("upstream_revoke", None), failed]);
    assert!(matches!(world.lease(), Err(LeaseError::Revoked { .. })));
    let mut seconds = 0;
    while retry(&world) == 0 {
        world.pass(1);
        seconds += 1;
    }
    // 1, 2, 4, 8 and 16 seconds, less a quarter at most.
    assert!((23..=31).contains(&seconds), "{seconds}");
    let told: Vec<_> = world.told().into_iter().filter(|(act, _)| *act != "upstream_refuse").collect();
    assert_eq!(told, [[failed; 4].as_slice(), &[("upstream_revoked", None)]].concat());
    assert_eq!((world.service.revoked(), state(&world)), (vec![access_token(0)], None));
    assert_eq!(retry(&world), 0);
}

#[test]
fn the_service_is_left_alone_for_as_long_as_it_asks() {
    let world = world();
    world.put();
    world.service.then_at_revocation(BUSY);
    assert!(revoke(&world));
    world.pass(599);
    assert_eq!(retry(&world), 0);
    world.pass(1);
    assert_eq!(retry(&world), 1);
}

#[test]
fn a_service_that_does_not_answer_holds_up_no_other_revocation() {
    let world = world();
    for name in ["first", "second"] {
        let account = Account::new("user-1", SERVICE).named(name);
        world.sim.run(world.vault.put(&account, world.tokens(), BoundTo::subject())).unwrap();
    }
    world.service.then_at_revocation(Step::HoldRequest(Gate::default()));
    drop_after_a_second(&world, world.vault.revoke_subject("user-1"));
    assert_eq!(world.service.revoked().len(), 1);
}

/// The successor may live on, and whether it does is up to the service.
#[test]
fn after_a_lost_answer_a_revocation_is_reported_as_what_it_is() {
    let world = world();
    world.put();
    world.pass(800);
    world.service.then(Step::LoseAnswer);
    assert_eq!(world.renewed().unwrap(), access_token(0));
    world.told();
    assert!(revoke(&world));
    assert_eq!(world.told(), [("upstream_revoke", None), ("upstream_revoked", Some("upstream_answer_lost"))]);
}

#[test]
fn after_a_lost_answer_the_end_of_the_retries_is_reported_as_what_it_is() {
    let world = world();
    world.put();
    world.pass(800);
    world.service.then(Step::LoseAnswer);
    world.renewed().unwrap();
    world.service.then_at_revocation(DOWN);
    assert!(revoke(&world));
    world.told();
    world.pass(90 * 24 * 3_600);
    assert_eq!(retry(&world), 1);
    assert_eq!(world.told(), [("upstream_abandoned", Some("upstream_answer_lost"))]);
}

#[test]
fn what_the_service_does_not_honour_any_more_needs_no_revocation() {
    let world = world();
    world.put();
    world.service.then_at_revocation(Step::Fail(|| UpstreamError::InvalidGrant));
    assert!(revoke(&world));
    assert_eq!(state(&world), None);
}

#[test]
fn a_revocation_is_given_up_when_the_credential_has_expired_or_after_the_retention() {
    let day = 24 * 3600;
    let at = |world: &World<Flaky>, seconds| world.sim.now().saturating_add(Duration::from_secs(seconds));
    for (with_refresh, refresh_ends, end) in
        [(false, None, 1_000), (true, None, 90 * day), (true, Some(5 * day), 5 * day)]
    {
        let world = world();
        let mut tokens = TokenSet::new(secret_text("token"), scope("")).expires_at(at(&world, 1_000));
        tokens.refresh_token = with_refresh.then(|| secret_text("refresh"));
        tokens.refresh_expires_at = refresh_ends.map(|end| at(&world, end));
        world.sim.run(world.vault.put(&account(), Credential::OAuth(tokens), BoundTo::subject())).unwrap();
        for _ in 0..3 {
            world.service.then_at_revocation(DOWN);
        }
        assert!(revoke(&world));
        world.pass(end - 1);
        assert_eq!(retry(&world), 0);
        assert_eq!(state(&world), Some(CredentialState::Revoking));
        world.told();
        world.pass(1);
        assert_eq!(retry(&world), 1);
        assert_eq!((world.told(), state(&world)), (vec![("upstream_abandoned", None)], None));
        assert_eq!(world.service.revoked(), [""; 0]);
    }
}

#[test]
fn a_static_secret_without_a_provider_is_forgotten_and_tokens_wait_for_one() {
    let world = world();
    let put = |service: &str, credential| {
        let account = Account::new("user-1", service);
        world.sim.run(world.vault.put(&account, credential, BoundTo::subject())).unwrap();
        world.told();
        assert!(world.sim.run(world.vault.revoke(&account)).unwrap());
        world.told()
    };
    let key = StaticSecret::new(Secret::ApiKey(secret_text("key")), scope(""));
    // The key still works, and a human has to know.
    assert_eq!(put("aws", Credential::Static(key))[1], ("upstream_forgotten", None));
    assert_eq!(put("slack", world.tokens())[1], ("upstream_revoke_failed", Some("no_provider")));
    assert_eq!(state(&world), Some(CredentialState::Revoking));
    world.pass(2);
    let vault = world.twin().with_provider("slack", world.service.clone());
    assert_eq!(world.sim.run(vault.retry_revocations()).unwrap(), 1);
    assert_eq!(world.service.revoked(), [access_token(0)]);
}

#[test]
fn a_credential_that_waits_for_its_revocation_makes_room_for_a_new_one_and_is_still_revoked() {
    let world = world();
    world.put();
    world.service.then_at_revocation(DOWN);
    assert!(revoke(&world));
    world.sim.run(world.vault.put(&account(), api_key("new"), BoundTo::subject())).unwrap();
    assert_eq!(world.lease().unwrap(), "new");
    assert_eq!(retry(&world), 0, "the service failed just now");
    world.pass(1);
    assert_eq!(retry(&world), 1);
    assert_eq!((world.service.revoked(), world.lease().unwrap()), (vec![access_token(0)], "new".to_owned()));
    assert_eq!(state(&world), Some(CredentialState::Active));
}

/// The refresh was under way when the credential was revoked: what it brings is revoked.
#[test]
fn tokens_that_come_after_the_revocation_are_revoked() {
    for is_down in [false, true] {
        let world = world();
        world.put();
        let gate = Gate::default();
        world.service.then(Step::HoldAnswer(gate.clone()));
        world.pass(1_000);
        assert!(matches!(world.lease(), Err(LeaseError::Unavailable { .. })));
        if is_down {
            world.service.then_at_revocation(DOWN);
        }
        assert!(revoke(&world));
        assert_eq!(retry(&world), 0, "two requests at once would spend one refresh token");
        gate.open();
        world.sim.settle();
        if is_down {
            assert!(matches!(world.lease(), Err(LeaseError::Revoked { .. })));
            world.pass(1);
            assert_eq!(retry(&world), 1);
        }
        assert_eq!(world.service.revoked(), [access_token(1)]);
        assert!(matches!(world.lease(), Err(LeaseError::NotFound { .. })));
    }
}

/// The process that refreshes was suspended. The service is told of the old tokens while the new ones arrive, of which it
/// cannot be told just then.
#[test]
fn a_revocation_of_the_old_tokens_does_not_delete_the_new_ones() {
    let world = world();
    world.put();
    let (refresh, revocation) = (Gate::default(), Gate::default());
    world.service.then(Step::HoldAnswer(refresh.clone()));
    world.pass(1_000);
    assert!(matches!(world.lease(), Err(LeaseError::Unavailable { .. })));
    let holder = world.sim.freeze();
    assert!(revoke(&world));
    world.pass(30);
    world.service.then_at_revocation(Step::HoldRequest(revocation.clone()));
    world.service.then_at_revocation(BUSY);
    let others = async {
        world.sim.runtime_sleep(Duration::from_secs(1)).await;
        refresh.open();
        world.sim.thaw(holder);
        world.sim.runtime_sleep(Duration::from_secs(1)).await;
        revocation.open();
    };
    let twin = world.twin();
    let (ended, ()) = world.sim.run(join(twin.retry_revocations(), others));
    assert_eq!(ended.unwrap(), 0);
    world.sim.settle();
    assert_eq!((world.service.revoked(), state(&world)), (vec![access_token(0)], Some(CredentialState::Revoking)));
    world.pass(600);
    assert_eq!(retry(&world), 1);
    assert_eq!((world.service.revoked(), state(&world)), (vec![access_token(0), access_token(1)], None));
}

#[test]
fn revocation_at_the_service_has_one_caller_within_a_claim() {
    let world = world();
    world.put();
    world.service.then_at_revocation(Step::HoldRequest(Gate::default()));
    drop_after_a_second(&world, world.vault.revoke(&account()));
    world.pass(28);
    assert_eq!(retry(&world), 0);
    world.pass(1);
    assert_eq!(retry(&world), 1);
    assert_eq!(world.service.revoked(), [access_token(0)]);
}

/// A process was suspended between the request and its answer, which is `step` once the gate opens, and another asked again.
fn answered_late(step: fn(Gate) -> Step) -> World<Flaky> {
    let world = world();
    world.put();
    let gate = Gate::default();
    world.service.then_at_revocation(step(gate.clone()));
    world.service.then_at_revocation(BUSY);
    drop_after_a_second(&world, world.vault.revoke(&account()));
    let holder = world.sim.freeze();
    world.pass(29);
    assert_eq!(retry(&world), 0);
    world.told();
    gate.open();
    world.sim.thaw(holder);
    world.sim.settle();
    world
}

#[test]
fn late_failure_does_not_overwrite_the_next_attempt() {
    let world = answered_late(|gate| Step::FailLate(gate, || UpstreamError::uncertain("timeout")));
    assert_eq!(world.told(), []);
    world.pass(599);
    assert_eq!(retry(&world), 0, "the service asked for ten minutes");
    world.pass(1);
    assert_eq!(retry(&world), 1);
}

#[test]
fn a_revocation_that_is_confirmed_after_the_end_of_the_claim_is_one() {
    let world = answered_late(Step::HoldRequest);
    assert_eq!((world.service.revoked(), state(&world)), (vec![access_token(0)], None));
}

/// The provider has no time limit of its own.
#[test]
fn a_service_that_never_answers_is_asked_again_after_the_claim() {
    let world = world();
    world.put();
    world.service.then_at_revocation(Step::HoldRequest(Gate::default()));
    assert!(revoke(&world));
    assert_eq!(world.told()[1..], [("upstream_revoke", None), ("upstream_revoke_failed", Some("upstream_uncertain"))]);
    assert_eq!(world.sim.now_millis(), 31_000);
    world.pass(1);
    assert_eq!(retry(&world), 1);
}

/// The second version of the record is the claim on the request, the third the claim on a refresh. Their writers wake up late
/// and do not know yet that they have written.
#[test]
fn revocation_past_its_claim_does_not_ask() {
    for (expired, version) in [(false, 2), (true, 3)] {
        let written = |rounds: &usize| {
            let world = world_on(Arc::new(Pausing(MemoryStore::new())), Service::default());
            world.put();
            if expired {
                world.pass(1_000);
                world.service.expire_all();
            }
            assert!(world.sim.run_for(world.vault.revoke(&account()), *rounds).is_none());
            let records = block_on(world.store.0.list(Select::All, None, 10)).unwrap().records;
            records.iter().any(|record| record.version == version).then_some(world)
        };
        let world = (0..).find_map(|rounds| written(&rounds)).unwrap();
        let frozen = world.sim.freeze();
        world.pass(30);
        assert_eq!(world.sim.run(world.twin().retry_revocations()).unwrap(), 1);
        world.sim.thaw(frozen);
        world.sim.settle();
        let asked = usize::from(expired);
        assert_eq!((world.service.refreshes(), world.service.revoked()), (asked, vec![access_token(asked)]));
    }
}

/// Frozen anywhere and woken after another has finished: what the service gives is revoked, or it is told that nobody can.
#[test]
fn revocation_that_wakes_late_leaves_nothing_alive() {
    let ends = |rounds: &usize| {
        let world = world_on(Arc::new(Pausing(MemoryStore::new())), Service::default());
        world.put();
        world.pass(1_000);
        world.service.expire_all();
        let ended = world.sim.run_for(world.vault.revoke(&account()), *rounds).is_some();
        let frozen = world.sim.freeze();
        world.pass(60);
        world.sim.run(world.twin().revoke(&account())).unwrap();
        world.sim.thaw(frozen);
        world.sim.settle();
        for _ in 0..3 {
            world.pass(60);
            world.sim.run(world.twin().retry_revocations()).unwrap();
        }
        let newest = access_token(world.service.current());
        assert!(world.service.revoked().contains(&newest), "frozen after {rounds} rounds: {:?}", world.told());
        assert_eq!(world.sim.run(world.vault.list("user-1")).unwrap(), []);
        ended
    };
    let cuts = (0..).find(ends).unwrap() - 1;
    assert!(cuts > 14, "{cuts} cuts");
}

/// Wherever the call is dropped it goes on from its first write, and wherever the process ends the next round finishes it.
#[test]
fn a_revocation_that_was_cut_off_anywhere_is_finished() {
    let ends = |rounds: &usize, crashes| {
        let world = world_on(Arc::new(Pausing(MemoryStore::new())), Service::default());
        world.put();
        let ended = world.sim.run_for(world.vault.revoke(&account()), *rounds).is_some();
        if crashes {
            world.sim.crash();
        } else {
            world.sim.settle();
        }
        let leased = world.lease();
        // Behind any claim on the attempt.
        world.pass(30);
        let finished = world.sim.run(world.twin().retry_revocations()).unwrap();
        match leased {
            Ok(token) => assert_eq!((token, finished), (access_token(0), 0), "nothing was written yet"),
            Err(LeaseError::Revoked { .. }) => assert_eq!(finished, 1),
            Err(LeaseError::NotFound { .. }) => assert_eq!(finished, 0),
            Err(error) => panic!("{error:?}"),
        }
        let revoked = world.service.revoked();
        assert!(revoked.iter().all(|token| *token == access_token(0)) && revoked.len() <= 2, "{revoked:?}");
        assert!(!ended || !revoked.is_empty());
        ended
    };
    for crashes in [false, true] {
        let cuts = (0..).find(|rounds| ends(rounds, crashes)).unwrap() - 1;
        assert!(cuts > 8, "{cuts} cuts");
    }
}

#[test]
fn a_store_that_fails_during_a_revocation_delays_it_and_no_more() {
    for fault in [Fault::Unavailable, Fault::UncertainUndone, Fault::UncertainDone] {
        for skip in 0..3 {
            let world = world();
            world.put();
            world.told();
            world.store.fail_after(skip, fault);
            let failed = world.sim.run(world.vault.revoke(&account())).is_err();
            let is_repeated = skip == 2 || fault == Fault::UncertainDone && skip == 1;
            assert!(failed != is_repeated, "{fault:?} at operation {skip}");
            world.store.heal();
            world.pass(30);
            revoke(&world);
            retry(&world);
            // Also where the store did not say whether it had written.
            let told = world.told();
            assert_eq!(told, [("upstream_revoke", None), ("upstream_revoked", None)], "{fault:?} at operation {skip}");
            assert!(matches!(world.lease(), Err(LeaseError::NotFound { .. })), "{fault:?} at operation {skip}");
            assert!(!world.service.revoked().is_empty(), "{fault:?} at operation {skip}");
        }
    }
    let world = world();
    world.put();
    world.store.operations();
    revoke(&world);
    assert_eq!(world.store.operations(), [Op::Get, Op::Commit, Op::Commit], "these three");
}
