//! A service that refuses with words that are not known: it is left alone, and within a day a human hears of it.

use std::time::Duration;

use mcp_token_lifecycle::Clock;
use mcp_token_lifecycle::vault::{CredentialState, LeaseError, UpstreamError};

use crate::service::{DOWN, Step, access_token};
use crate::world::*;

const REFUSED: Step = Step::Fail(|| UpstreamError::refused("account_closed"));
const CONFIGURATION: Step = Step::Fail(|| UpstreamError::configuration("invalid_client"));
const HOUR: u64 = 3_600;
const LIMIT: u64 = 12 * HOUR;

/// A lease past expiry whose refresh, if there is one, meets `step`.
fn lease(world: &World<Flaky>, step: Step) -> Result<String, LeaseError> {
    world.service.then(step);
    world.lease()
}

fn state(world: &World<Flaky>) -> CredentialState {
    world.sim.run(world.vault.list("user-1")).unwrap()[0].state
}

fn assert_unavailable(leased: Result<String, LeaseError>) {
    assert!(matches!(leased, Err(LeaseError::Unavailable { .. })), "{leased:?}");
}

fn assert_needs_authorization(leased: Result<String, LeaseError>) {
    let refused = leased.unwrap_err();
    assert!(matches!(refused, LeaseError::NeedsAuthorization { .. }), "{refused:?}");
    assert_eq!((refused.status(), refused.authorize_at()), (403, Some(SERVICE)));
}

#[test]
fn unknown_refusal_asks_for_authorization_within_a_day() {
    let world = world();
    world.put();
    world.pass(1_000);
    let began = world.sim.now();
    // A client that comes again every five minutes and a bit.
    let last = loop {
        match lease(&world, REFUSED) {
            Err(LeaseError::Unavailable { .. }) => world.pass(303),
            other => break other,
        }
    };
    assert_needs_authorization(last);
    let passed = world.sim.now().since(began);
    assert!((Duration::from_secs(LIMIT)..Duration::from_secs(24 * HOUR)).contains(&passed), "{passed:?}");
    let events = world.told();
    let asks = events.iter().filter(|(act, _)| *act == "upstream_needs_authorization").collect::<Vec<_>>();
    assert_eq!(asks, [&("upstream_needs_authorization", Some("upstream_refused"))], "once");
    assert_eq!(state(&world), CredentialState::NeedsAuthorization);
}

#[test]
fn refusals_that_are_far_apart_count_like_others() {
    let world = world();
    world.put();
    world.pass(1_000);
    assert_unavailable(lease(&world, REFUSED));
    assert_eq!(state(&world), CredentialState::Active);
    world.pass(3 * LIMIT);
    world.told();
    assert_needs_authorization(lease(&world, REFUSED));
    let refused = ("upstream_refuse", Some("needs_authorization"));
    assert_eq!(world.told(), [("upstream_needs_authorization", Some("upstream_refused")), refused]);
}

#[test]
fn a_refresh_that_succeeds_after_all_undoes_it() {
    let world = world();
    world.put();
    world.pass(1_000);
    assert_unavailable(lease(&world, REFUSED));
    world.pass(LIMIT);
    assert_needs_authorization(lease(&world, REFUSED));
    world.pass(300);
    assert_eq!(world.lease().unwrap(), access_token(1));
    assert_eq!(state(&world), CredentialState::Active);
    world.pass(1_000);
    assert_unavailable(lease(&world, REFUSED));
}

#[test]
fn a_good_token_is_leased_however_long_the_service_refuses() {
    let world = world();
    world.put();
    world.service.then(Step::ExpiresIn(Some(Duration::from_secs(100 * HOUR))));
    world.pass(1_000);
    assert_eq!(world.lease().unwrap(), access_token(1));
    world.pass(80 * HOUR);
    for _ in 0..19 {
        assert_eq!(lease(&world, REFUSED).unwrap(), access_token(1));
        world.sim.settle();
        world.pass(HOUR);
    }
    world.pass(HOUR);
    assert_needs_authorization(lease(&world, REFUSED));
}

#[test]
fn what_the_operator_has_to_act_on_asks_no_user() {
    let world = world();
    world.put();
    world.pass(1_000);
    world.told();
    for _ in 0..4 {
        assert_unavailable(lease(&world, CONFIGURATION));
        assert!(world.told().contains(&("upstream_refresh_failed", Some("upstream_configuration"))));
        world.pass(LIMIT);
    }
    assert_eq!(world.lease().unwrap(), access_token(1));
}

#[test]
fn an_outage_of_the_service_asks_no_user() {
    let world = world();
    world.put();
    world.pass(1_000);
    for _ in 0..4 {
        assert_unavailable(lease(&world, DOWN));
        world.pass(LIMIT);
    }
    assert_eq!(world.lease().unwrap(), access_token(1));
}

#[test]
fn the_limit_is_the_policys() {
    let world = world();
    world.put();
    world.pass(1_000);
    let policy = builder().refusal_limit(Duration::from_secs(60)).build().unwrap();
    let vault = world.twin().with_policy(policy);
    let lease = || {
        world.service.then(REFUSED);
        world.sim.run(vault.lease(&user(), &need())).map(|lease| secret(&lease))
    };
    assert_unavailable(lease());
    world.pass(59);
    assert_unavailable(lease());
    world.pass(1);
    assert_needs_authorization(lease());
}

/// The new refresh token is kept, so the next refresh has it to present, at a service that honours no other.
#[test]
fn rotation_without_an_access_token_is_kept_and_made_good() {
    let world = world();
    world.put();
    world.pass(1_000);
    world.told();
    assert_unavailable(lease(&world, Step::RotateOnly));
    assert!(world.told().contains(&("upstream_refresh_failed", Some("upstream_unusable_token"))));
    world.pass(1);
    assert_unavailable(lease(&world, Step::RotateOnly));
    world.pass(2);
    assert_eq!(world.lease().unwrap(), access_token(3));
    world.pass(1_000);
    assert_eq!(world.lease().unwrap(), access_token(4));
}

#[test]
fn rotation_without_an_access_token_leaves_the_old_one_to_lease() {
    let world = world();
    world.put();
    world.pass(800);
    assert_eq!(lease(&world, Step::RotateOnly).unwrap(), access_token(0));
    world.sim.settle();
    world.pass(189);
    assert_eq!(world.renewed().unwrap(), access_token(2));
}
