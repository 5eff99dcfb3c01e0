//! The one record of an account: what waits for its revocation beside what is leased, and what happens to a record that cannot
//! be read.

use std::time::Duration;

use mcp_token_lifecycle::vault::{BoundTo, CredentialState, CredentialStatus, LeaseError, VaultErrorKind};
use mcp_token_lifecycle::{Commit, MemoryStore, Record, TokenIssuer, TokenStore};

use crate::records::records;
use crate::service::{DOWN, Gate, Service, Step, access_token};
use crate::support::{Fault, TestAudit, block_on, grant_of, keyring};
use crate::world::*;

fn revoke(world: &World<Flaky>) -> bool {
    world.sim.run(world.vault.revoke(&account())).expect("no fault")
}

fn put_key(world: &World<Flaky>, key: &str) {
    world.sim.run(world.vault.put(&account(), api_key(key), BoundTo::subject())).unwrap();
}

/// At GitHub a revocation ends the user's whole authorization of the app, the new one with it.
#[test]
fn authorizing_again_cancels_revocations_where_grants_end_whole() {
    let world = world_with(Service::with_whole_grants());
    world.put();
    world.service.then_at_revocation(DOWN);
    assert!(revoke(&world));
    world.told();
    world.put();
    assert_eq!(world.told(), [("upstream_revoke_cancelled", None), ("upstream_put", None)]);
    world.pass(600);
    assert_eq!(world.sim.run(world.vault.retry_revocations()).unwrap(), 0);
    assert_eq!((world.service.revoked(), world.lease().unwrap()), (vec![], access_token(0)), "the new grant lives");
}

#[test]
fn credential_that_the_service_cannot_revoke_is_forgotten() {
    let world = world();
    world.put();
    world.service.then_at_revocation(Step::Unsupported);
    world.told();
    assert!(revoke(&world));
    assert_eq!(world.told(), [("upstream_revoke", None), ("upstream_forgotten", None)]);
    assert!(matches!(world.lease(), Err(LeaseError::NotFound { .. })));
}

#[test]
fn fifth_pending_revocation_abandons_the_oldest() {
    let world = world();
    for number in 0..5 {
        put_key(&world, &format!("key-{number}"));
        world.service.then_at_revocation(DOWN);
        assert!(revoke(&world));
    }
    assert!(world.told().contains(&("upstream_abandoned", Some("upstream_too_many"))));
    world.pass(600);
    assert_eq!(world.sim.run(world.vault.retry_revocations()).unwrap(), 4);
    assert_eq!(world.service.revoked(), ["key-1", "key-2", "key-3", "key-4"]);
}

#[test]
fn listing_shows_what_is_leased_and_what_is_being_revoked() {
    let world = world();
    world.put();
    world.service.then_at_revocation(DOWN);
    assert!(revoke(&world));
    put_key(&world, "new");
    let listed = world.sim.run(world.vault.list("user-1")).unwrap();
    let states: Vec<_> = listed.iter().map(|info| (info.state, info.generation)).collect();
    assert_eq!(states, [(CredentialState::Active, 2), (CredentialState::Revoking, 1)]);
}

#[test]
fn credential_that_is_replaced_is_reported() {
    let world = world();
    world.put();
    world.told();
    put_key(&world, "new");
    assert_eq!(world.told(), [("upstream_replaced", None), ("upstream_put", None)]);
}

#[test]
fn record_that_cannot_be_read_is_replaced_by_put() {
    let world = world();
    world.put();
    let mut broken = records(&world).remove(0);
    *broken.payload.last_mut().unwrap() ^= 1;
    let broken = Record::new(broken.key, broken.version + 1, broken.expires_at, broken.indexes, broken.payload);
    assert_eq!(block_on(world.store.commit(broken)).unwrap(), Commit::Applied);
    let refused = world.lease().unwrap_err();
    assert!(matches!(refused, LeaseError::Fault(fault) if fault.kind() == VaultErrorKind::CorruptRecord));
    world.told();
    put_key(&world, "new");
    assert_eq!(world.told(), [("upstream_put", None), ("upstream_unreadable", None)]);
    assert_eq!(world.lease().unwrap(), "new");
}

/// Deciding it again could revive what was revoked meanwhile.
#[test]
fn put_and_revoke_that_are_not_confirmed_are_uncertain() {
    let world = world();
    world.put();
    world.store.fail_after(1, Fault::UncertainUndone);
    let put = world.sim.run(world.vault.put(&account(), api_key("new"), BoundTo::subject()));
    assert_eq!(put.unwrap_err().kind(), VaultErrorKind::StoreUncertain);
    world.store.fail_after(1, Fault::UncertainUndone);
    let revoked = world.sim.run(world.vault.revoke(&account()));
    assert_eq!(revoked.unwrap_err().kind(), VaultErrorKind::StoreUncertain);
    assert_eq!(world.lease().unwrap(), access_token(0));
}

#[test]
fn lease_of_a_good_token_does_not_wait_for_its_refresh() {
    let world = world();
    world.put();
    world.service.then(Step::HoldAnswer(Gate::default()));
    world.pass(800);
    let began = world.sim.now_millis();
    assert_eq!(world.lease().unwrap(), access_token(0));
    assert_eq!((world.sim.now_millis(), world.sim.tasks()), (began, 1));
}

/// Its answer counts as lost, and the next lease asks again, though the provider has no time limit of its own.
#[test]
fn refresh_that_is_never_answered_ends_with_its_claim() {
    let world = world_with(Service::with_leeway());
    world.put();
    world.service.then(Step::HoldAnswer(Gate::default()));
    world.pass(1_000);
    assert!(matches!(world.lease(), Err(LeaseError::Unavailable { .. })));
    world.told();
    world.sim.settle();
    assert_eq!(world.told(), [("upstream_refresh_failed", Some("upstream_uncertain"))]);
    assert_eq!(world.sim.now_millis(), 1_031_000, "30 seconds, and one for an answer that has arrived");
    world.pass(1);
    assert_eq!(world.lease().unwrap(), access_token(1));
}

#[test]
fn introspection_that_is_never_answered_is_unknown() {
    let world = world();
    world.put();
    world.service.hang_at_introspection();
    assert_eq!(world.sim.run(world.vault.introspect(&account())).unwrap(), Some(CredentialStatus::Unknown));
}

/// The answer takes twelve of the ten seconds that the tokens live.
#[test]
fn tokens_that_are_over_when_they_arrive_cost_one_refresh_each_pause() {
    let world = world();
    world.put();
    world.pass(1_000);
    let mut refreshes = Vec::new();
    for second in 0..30 {
        world.service.then(Step::AnswerLate(Duration::from_secs(12), Duration::ZERO));
        let before = world.service.refreshes();
        let refused = world.lease().unwrap_err();
        assert!(matches!(refused, LeaseError::Unavailable { .. }), "{refused:?}");
        if world.service.refreshes() > before {
            refreshes.push(second);
        }
        world.pass(1);
    }
    // After pauses of 1, 2, 4, 8 and 16 seconds, less a quarter at most.
    let pauses: Vec<_> = refreshes.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let ranges = [1..=1, 2..=2, 3..=4, 6..=8, 12..=16];
    assert!(pauses.len() >= 4 && pauses.iter().zip(ranges).all(|(pause, range)| range.contains(pause)), "{pauses:?}");
}

#[test]
fn drain_waits_for_what_is_under_way() {
    let world = world();
    world.put();
    let gate = Gate::default();
    world.service.then(Step::HoldAnswer(gate.clone()));
    world.pass(800);
    world.lease().unwrap();
    let others = async {
        world.sim.runtime_sleep(Duration::from_secs(5)).await;
        gate.open();
    };
    world.sim.run(futures_util::future::join(world.vault.drain(), others));
    assert_eq!((world.sim.tasks(), world.lease().unwrap()), (0, access_token(1)));
    world.sim.run(world.vault.drain());
}

/// Half of the credentials are bound to sessions, half to the client.
#[test]
fn cascade_by_client_costs_three_operations_a_session() {
    const SESSIONS: usize = 40;
    let world = world();
    let issuer = TokenIssuer::new(MemoryStore::new(), keyring())
        .with_clock(world.sim.clone())
        .with_audit(world.vault.revocation_sink(TestAudit::default()));
    for number in 0..SESSIONS {
        let tokens = block_on(issuer.issue(grant_of("user-1", "client-1"), None)).unwrap();
        let here = crate::support::resource();
        let expected = mcp_token_lifecycle::Expectation::resource(&here);
        let session = issuer.verify(tokens.access_token.expose(), &expected).unwrap().family();
        let bound_to = match number % 2 {
            0 => BoundTo::subject().client("client-1"),
            _ => BoundTo::subject().session(session),
        };
        let account = account().named(number.to_string());
        world.sim.run(world.vault.put(&account, api_key("key"), bound_to)).unwrap();
    }
    world.store.operations();
    assert_eq!(block_on(issuer.revoke_client("client-1")).unwrap(), SESSIONS);
    world.sim.settle();
    let operations = world.store.operations().len();
    println!("{operations} operations for {SESSIONS} sessions");
    assert_eq!(world.service.revoked().len(), SESSIONS);
    assert!(operations <= 3 * SESSIONS + 10, "{operations}");
}
