//! A process that is suspended for hours, and a clock that is set: at every await, and nothing is lost.

use std::sync::Arc;

use mcp_token_lifecycle::MemoryStore;
use mcp_token_lifecycle::vault::{BoundTo, LeaseError};

use crate::service::{Service, access_token};
use crate::support::pausing::Pausing;
use crate::world::*;

type Store = Arc<Pausing<MemoryStore>>;

const TWO_HOURS: u64 = 2 * 3_600;

/// Cuts a lease past expiry off after 0, 1, 2, … rounds, on a fresh store each time, until it comes to its end. Returns at how
/// many suspensions it was cut.
fn at_every_await(check: impl Fn(&World<Store>)) -> usize {
    let to_its_end = |rounds: &usize| {
        println!("cut after {rounds} rounds");
        let world = world_on(Arc::new(Pausing(MemoryStore::new())), Service::default());
        world.put();
        world.pass(1_000);
        let ended = world.sim.run_for(world.vault.lease(&user(), &need()), *rounds).is_some();
        check(&world);
        ended
    };
    (0..).find(to_its_end).unwrap() - 1
}

/// The lease of a client that waits as long as it is told.
fn lease_patiently(world: &World<Store>) -> String {
    loop {
        match world.lease() {
            Ok(token) => return token,
            Err(LeaseError::Unavailable { retry_after, .. }) => world.pass(retry_after.as_secs()),
            Err(error) => panic!("{error:?}"),
        }
    }
}

#[test]
fn process_suspended_for_two_hours_at_any_await_harms_nothing() {
    let cuts = at_every_await(|world| {
        let suspended = world.sim.freeze();
        world.pass(TWO_HOURS);
        let _ = world.sim.run(world.twin().lease(&user(), &need()));
        world.sim.thaw(suspended);
        world.sim.settle();
        // The service is strict: it takes no other refresh token than the newest.
        assert_eq!(lease_patiently(world), access_token(world.service.current()));
        world.pass(1_000);
        assert_eq!(lease_patiently(world), access_token(world.service.current()));
    });
    assert!(cuts > 8, "{cuts} cuts");
}

/// Its write was meant for an earlier record of the account, and must not hit a later one of the same version.
#[test]
fn process_suspended_past_a_revocation_and_a_purge_overwrites_nothing() {
    let cuts = at_every_await(|world| {
        let (suspended, twin) = (world.sim.freeze(), world.twin());
        world.sim.run(twin.revoke(&account())).unwrap();
        world.pass(TWO_HOURS);
        world.sim.run(twin.retry_revocations()).unwrap();
        world.sim.run(twin.purge()).unwrap();
        world.sim.run(twin.put(&account(), api_key("new"), BoundTo::subject())).unwrap();
        world.sim.thaw(suspended);
        world.sim.settle();
        assert_eq!(world.lease().unwrap(), "new");
        assert_eq!(world.sim.run(world.vault.list("user-1")).unwrap().len(), 1);
        assert!(!world.service.revoked().contains(&"new".to_owned()));
    });
    assert!(cuts > 8, "{cuts} cuts");
}

#[test]
fn clock_set_by_ten_minutes_at_any_await_loses_nothing_and_is_reported() {
    for seconds in [600, -600] {
        let reported = std::cell::Cell::new(0);
        let cuts = at_every_await(|world| {
            world.sim.step(seconds);
            let _ = world.sim.run(world.twin().lease(&user(), &need()));
            world.sim.settle();
            let is_reported = world.told().contains(&("upstream_clock_stepped", None));
            reported.set(reported.get() + usize::from(is_reported));
            world.pass(1_000 + 600);
            assert_eq!(lease_patiently(world), access_token(world.service.current()));
        });
        // From the claim up to the answer.
        assert!(cuts > 8 && reported.get() > 1, "{} of {cuts}", reported.get());
    }
}
