//! Many at once on one family.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use mcp_token_lifecycle::{RedisStore, RotationPolicy};
use tokio::task::JoinSet;

use crate::servers::{CLUSTER, SINGLE, store};
use crate::support::*;

type Shared = Arc<Bench<RedisStore>>;

async fn shared(variable: &str) -> Shared {
    Arc::new(bench_on(store(variable).await, keyring(), RotationPolicy::standard()))
}

async fn sixty_four_refreshes(variable: &str) {
    let bench = shared(variable).await;
    for _ in 0..10 {
        let first = bench.issuer.issue(grant(), None).await.unwrap();
        bench.told();
        let mut racers = JoinSet::new();
        for _ in 0..64 {
            let (bench, token) = (Arc::clone(&bench), rt(&first).to_owned());
            racers.spawn(async move { refresh(&bench.issuer, &token).await.unwrap() });
        }
        let answers = racers.join_all().await;
        assert_eq!(answers.iter().map(rt).collect::<HashSet<_>>().len(), 1, "one successor for all");
        assert_eq!(answers.iter().filter(|answer| !answer.retry).count(), 1, "one of them rotated");
        assert_eq!(bench.told().iter().filter(|(act, _)| *act == "rotate").count(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_refreshes_rotate_once() {
    sixty_four_refreshes(SINGLE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_refreshes_rotate_once_on_a_cluster() {
    sixty_four_refreshes(CLUSTER).await;
}

async fn refresh_against_revoke(variable: &str, rounds: usize) {
    let bench = shared(variable).await;
    let (mut survivors, mut refreshed) = (0, 0);
    for round in 0..rounds {
        let first = bench.issuer.issue(grant(), None).await.unwrap();
        let token = rt(&first).to_owned();
        let revoker = tokio::spawn({
            let (bench, token) = (Arc::clone(&bench), token.clone());
            async move { bench.issuer.revoke(&client(), &token, None).await.unwrap() }
        });
        let refresher = tokio::spawn({
            let (bench, token) = (Arc::clone(&bench), token.clone());
            async move {
                // Now the one comes first and now the other.
                tokio::time::sleep(Duration::from_millis(round as u64 % 3)).await;
                refresh(&bench.issuer, &token).await
            }
        });
        revoker.await.unwrap();
        let answer = refresher.await.unwrap();
        refreshed += usize::from(answer.is_ok());
        let tokens = answer.iter().map(rt).chain([rt(&first)]);
        for token in tokens {
            survivors += usize::from(refresh(&bench.issuer, token).await.is_ok());
        }
    }
    println!("{rounds} revocations against refreshes; {refreshed} refreshes came first; survivors: {survivors}");
    assert_eq!(survivors, 0);
    assert!(refreshed > 0, "the revocation always came first");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_wins_against_a_refresh() {
    refresh_against_revoke(SINGLE, 300).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_wins_against_a_refresh_on_a_cluster() {
    refresh_against_revoke(CLUSTER, 300).await;
}
