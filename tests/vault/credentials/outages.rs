//! A store that fails, at every step: nothing is lost, nobody is sent to a login, and what was rotated is stored in the end.

use mcp_token_lifecycle::vault::{BoundTo, LeaseError, VaultErrorKind};

use crate::service::access_token;
use crate::support::{Fault, Op};
use crate::world::*;

const FAULTS: [Fault; 3] = [Fault::Unavailable, Fault::UncertainUndone, Fault::UncertainDone];

/// Let the operation that comes after `skip` others meet each fault, past expiry and ahead of it.
fn with_fault_at(skip: usize, check: impl Fn(&World<Flaky>, Fault, bool)) {
    for fault in FAULTS {
        for expired in [false, true] {
            let world = world();
            world.put();
            world.pass(if expired { 1_000 } else { 800 });
            world.told();
            world.store.fail_after(skip, fault);
            check(&world, fault, expired);
            world.sim.settle();
            world.store.heal();
            world.pass(60);
            assert_eq!(world.renewed().unwrap(), access_token(1), "after {fault:?} at operation {skip}");
            assert_eq!(world.service.refreshes(), 1, "after {fault:?} at operation {skip}");
        }
    }
}

fn assert_fault(leased: Result<String, LeaseError>) {
    let refused = leased.unwrap_err();
    assert!(matches!(&refused, LeaseError::Fault(_)), "{refused:?}");
    assert_eq!((refused.status(), refused.authorize_at()), (503, None));
}

#[test]
fn without_the_record_there_is_no_lease() {
    with_fault_at(0, |world, _, _| assert_fault(world.lease()));
}

/// A claim that was not written: a token that is still good is served all the same. One of which the store does not know: the
/// vault looks, and goes on if it was.
#[test]
fn claim_that_was_not_written_serves_the_valid_token() {
    with_fault_at(1, |world, fault, expired| match (fault, expired) {
        (_, false) => assert_eq!(world.lease().unwrap(), access_token(0)),
        (Fault::UncertainDone, true) => assert_eq!(world.lease().unwrap(), access_token(1)),
        (Fault::Unavailable, true) => assert_fault(world.lease()),
        // Nothing was written, so the second try claims it.
        _ => assert_eq!(world.lease().unwrap(), access_token(1)),
    });
}

#[test]
fn a_token_that_was_revoked_while_it_was_claimed_is_not_refreshed() {
    let world = std::sync::Arc::new(world());
    world.put();
    world.pass(1_000);
    let during = world.clone();
    world.store.before_next_commit(move || {
        assert!(during.sim.run(during.twin().revoke(&account())).unwrap());
    });
    let refused = world.lease().unwrap_err();
    assert!(matches!(refused, LeaseError::NotFound { .. }), "{refused:?}");
    assert_eq!(world.service.refreshes(), 0);
}

#[test]
fn new_tokens_are_stored_though_the_store_fails_once() {
    with_fault_at(2, |world, _, _| {
        assert_eq!(world.renewed().unwrap(), access_token(1));
        assert_eq!(world.told(), [("upstream_refresh", None)]);
    });
}

#[test]
fn new_tokens_are_stored_when_the_store_is_back_after_minutes() {
    let world = world();
    world.put();
    world.pass(1_000);
    // The claim is written, and the service has answered.
    world.sim.run_for(world.vault.lease(&user(), &need()), 2);
    assert_eq!(world.service.refreshes(), 1);
    world.store.fail_every(Op::Commit, Fault::Unavailable);
    assert!(matches!(world.lease(), Err(LeaseError::Unavailable { .. })));
    world.sim.run(world.sim.runtime_sleep(std::time::Duration::from_secs(200)));
    assert_eq!(world.sim.tasks(), 1, "somebody still tries");
    world.store.heal();
    world.sim.settle();
    assert_eq!(world.lease().unwrap(), access_token(1));
    assert_eq!(world.service.refreshes(), 1);
}

#[test]
fn new_tokens_that_cannot_be_stored_at_all_are_reported_as_lost() {
    let world = world();
    world.put();
    world.pass(1_000);
    // The claim is written, and the service has answered.
    world.sim.run_for(world.vault.lease(&user(), &need()), 2);
    assert_eq!(world.service.refreshes(), 1);
    world.told();
    world.store.fail_every(Op::Commit, Fault::UncertainUndone);
    world.sim.settle();
    assert_eq!(world.told(), [("upstream_lost", Some("fault"))]);
    world.store.heal();
    // The service is strict, and has rotated. The audit says what became of it.
    assert!(matches!(world.lease(), Err(LeaseError::NeedsAuthorization { .. })));
    assert_eq!(world.told()[0], ("upstream_needs_authorization", Some("upstream_answer_lost")));
}

#[test]
fn a_credential_that_was_not_put_leaves_the_old_one() {
    for (skip, fault) in (0..2).flat_map(|skip| FAULTS.map(|fault| (skip, fault))) {
        let world = world();
        world.put();
        world.pass(500);
        world.store.fail_after(skip, fault);
        let tokens = world.tokens();
        let put = world.sim.run(world.vault.put(&account(), tokens, BoundTo::subject()));
        // The vault looks, and finds what it has written.
        let is_new = skip == 1 && fault == Fault::UncertainDone;
        let uncertain = fault != Fault::Unavailable;
        let expected = if uncertain { VaultErrorKind::StoreUncertain } else { VaultErrorKind::StoreUnavailable };
        assert_eq!(put.map_err(|error| error.kind()), if is_new { Ok(()) } else { Err(expected) });
        world.store.heal();
        let [info] = &*world.sim.run(world.vault.list("user-1")).unwrap() else { panic!("one credential") };
        assert_eq!(info.generation, if is_new { 2 } else { 1 });
        assert_eq!(world.lease().unwrap(), access_token(0));
    }
}

/// The first vault on an empty store makes the root; whichever operation fails, the next try finds or makes it.
#[test]
fn a_vault_that_could_not_be_opened_is_opened_by_the_next_call() {
    for (skip, fault) in (0..2).flat_map(|skip| FAULTS.map(|fault| (skip, fault))) {
        let world = world();
        world.store.fail_after(skip, fault);
        world.sim.run(world.vault.put(&account(), world.tokens(), BoundTo::subject())).unwrap_err();
        world.put();
        assert_eq!(secret(&world.sim.run(world.twin().lease(&user(), &need())).unwrap()), access_token(0));
    }
}

#[test]
fn two_vaults_that_open_an_empty_store_at_once_agree() {
    let world = world();
    let twin = world.twin();
    let (store, sim, tokens) = (world.store.clone(), world.sim.clone(), world.tokens());
    // The other one comes in between the look and the write.
    let other = twin.clone();
    store.before_next_commit(move || {
        sim.run(other.put(&account(), tokens, BoundTo::subject())).unwrap();
    });
    assert_eq!(world.lease().unwrap(), access_token(0));
    world.put();
    assert_eq!(secret(&world.sim.run(twin.lease(&user(), &need())).unwrap()), access_token(0));
    assert_eq!(world.store.inner().len(), 2, "one root and one credential");
}
