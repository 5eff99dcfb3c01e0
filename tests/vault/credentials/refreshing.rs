//! When a token is refreshed, by whom, and what everybody else gets meanwhile.

use std::time::Duration;

use mcp_token_lifecycle::Clock;
use mcp_token_lifecycle::vault::{BoundTo, CredentialState, LeaseError, TokenSet, VaultErrorKind};

use crate::service::{Gate, Service, Step, access_token, refresh_token};
use crate::support::{Op, scope};
use crate::world::*;

#[test]
fn a_token_is_served_up_to_80_percent_of_its_life_and_then_refreshed() {
    let world = world();
    world.put();
    world.pass(799);
    assert_eq!(world.lease().unwrap(), access_token(0));
    assert_eq!(world.service.refreshes(), 0);
    world.pass(1);
    assert_eq!(world.lease().unwrap(), access_token(0), "it is good, so nobody waits");
    world.sim.settle();
    world.pass(799);
    assert_eq!(world.lease().unwrap(), access_token(1));
    assert_eq!(world.service.refreshes(), 1);
    assert_eq!(world.told(), [("upstream_put", None), ("upstream_refresh", None)]);
    let [info] = &*world.sim.run(world.vault.list("user-1")).unwrap() else { panic!("one credential") };
    assert_eq!((info.generation, info.obtained_at.as_unix()), (2, world.sim.now().as_unix() - 799));
}

#[test]
fn a_refresh_costs_a_read_and_two_writes() {
    let world = world();
    world.put();
    world.pass(1_000);
    world.store.operations();
    assert_eq!(world.lease().unwrap(), access_token(1));
    assert_eq!(world.store.operations(), [Op::Get, Op::Commit, Op::Commit]);
}

#[test]
fn a_service_that_keeps_the_refresh_token_need_not_repeat_it() {
    let world = world_with(Service::without_rotation());
    world.put();
    for number in 1..4 {
        world.pass(800);
        assert_eq!(world.renewed().unwrap(), access_token(number));
    }
}

#[test]
fn while_one_refreshes_the_others_are_served_the_token_that_is_still_good() {
    let world = world();
    world.put();
    let gate = Gate::default();
    world.service.then(Step::HoldAnswer(gate.clone()));
    world.pass(800);
    let (claims, need) = (user(), need());
    let refresher = world.vault.lease(&claims, &need);
    let others = async {
        for vault in [&world.vault, &world.twin()] {
            assert_eq!(secret(&vault.lease(&claims, &need).await.unwrap()), access_token(0));
        }
        gate.open();
    };
    // The first is polled first, so it has the claim.
    let (refreshed, ()) = world.sim.run(futures_util::future::join(refresher, others));
    assert_eq!(secret(&refreshed.unwrap()), access_token(0));
    world.sim.settle();
    assert_eq!((world.lease().unwrap(), world.service.refreshes()), (access_token(1), 1));
}

#[test]
fn past_expiry_all_wait_for_the_one_who_refreshes() {
    let world = world();
    world.put();
    let gate = Gate::default();
    world.service.then(Step::HoldAnswer(gate.clone()));
    // Five seconds before it expires a token is not given out any more.
    world.pass(995);
    let (claims, need, twin) = (user(), need(), world.twin());
    let leases = (0..10).map(|number| if number % 2 == 0 { &world.vault } else { &twin }.lease(&claims, &need));
    let open = async {
        world.sim.runtime_sleep(Duration::from_secs(3)).await;
        gate.open();
    };
    let (leases, ()) = world.sim.run(futures_util::future::join(futures_util::future::join_all(leases), open));
    for lease in leases {
        assert_eq!(secret(&lease.unwrap()), access_token(1));
    }
    assert_eq!(world.service.refreshes(), 1);
}

#[test]
fn lease_after_the_longest_wait_says_when_to_retry() {
    let world = world();
    world.put();
    let gate = Gate::default();
    world.service.then(Step::HoldAnswer(gate.clone()));
    world.pass(1_000);
    let refused = world.lease().unwrap_err();
    assert_eq!(refused.status(), 503);
    // 15 of the 30 seconds that the claim lasts are over.
    let LeaseError::Unavailable { retry_after, .. } = refused else { panic!("{refused:?}") };
    assert_eq!(retry_after, Duration::from_secs(15));
    gate.open();
    world.sim.settle();
    assert_eq!(world.lease().unwrap(), access_token(1));
}

#[test]
fn a_token_without_expiry_and_one_without_refresh_token_are_not_refreshed() {
    let world = world();
    let put = |tokens: TokenSet| {
        let credential = mcp_token_lifecycle::vault::Credential::OAuth(tokens);
        world.sim.run(world.vault.put(&account(), credential, BoundTo::subject())).unwrap();
    };
    let tokens = || TokenSet::new(secret_text(&access_token(0)), scope("repo:read"));
    put(tokens().refresh_token(secret_text(&refresh_token(0))));
    world.pass(1_000_000_000);
    assert_eq!(world.lease().unwrap(), access_token(0));

    put(tokens().expires_at(world.sim.now().saturating_add(Duration::from_secs(100))));
    world.pass(94);
    assert_eq!(world.lease().unwrap(), access_token(0));
    world.pass(1);
    let refused = world.lease().unwrap_err();
    assert!(matches!(&refused, LeaseError::NeedsAuthorization { service, .. } if &**service == SERVICE));
    assert_eq!((refused.authorize_at(), refused.status()), (Some(SERVICE), 403));
    assert_eq!(world.service.refreshes(), 0);
}

#[test]
fn an_expired_refresh_token_is_not_sent() {
    let world = world();
    let at = |seconds| world.sim.now().saturating_add(Duration::from_secs(seconds));
    let tokens = TokenSet::new(secret_text(&access_token(0)), scope("repo:read"))
        .expires_at(at(1_000))
        .refresh_token(secret_text(&refresh_token(0)))
        .refresh_expires_at(at(900));
    let credential = mcp_token_lifecycle::vault::Credential::OAuth(tokens);
    world.sim.run(world.vault.put(&account(), credential, BoundTo::subject())).unwrap();
    world.pass(900);
    assert_eq!(world.lease().unwrap(), access_token(0));
    world.pass(100);
    assert!(matches!(world.lease(), Err(LeaseError::NeedsAuthorization { .. })));
    assert_eq!(world.service.refreshes(), 0);
}

#[test]
fn without_a_provider_a_token_is_served_as_long_as_it_is_good() {
    let world = world();
    world.put();
    let vault = mcp_token_lifecycle::vault::CredentialVault::new(
        world.store.clone(),
        crate::support::keyring(),
        world.sim.runtime(),
    )
    .with_clock(world.sim.clone())
    .with_audit(world.audit.clone());
    world.pass(900);
    world.told();
    assert_eq!(secret(&world.sim.run(vault.lease(&user(), &need())).unwrap()), access_token(0));
    assert_eq!(world.told(), [("upstream_refresh_failed", Some("no_provider"))], "somebody should give it one");
    world.pass(100);
    let refused = world.sim.run(vault.lease(&user(), &need())).unwrap_err();
    let LeaseError::Fault(fault) = &refused else { panic!("{refused:?}") };
    assert_eq!((fault.kind(), refused.status()), (VaultErrorKind::NoProvider, 503));
    assert_eq!(world.lease().unwrap(), access_token(1), "nothing is lost");
}

#[test]
fn a_new_authorization_ends_the_need_for_one() {
    let world = world();
    world.put();
    world.service.then(Step::Fail(|| mcp_token_lifecycle::vault::UpstreamError::InvalidGrant));
    world.pass(1_000);
    assert!(matches!(world.lease(), Err(LeaseError::NeedsAuthorization { .. })));
    let [info] = &*world.sim.run(world.vault.list("user-1")).unwrap() else { panic!("one credential") };
    assert_eq!(info.state, CredentialState::NeedsAuthorization);
    world.put();
    assert_eq!(world.lease().unwrap(), access_token(0));
}

#[test]
fn without_any_patience_the_refresh_goes_on_without_the_caller() {
    let world = world();
    world.put();
    let policy = mcp_token_lifecycle::vault::RefreshPolicy::builder().patience(Duration::ZERO).build().unwrap();
    let vault = world.twin().with_policy(policy);
    for (seconds, number) in [(800, 1), (1_000, 2)] {
        world.pass(seconds);
        match world.sim.run(vault.lease(&user(), &need())) {
            Ok(lease) => assert_eq!((secret(&lease), number), (access_token(0), 1), "it is still good"),
            Err(error) => assert!(matches!(error, LeaseError::Unavailable { .. }) && number == 2, "{error:?}"),
        }
        assert_eq!(world.sim.tasks(), 1);
        world.sim.settle();
        assert_eq!(world.service.refreshes(), number);
        assert_eq!(secret(&world.sim.run(vault.lease(&user(), &need())).unwrap()), access_token(number));
    }
}
