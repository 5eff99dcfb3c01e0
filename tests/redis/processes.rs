//! Two processes on one store: each is this test binary again.

use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};

use mcp_token_lifecycle::{Answer, RefreshRequest, RotationPolicy, TokenIssuer};

use crate::servers::{CLUSTER, SINGLE, fresh, named};
use crate::support::*;

const ORDERS: &str = "REDIS_TEST_CHILD";
const ROUNDS: usize = 50;

/// Not a test: what a child does. It rotates `ROUNDS` times, starting from a token that the other has too, and always goes on
/// with the successor it was given.
#[tokio::test(flavor = "multi_thread")]
async fn child() {
    let Ok(orders) = std::env::var(ORDERS) else { return };
    let [variable, prefix, token] = orders.split(' ').collect::<Vec<_>>()[..] else { panic!("{orders}") };
    let issuer = TokenIssuer::new(named(variable, prefix).await, keyring())
        .with_policies(RotationPolicy::standard())
        .with_clock(TestClock::default());
    let mut token = token.to_owned();
    for _ in 0..ROUNDS {
        match issuer.refresh(&RefreshRequest::new(&client(), &token)).await.unwrap() {
            Answer::Issue(tokens) => {
                println!("successor {token} {} {}", rt(&tokens), if tokens.retry { "retried" } else { "rotated" });
                token = rt(&tokens).to_owned();
            }
            // The other is two ahead: an old token, which is what reuse looks like. Nobody goes on after that.
            Answer::Deny(_) => return,
        }
    }
}

fn start(variable: &str, prefix: &str, token: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "processes::child", "--nocapture"])
        .env(ORDERS, format!("{variable} {prefix} {token}"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

async fn two_processes(variable: &str) {
    let (mut rotated, mut retried) = (0, 0);
    for _ in 0..5 {
        let prefix = fresh();
        let bench = bench_on(named(variable, &prefix).await, keyring(), RotationPolicy::standard());
        let first = bench.issuer.issue(grant(), None).await.unwrap();
        let children = [(); 2].map(|()| start(variable, &prefix, rt(&first)));
        let outputs = children.map(|child| String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap());
        let told: Vec<Vec<&str>> = outputs
            .iter()
            .flat_map(|output| output.lines())
            .filter_map(|line| Some(line.split_once("successor ")?.1.split(' ').collect()))
            .collect();
        let pairs: BTreeSet<_> = told.iter().map(|words| (words[0], words[1])).collect();
        let spent: BTreeSet<_> = told.iter().map(|words| words[0]).collect();
        assert_eq!(pairs.len(), spent.len(), "no token has two successors");
        let by = |how| told.iter().filter(|words| words[2] == how).count();
        assert_eq!(by("rotated"), pairs.len(), "each token was rotated once, by one of the two");
        assert!(pairs.len() >= 2);
        (rotated, retried) = (rotated + by("rotated"), retried + by("retried"));
    }
    println!("two processes: {rotated} rotations, {retried} retries with the same successor, 0 forks");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_never_fork_a_family() {
    two_processes(SINGLE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_never_fork_a_family_on_a_cluster() {
    two_processes(CLUSTER).await;
}
