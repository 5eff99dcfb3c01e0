//! A caller that is dropped, and a process that ends, at every point of a refresh.

use std::sync::Arc;

use mcp_token_lifecycle::MemoryStore;
use mcp_token_lifecycle::vault::LeaseError;

use crate::service::{Service, access_token};
use crate::support::pausing::Pausing;
use crate::world::*;

type Store = Arc<Pausing<MemoryStore>>;

/// Cut a lease past expiry off after 0, 1, 2, … rounds, on a fresh store each time, until it comes to its end. `check` gets
/// what is left. Returns at how many suspensions it was cut.
fn at_every_cut(service: fn() -> Service, check: impl Fn(&World<Store>, bool)) -> usize {
    let to_its_end = |rounds: &usize| {
        println!("dropped after {rounds} rounds");
        let world = world_on(Arc::new(Pausing(MemoryStore::new())), service());
        world.put();
        world.pass(1_000);
        let ended = world.sim.run_for(world.vault.lease(&user(), &need()), *rounds).is_some();
        check(&world, ended);
        ended
    };
    (0..).find(to_its_end).unwrap() - 1
}

/// Whatever was begun is seen through: a strict service has rotated once, and the vault has what it rotated to.
#[test]
fn refresh_dropped_at_any_await_loses_no_token() {
    let cuts = at_every_cut(Service::default, |world, _| {
        world.sim.settle();
        let began = world.sim.now_millis();
        assert_eq!(world.lease().unwrap(), access_token(1));
        assert_eq!(world.sim.now_millis(), began, "nobody had to wait");
        assert_eq!((world.service.refreshes(), world.service.current()), (1, 1));
        world.pass(1_000);
        assert_eq!(world.lease().unwrap(), access_token(2), "the refresh token was stored too");
    });
    assert!(cuts > 8, "{cuts} cuts: those of a read, two writes and the service");
}

/// Nothing of the process is left, not even the task: after the claim has ended, another takes over, with the old token. The
/// service has a leeway.
#[test]
fn process_that_ends_blocks_others_for_its_claim_at_most() {
    let cuts = at_every_cut(Service::with_leeway, |world, _| {
        world.sim.crash();
        let twin = world.twin();
        let leased = loop {
            match world.sim.run(twin.lease(&user(), &need())) {
                Ok(lease) => break secret(&lease),
                Err(LeaseError::Unavailable { retry_after, .. }) => world.pass(retry_after.as_secs()),
                Err(error) => panic!("{error:?}"),
            }
        };
        assert_eq!(leased, access_token(1));
        assert!(world.sim.now_millis() <= 1_000_000 + 31_000, "the claim lasts for 30 seconds");
        world.pass(1_000);
        assert_eq!(secret(&world.sim.run(twin.lease(&user(), &need())).unwrap()), access_token(2));
    });
    assert!(cuts > 8, "{cuts} cuts");
}

/// The price of a service without leeway, if the process ends between its rotation and our write: the user authorizes anew,
/// and the audit knows why. Anywhere else nothing is lost.
#[test]
fn a_process_that_ends_between_rotation_and_write_at_a_strict_service_needs_a_new_authorization() {
    let lost = std::cell::Cell::new(0);
    let cuts = at_every_cut(Service::default, |world, _| {
        world.sim.crash();
        world.pass(60);
        world.told();
        let leased = world.sim.run(world.twin().lease(&user(), &need())).map(|lease| secret(&lease));
        if world.service.refreshes() == 1 {
            assert_eq!(leased.unwrap(), access_token(1));
        } else {
            assert!(matches!(leased, Err(LeaseError::NeedsAuthorization { .. })));
            assert_eq!(world.told()[0], ("upstream_needs_authorization", Some("upstream_answer_lost")));
            lost.set(lost.get() + 1);
        }
    });
    assert!(lost.get() > 0 && lost.get() < cuts, "{} of {cuts}", lost.get());
}
