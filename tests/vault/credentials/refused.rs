//! A secret that the service refuses before its time, though nothing here says that it is over.

use futures_util::future::{join, join_all};
use mcp_token_lifecycle::vault::{BoundTo, Credential, Lease, LeaseError, Secret, StaticSecret, TokenSet};

use crate::service::{DOWN, Gate, Step, access_token};
use crate::support::scope;
use crate::world::*;

fn lease(world: &World<Flaky>) -> Lease {
    world.sim.run(world.vault.lease(&user(), &need())).unwrap()
}

fn lease_after(world: &World<Flaky>, refused: Lease) -> Result<String, LeaseError> {
    world.sim.run(world.vault.lease_after(&user(), &need(), refused)).map(|lease| secret(&lease))
}

#[test]
fn refused_token_is_refreshed_once_for_all_callers() {
    let world = world();
    world.put();
    let (first, second) = (lease(&world), lease(&world));
    assert_eq!(lease_after(&world, first).unwrap(), access_token(1));
    assert_eq!(lease_after(&world, second).unwrap(), access_token(1), "another has taken its place");
    assert_eq!(world.service.refreshes(), 1);
    assert_eq!(world.lease().unwrap(), access_token(1));
}

#[test]
fn of_many_that_were_refused_at_once_one_refreshes_and_the_others_wait() {
    let world = world();
    world.put();
    let gate = Gate::default();
    world.service.then(Step::HoldAnswer(gate.clone()));
    let (claims, need, twin) = (user(), need(), world.twin());
    let refused: Vec<_> = (0..10).map(|_| lease(&world)).collect();
    let leases = refused.into_iter().enumerate().map(|(number, refused)| {
        let vault = if number % 2 == 0 { &world.vault } else { &twin };
        vault.lease_after(&claims, &need, refused)
    });
    let open = async {
        world.sim.runtime_sleep(std::time::Duration::from_secs(3)).await;
        gate.open();
    };
    let (leases, ()) = world.sim.run(join(join_all(leases), open));
    assert!(leases.into_iter().all(|lease| secret(&lease.unwrap()) == access_token(1)));
    assert_eq!(world.service.refreshes(), 1);
}

#[test]
fn a_refused_token_is_not_leased_again_if_its_refresh_fails() {
    let world = world();
    world.put();
    world.service.then(DOWN);
    let (first, second) = (lease(&world), lease(&world));
    assert!(matches!(lease_after(&world, first), Err(LeaseError::Unavailable { .. })));
    assert!(matches!(lease_after(&world, second), Err(LeaseError::Unavailable { .. })), "not even a second later");
    let third = lease(&world);
    world.pass(1);
    assert_eq!(lease_after(&world, third).unwrap(), access_token(1));
}

#[test]
fn refused_token_without_refresh_is_leased_no_more() {
    let world = world();
    let tokens = TokenSet::new(secret_text("for ever"), scope("repo:read"));
    world.sim.run(world.vault.put(&account(), Credential::OAuth(tokens), BoundTo::subject())).unwrap();
    let refused = lease(&world);
    world.told();
    assert!(matches!(lease_after(&world, refused), Err(LeaseError::NeedsAuthorization { .. })));
    assert!(matches!(world.lease(), Err(LeaseError::NeedsAuthorization { .. })));
    let refusal = ("upstream_refuse", Some("needs_authorization"));
    assert_eq!(world.told(), [("upstream_needs_authorization", Some("upstream_secret_refused")), refusal, refusal]);
    world.put();
    assert_eq!(world.lease().unwrap(), access_token(0));
}

#[test]
fn a_refused_static_secret_waits_for_its_rotation() {
    let world = world();
    let key = |text: &str| StaticSecret::new(Secret::ApiKey(secret_text(text)), scope("repo:read"));
    world.sim.run(world.vault.put(&account(), Credential::Static(key("old")), BoundTo::subject())).unwrap();
    let (first, second) = (lease(&world), lease(&world));
    assert!(matches!(lease_after(&world, first), Err(LeaseError::NeedsAuthorization { .. })));
    assert!(world.sim.run(world.vault.rotate(&account(), key("new"))).unwrap());
    assert_eq!(lease_after(&world, second).unwrap(), "new", "what was refused is not what is there");
    assert_eq!(world.lease().unwrap(), "new");
}

#[test]
fn refused_lease_gives_no_credential_of_another() {
    let world = world();
    world.put();
    let refused = lease(&world);
    let other = claims_of("user-2", "client-1");
    let leased = world.sim.run(world.vault.lease_after(&other, &need(), refused));
    assert!(matches!(leased, Err(LeaseError::NotFound { .. })));
    let refused = lease(&world);
    assert!(world.sim.run(world.vault.revoke(&account())).unwrap());
    assert!(matches!(lease_after(&world, refused), Err(LeaseError::NotFound { .. })));
    assert_eq!(world.service.refreshes(), 0);
}
