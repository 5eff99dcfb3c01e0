//! Many at once on one family.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use mcp_token_lifecycle::{ErrorCode, RedisStore, RotationPolicy, TokenIssuer};
use tokio::task::JoinSet;

use crate::servers::{CLUSTER, SINGLE, fresh, named, store};
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
        // Now the one comes first and now the other.
        let head_start = move |of_other| Duration::from_millis(if of_other { round as u64 / 2 % 3 } else { 0 });
        let revoker = tokio::spawn({
            let (bench, token) = (Arc::clone(&bench), token.clone());
            async move {
                tokio::time::sleep(head_start(round % 2 == 1)).await;
                bench.issuer.revoke(&client(), &token, None).await.unwrap()
            }
        });
        let refresher = tokio::spawn({
            let (bench, token) = (Arc::clone(&bench), token.clone());
            async move {
                tokio::time::sleep(head_start(round % 2 == 0)).await;
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
async fn revoke_racing_refresh_leaves_no_survivor() {
    refresh_against_revoke(SINGLE, 300).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn revoke_racing_refresh_on_a_cluster_leaves_no_survivor() {
    refresh_against_revoke(CLUSTER, 300).await;
}

/// The servers write with different primary keys; a refresh and a re-key move the user's families while they are listed.
async fn revocations_against_a_key_rotation(variable: &str) {
    let prefix = fresh();
    let node = async |primary| Arc::new(TokenIssuer::new(named(variable, &prefix).await, mid_rotation(primary)));
    let issuers = [node(1).await, node(2).await];
    let mut refreshed = 0;
    for round in 0..100 {
        let user = format!("user-{round}");
        let mut logins = Vec::new();
        for _ in 0..3 {
            logins.push(issuers[0].issue(grant_of(&user, "client-1"), None).await.unwrap());
        }
        let revoker = Arc::clone(&issuers[usize::from(round % 4 == 3)]);
        let revoked = tokio::spawn(async move { revoker.revoke_subject(&user).await.unwrap() });
        let rekeyer = Arc::clone(&issuers[1]);
        let rekeyed = tokio::spawn(async move { rekeyer.rekey().await.unwrap() });
        let mut refreshes = JoinSet::new();
        for login in &logins {
            let (issuer, token) = (Arc::clone(&issuers[1]), rt(login).to_owned());
            refreshes.spawn(async move { refresh(&issuer, &token).await.ok() });
        }
        let survivors: Vec<_> = refreshes.join_all().await.into_iter().flatten().collect();
        refreshed += survivors.len();
        rekeyed.await.unwrap();
        assert_eq!(revoked.await.unwrap(), 3);
        for token in survivors.iter().chain(&logins).map(rt) {
            for issuer in &issuers {
                assert_eq!(refresh(issuer, token).await.unwrap_err(), ErrorCode::InvalidGrant);
            }
        }
    }
    println!("100 revocations during a key rotation: {refreshed} refreshes came first; no survivor");
}

#[tokio::test(flavor = "multi_thread")]
async fn revoke_subject_racing_a_key_rotation_leaves_no_survivor() {
    revocations_against_a_key_rotation(SINGLE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn revoke_subject_racing_a_key_rotation_on_a_cluster() {
    revocations_against_a_key_rotation(CLUSTER).await;
}
