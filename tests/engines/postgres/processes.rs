//! Two processes on one table.

use std::collections::HashSet;
use std::sync::Arc;

use mcp_token_lifecycle::{ErrorCode, TokenIssuer};

use super::support::process::{self, Process};
use super::support::*;
use super::{Issuer, RUNTIME, direct, pooled, refresh, store, table};

const VARIABLE: &str = "POSTGRES_RACE";
const AT_ONCE: usize = 16;
const ROUNDS: usize = 40;

async fn issuer(place: &str) -> Issuer {
    let (url, table) = place.split_once(' ').expect("a url and a table");
    Arc::new(TokenIssuer::new(store(url, table).await, keyring()))
}

/// Not a test: what each of the two processes runs.
#[test]
fn child() {
    let Ok(place) = std::env::var(VARIABLE) else { return };
    RUNTIME.block_on(async { process::race(issuer(&place).await, AT_ONCE).await });
}

fn start(place: &str) -> Process {
    Process::start("processes::child", VARIABLE, place)
}

fn race(url: &str) {
    let place = format!("{url} {}", table());
    let issuer = RUNTIME.block_on(issuer(&place));
    let mut processes = [start(&place), start(&place)];
    let mut rotated = [0, 0];
    for _ in 0..ROUNDS {
        let first = RUNTIME.block_on(issuer.issue(grant(), None)).unwrap();
        processes.iter_mut().for_each(|process| process.tell(&format!("refresh {}", rt(&first))));
        let heard = processes.each_mut().map(Process::hear);
        let mut successors = HashSet::new();
        let mut rotations = 0;
        for (heard, rotated) in heard.iter().zip(&mut rotated) {
            let mut words = heard.split(' ');
            let count: usize = words.next().unwrap().parse().unwrap();
            (rotations, *rotated) = (rotations + count, *rotated + count);
            successors.extend(words.skip(1));
        }
        assert_eq!((rotations, successors.len()), (1, 1), "one rotation and one successor");
    }
    let (mut survivors, mut lost) = (0, 0);
    for round in 0..ROUNDS {
        let first = RUNTIME.block_on(issuer.issue(grant(), None)).unwrap();
        processes[round % 2].tell(&format!("refresh {}", rt(&first)));
        processes[(round + 1) % 2].tell(&format!("revoke {}", rt(&first)));
        let heard = processes[round % 2].hear();
        processes[(round + 1) % 2].hear();
        let tokens = heard.split(' ').skip(2).filter(|token| !token.is_empty());
        for token in tokens.chain([rt(&first)]) {
            lost += usize::from(token != rt(&first));
            survivors += usize::from(RUNTIME.block_on(refresh(&issuer, token)).err() != Some(ErrorCode::InvalidGrant));
        }
    }
    println!(
        "{ROUNDS} rounds of {AT_ONCE} refreshes in each of two processes: {} and {} rotations; \
         {ROUNDS} revocations in one against refreshes in the other: {lost} successors, {survivors} survivors",
        rotated[0], rotated[1]
    );
    assert_eq!(survivors, 0);
}

#[test]
fn two_processes_rotate_once_and_revoke_for_good() {
    race(&direct());
}

#[test]
fn two_processes_rotate_once_and_revoke_through_pgbouncer() {
    race(&pooled());
}
