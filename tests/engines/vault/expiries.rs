//! Ten thousand leases by 64 tasks in two processes, across fifty expiries.

use std::array::from_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mcp_token_lifecycle::{AccessClaims, Clock};
use tokio::task::JoinSet;

use crate::place::Kind;
use crate::process::Process;
use crate::service::{LIFETIME, Rotation};
use crate::steps::Steps;
use crate::world::{Vault, World, claims, need, put};
use crate::{HTTP, RUNTIME};

const LEASES: usize = 10_000;
const EXPIRIES: usize = 50;
const TASKS: usize = 64;
/// Two processes; on redb, which one process has at a time, two vaults.
const SIDES: usize = 2;

/// How many leases there were, how many of them of a token that had expired, and how many tokens the service took.
pub type Tally = [usize; 3];

/// One side's part of the leases at one expiry, for so many users in turn.
pub async fn work(vault: &Vault, world: &World, users: usize) -> Tally {
    let users: Arc<[AccessClaims]> = (0..users).map(claims).collect();
    let (next, api) = (Arc::new(AtomicUsize::new(0)), format!("{}/repos", world.url));
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS / SIDES {
        let (vault, clock, users, next, api) =
            (vault.clone(), world.clock.clone(), users.clone(), next.clone(), api.clone());
        tasks.spawn(async move {
            let mut tally = Tally::default();
            loop {
                let number = next.fetch_add(1, Ordering::SeqCst);
                if number >= LEASES / EXPIRIES / SIDES {
                    return tally;
                }
                let lease = vault.lease(&users[number % users.len()], &need()).await.unwrap();
                let has_expired = lease.expires_at() <= clock.now();
                let used = HTTP.get(&api).bearer_auth(lease.secret().expose()).send().await.unwrap();
                tally = sum(tally, [1, has_expired.into(), used.status().is_success().into()]);
            }
        });
    }
    let tally = tasks.join_all().await.into_iter().fold(Tally::default(), sum);
    // A refresh ahead of expiry goes on in the background.
    vault.drain().await;
    tally
}

fn sum(a: Tally, b: Tally) -> Tally {
    from_fn(|n| a[n] + b[n])
}

/// The two sides.
enum Sides {
    Processes([Process; SIDES]),
    Vaults(Box<[Vault; SIDES]>),
}

impl Sides {
    fn work(&mut self, world: &World, users: usize) -> Tally {
        match self {
            Self::Processes(processes) => {
                processes.iter_mut().for_each(|process| process.tell(&users.to_string()));
                let counts = |heard: String| from_fn(|n| heard.split(' ').nth(n).unwrap().parse().unwrap());
                processes.iter_mut().map(|process| counts(process.hear())).fold(Tally::default(), sum)
            }
            Self::Vaults(vaults) => RUNTIME.block_on(async {
                let [a, b] = &**vaults;
                let (a, b) = tokio::join!(work(a, world, users), work(b, world, users));
                sum(a, b)
            }),
        }
    }
}

/// `pass` says how many seconds go by before each round.
fn expire(kind: Kind, users: usize, pass: fn(usize) -> u64) {
    let (world, service) = World::new(kind, Rotation::Strict);
    let store = RUNTIME.block_on(world.place.open());
    let vault = || world.vault_on(store.clone(), Steps::without_halt(), 60);
    let first = vault();
    (0..users).for_each(|user| RUNTIME.block_on(put(&first, user, service.authorize())));
    let mut sides = match kind {
        Kind::File => Sides::Vaults(Box::new([vault(), vault()])),
        _ => Sides::Processes(from_fn(|_| Process::working(&world))),
    };
    let mut tally = Tally::default();
    for round in 1..=EXPIRIES {
        world.clock.pass(pass(round));
        tally = sum(tally, sides.work(&world, users));
        assert_eq!((service.rotations(), service.dead()), (users * round, 0), "one refresh for each and each expiry");
    }
    let [leases, expired, used] = tally;
    println!(
        "{kind:?}: {leases} leases by {TASKS} tasks on two sides, {EXPIRIES} expiries of {users}: {} refreshes, \
         {expired} leases of an expired token, {used} tokens taken by the service",
        service.rotations()
    );
    assert_eq!(tally, [LEASES, 0, LEASES]);
}

fn one(kind: Kind) {
    expire(kind, 1, |_| LIFETIME);
}

/// Every other time they are refreshed ahead, while the old tokens are still served.
fn several(kind: Kind) {
    expire(kind, 5, |round| if round % 2 == 0 { LIFETIME } else { LIFETIME * 9 / 10 });
}

#[test]
fn fifty_expiries_are_fifty_refreshes_on_postgres() {
    one(Kind::Postgres);
    several(Kind::Postgres);
}

#[test]
fn fifty_expiries_are_fifty_refreshes_on_redis() {
    one(Kind::Redis);
    several(Kind::Redis);
}

#[test]
fn fifty_expiries_are_fifty_refreshes_on_a_cluster() {
    one(Kind::Cluster);
    several(Kind::Cluster);
}

#[test]
fn fifty_expiries_are_fifty_refreshes_on_redb() {
    one(Kind::File);
    several(Kind::File);
}
