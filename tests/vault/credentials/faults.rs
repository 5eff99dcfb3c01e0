//! What a service can do wrong: each fault has its outcome, and none costs a credential that still works.

use std::time::Duration;

use mcp_token_lifecycle::Clock;
use mcp_token_lifecycle::vault::{CredentialState, LeaseError, LeaseRequest, RefreshPolicy, UpstreamError};

use crate::service::{DOWN, Service, Step, access_token};
use crate::support::scope;
use crate::world::*;

type Fault = fn() -> UpstreamError;

const FAULTS: [(Fault, &str); 3] = [
    (|| UpstreamError::refused("invalid_client"), "upstream_refused"),
    (|| UpstreamError::unavailable("connection refused"), "upstream_unavailable"),
    (|| UpstreamError::uncertain("timeout"), "upstream_uncertain"),
];

#[test]
fn refresh_ahead_that_fails_serves_the_valid_token() {
    for (fault, reason) in FAULTS {
        let world = world();
        world.put();
        world.service.then(Step::Fail(fault));
        world.pass(800);
        world.told();
        // The service is left alone for a second.
        assert_eq!(world.renewed().unwrap(), access_token(0));
        assert_eq!(world.told(), [("upstream_refresh_failed", Some(reason))]);
        assert_eq!(world.service.refreshes(), 0);
        world.pass(1);
        assert_eq!(world.renewed().unwrap(), access_token(1));
    }
}

#[test]
fn past_expiry_a_fault_is_a_503_and_no_login_and_the_next_attempt_succeeds() {
    for (fault, reason) in FAULTS {
        let world = world();
        world.put();
        world.service.then(Step::Fail(fault));
        world.pass(1_000);
        world.told();
        for _ in 0..2 {
            let refused = world.lease().unwrap_err();
            assert_eq!((refused.status(), refused.authorize_at()), (503, None));
            assert!(matches!(refused, LeaseError::Unavailable { retry_after, .. } if retry_after.as_secs() == 1));
        }
        let refused = ("upstream_refuse", Some("upstream_unavailable"));
        assert_eq!(world.told(), [("upstream_refresh_failed", Some(reason)), refused, refused]);
        world.pass(1);
        assert_eq!(world.lease().unwrap(), access_token(1));
    }
}

#[test]
fn a_service_that_asks_to_be_left_alone_is_left_alone_for_a_day_at_most() {
    for (asked, left_alone) in [(0, 1), (120, 120), (1_000_000_000, 24 * 3600)] {
        let world = world();
        world.put();
        world.service.then(match asked {
            0 => Step::Fail(|| UpstreamError::retry_after(Duration::ZERO, "429")),
            120 => Step::Fail(|| UpstreamError::retry_after(Duration::from_secs(120), "429")),
            _ => Step::Fail(|| UpstreamError::retry_after(Duration::MAX, "429")),
        });
        world.pass(1_000);
        let refused = world.lease().unwrap_err();
        let LeaseError::Unavailable { retry_after, .. } = refused else { panic!("{refused:?}") };
        assert_eq!(retry_after.as_secs(), left_alone);
        world.pass(left_alone - 1);
        assert!(
            matches!(world.lease(), Err(LeaseError::Unavailable { retry_after, .. }) if retry_after.as_secs() == 1)
        );
        assert_eq!(world.service.refreshes(), 0);
        world.pass(1);
        assert_eq!(world.lease().unwrap(), access_token(1));
    }
}

#[test]
fn a_grant_that_is_honoured_no_more_sends_the_user_to_the_service_and_is_not_asked_for_again() {
    let world = world();
    world.put();
    world.service.then(Step::Fail(|| UpstreamError::InvalidGrant));
    world.pass(1_000);
    world.told();
    for _ in 0..2 {
        let refused = world.lease().unwrap_err();
        assert_eq!((refused.status(), refused.authorize_at()), (403, Some(SERVICE)));
        assert!(matches!(refused, LeaseError::NeedsAuthorization { .. }));
    }
    let refused = ("upstream_refuse", Some("needs_authorization"));
    assert_eq!(world.told(), [("upstream_needs_authorization", Some("upstream_invalid_grant")), refused, refused]);
    assert_eq!(world.service.refreshes(), 0);
    let [info] = &*world.sim.run(world.vault.list("user-1")).unwrap() else { panic!("one credential") };
    assert_eq!(info.state, CredentialState::NeedsAuthorization);
}

/// The service has rotated, and the vault has only the old refresh token. A leeway at the service saves it.
#[test]
fn an_answer_lost_after_the_rotation_is_given_again_by_a_service_with_a_leeway() {
    let world = world_with(Service::with_leeway());
    world.put();
    world.service.then(Step::LoseAnswer);
    world.pass(1_000);
    assert!(matches!(world.lease(), Err(LeaseError::Unavailable { .. })));
    world.pass(1);
    assert_eq!(world.lease().unwrap(), access_token(1));
    assert_eq!((world.service.refreshes(), world.service.current()), (2, 1));
    world.pass(800);
    assert_eq!(world.renewed().unwrap(), access_token(2));
}

/// Without one the refresh token is lost. The token at hand is served up to the next attempt; the service answers that one with
/// `invalid_grant`, and the user authorizes anew, though the token may be good for a while. The audit says why.
#[test]
fn an_answer_lost_after_the_rotation_of_a_strict_service_needs_a_new_authorization_and_says_why() {
    let world = world();
    world.put();
    world.service.then(Step::LoseAnswer);
    world.pass(800);
    assert_eq!(world.renewed().unwrap(), access_token(0));
    // A fault that comes after it does not make it forgotten.
    world.pass(1);
    world.service.then(DOWN);
    assert_eq!(world.renewed().unwrap(), access_token(0));
    world.pass(2);
    assert_eq!(world.lease().unwrap(), access_token(0));
    world.told();
    assert!(matches!(world.renewed(), Err(LeaseError::NeedsAuthorization { .. })));
    let refused = ("upstream_refuse", Some("needs_authorization"));
    assert_eq!(world.told(), [("upstream_needs_authorization", Some("upstream_answer_lost")), refused]);
}

#[test]
fn an_absurd_lifetime_is_cut_to_what_makes_sense() {
    let ten_years = 10 * 365 * 24 * 3600;
    // What is shorter than ten seconds would be refreshed by every lease.
    for (given, taken) in [(0, 10), (3, 10), (11, 11), (u64::MAX, ten_years), (ten_years + 1, ten_years)] {
        let world = world();
        world.put();
        world.service.then(Step::ExpiresIn(Some(Duration::from_secs(given))));
        world.pass(1_000);
        let refreshed_at = world.sim.now();
        let lease = world.sim.run(world.vault.lease(&user(), &need())).unwrap();
        assert_eq!(lease.expires_at().since(refreshed_at).as_secs(), taken, "{given}");
        assert_eq!(world.lease().unwrap(), access_token(1));
        assert_eq!(world.service.refreshes(), 1);
        world.pass(taken - taken / 5);
        assert_eq!(world.renewed().unwrap(), access_token(2));
    }
}

#[test]
fn a_token_that_lives_shorter_than_the_margin_is_leased_for_its_lifetime_and_no_longer() {
    let world = world();
    world.put();
    let policy = RefreshPolicy::builder().jitter_percent(0).margin(Duration::from_secs(300)).build().unwrap();
    let vault = world.twin().with_policy(policy);
    let lease = || world.sim.run(vault.lease(&user(), &need())).unwrap();
    world.service.then(Step::ExpiresIn(Some(Duration::from_secs(60))));
    world.pass(1_000);
    assert_eq!(lease().expires_at().since(world.sim.now()), Duration::from_secs(60));
    world.pass(47);
    assert_eq!((secret(&lease()), world.service.refreshes()), (access_token(1), 1));
    world.pass(1);
    drop(lease());
    world.sim.settle();
    assert_eq!(secret(&lease()), access_token(2), "after 80 percent, like any other");
}

#[test]
fn a_lifetime_that_is_left_out_is_that_of_the_token_before() {
    let world = world();
    world.put();
    world.service.then(Step::ExpiresIn(None));
    world.pass(900);
    assert_eq!(world.renewed().unwrap(), access_token(1));
    world.pass(799);
    assert_eq!(world.renewed().unwrap(), access_token(1));
    world.pass(1);
    assert_eq!(world.renewed().unwrap(), access_token(2));
}

#[test]
fn a_scope_that_a_refresh_narrows_is_narrower_from_then_on() {
    let world = world();
    world.put();
    world.service.then(Step::Scope("repo:status"));
    world.pass(1_000);
    assert!(matches!(world.lease(), Err(LeaseError::InsufficientScope { .. })));
    let lease = world.sim.run(world.vault.lease(&user(), &LeaseRequest::new(SERVICE, scope("repo:status")))).unwrap();
    assert_eq!(secret(&lease), access_token(1));
    world.pass(1_000);
    let lease = world.sim.run(world.vault.lease(&user(), &LeaseRequest::new(SERVICE, scope("repo:status")))).unwrap();
    assert_eq!((secret(&lease), lease.scope()), (access_token(2), &scope("repo:status")));
}
