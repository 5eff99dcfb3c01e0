//! Two processes on one table.

use std::collections::HashSet;
use std::sync::Arc;

use mcp_token_lifecycle::{ErrorCode, TokenIssuer};
use tokio::task::JoinSet;

use super::support::process::{Process, say};
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
    let issuer = RUNTIME.block_on(issuer(&place));
    for line in std::io::stdin().lines() {
        let line = line.unwrap();
        let (act, token) = line.split_once(' ').unwrap();
        let answer = match act {
            "revoke" => RUNTIME.block_on(issuer.revoke(&client(), token, None)).map(|()| "revoked".to_owned()).unwrap(),
            _ => RUNTIME.block_on(refreshes(&issuer, token)),
        };
        say(&answer);
    }
}

/// How many of the refreshes rotated, and what came out of them.
async fn refreshes(issuer: &Issuer, token: &str) -> String {
    let mut tasks = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (issuer, token) = (issuer.clone(), token.to_owned());
        tasks.spawn(async move { refresh(&issuer, &token).await.ok() });
    }
    let answers = tasks.join_all().await;
    let rotated = answers.iter().flatten().filter(|answer| !answer.retry).count();
    let successors: HashSet<_> = answers.iter().flatten().map(rt).collect();
    format!("{rotated} {}", successors.into_iter().collect::<Vec<_>>().join(" "))
}

fn start(place: &str) -> Process {
    Process::start("processes::child", VARIABLE, place)
}

fn race(url: &str) {
    let place = format!("{url} {}", table());
    let issuer = RUNTIME.block_on(issuer(&place));
    let mut processes = [start(&place), start(&place)];
    let mut current = rt(&RUNTIME.block_on(issuer.issue(grant(), None)).unwrap()).to_owned();
    let mut rotated = [0, 0];
    for _ in 0..ROUNDS {
        processes.iter_mut().for_each(|process| process.tell(&format!("refresh {current}")));
        let heard = processes.each_mut().map(Process::hear);
        let mut successors = HashSet::new();
        let mut rotations = 0;
        for (heard, rotated) in heard.iter().zip(&mut rotated) {
            let (count, tokens) = heard.split_once(' ').unwrap();
            let count: usize = count.parse().unwrap();
            (rotations, *rotated) = (rotations + count, *rotated + count);
            successors.extend(tokens.split(' '));
        }
        assert_eq!((rotations, successors.len()), (1, 1), "one rotation and one successor");
        current = successors.into_iter().next().unwrap().to_owned();
    }
    let (mut survivors, mut lost) = (0, 0);
    for round in 0..ROUNDS {
        let first = RUNTIME.block_on(issuer.issue(grant(), None)).unwrap();
        processes[round % 2].tell(&format!("refresh {}", rt(&first)));
        processes[(round + 1) % 2].tell(&format!("revoke {}", rt(&first)));
        let heard = processes[round % 2].hear();
        processes[(round + 1) % 2].hear();
        let tokens = heard.split(' ').skip(1).filter(|token| !token.is_empty());
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
fn two_processes_rotate_once_and_revoke_for_good_through_pgbouncer() {
    race(&pooled());
}
