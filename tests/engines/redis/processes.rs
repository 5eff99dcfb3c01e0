//! Two processes on one store: each is this test binary again.

use std::collections::HashSet;
use std::sync::Arc;

use mcp_token_lifecycle::{ErrorCode, RedisStore, TokenIssuer};

use crate::servers::{CLUSTER, SINGLE, fresh, named};
use crate::support::process::{self, Process};
use crate::support::*;

const PLACE: &str = "REDIS_TEST_PLACE";
const AT_ONCE: usize = 16;
const ROUNDS: usize = 40;

type Issuer = Arc<TokenIssuer<RedisStore>>;

async fn issuer(place: &str) -> Issuer {
    let (variable, prefix) = place.split_once(' ').expect("a variable and a prefix");
    Arc::new(TokenIssuer::new(named(variable, prefix).await, keyring()))
}

/// Not a test: what each of the two processes runs.
#[tokio::test(flavor = "multi_thread")]
async fn child() {
    let Ok(place) = std::env::var(PLACE) else { return };
    process::race(issuer(&place).await, AT_ONCE).await;
}

fn start(place: &str) -> Process {
    Process::start("processes::child", PLACE, place)
}

async fn race(variable: &str) {
    let place = format!("{variable} {}", fresh());
    let issuer = issuer(&place).await;
    let mut processes = [start(&place), start(&place)];
    let (mut rotated, mut retried) = ([0, 0], [0, 0]);
    for round in 0..ROUNDS {
        let first = issuer.issue(grant(), None).await.unwrap();
        // Each has the head start in its turn.
        for turn in [round % 2, (round + 1) % 2] {
            processes[turn].tell(&format!("refresh {}", rt(&first)));
        }
        let heard = processes.each_mut().map(Process::hear);
        let (mut rotations, mut successors) = (0, HashSet::new());
        for (process, heard) in heard.iter().enumerate() {
            let mut words = heard.split(' ');
            let mut count = || words.next().unwrap().parse::<usize>().unwrap();
            let counts = (count(), count());
            rotations += counts.0;
            (rotated[process], retried[process]) = (rotated[process] + counts.0, retried[process] + counts.1);
            successors.extend(words.map(str::to_owned));
        }
        assert_eq!((rotations, successors.len()), (1, 1), "one rotation and one successor");
    }
    let (mut survivors, mut refreshed) = (0, 0);
    for round in 0..ROUNDS {
        let first = issuer.issue(grant(), None).await.unwrap();
        let (refresher, revoker) = (round % 2, (round + 1) % 2);
        processes[refresher].tell(&format!("refresh {}", rt(&first)));
        processes[revoker].tell(&format!("revoke {}", rt(&first)));
        let heard = processes[refresher].hear();
        assert_eq!(processes[revoker].hear(), "revoked");
        let successors: Vec<_> = heard.split(' ').skip(2).filter(|token| !token.is_empty()).collect();
        refreshed += successors.len();
        for token in successors.into_iter().chain([rt(&first)]) {
            survivors += usize::from(refresh(&issuer, token).await.err() != Some(ErrorCode::InvalidGrant));
        }
    }
    println!(
        "{ROUNDS} rounds of {AT_ONCE} refreshes in each of two processes: {rotated:?} rotations, {retried:?} retries; \
         {ROUNDS} revocations in one against refreshes in the other: {refreshed} came first, {survivors} survivors"
    );
    assert!(rotated.iter().all(|count| *count > 0) && retried.iter().all(|count| *count > 0), "both took part");
    assert_eq!(survivors, 0);
    assert!(refreshed > 0, "the revocation always came first");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_rotate_once_and_revoke_for_good() {
    race(SINGLE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_rotate_once_and_revoke_for_good_on_a_cluster() {
    race(CLUSTER).await;
}
