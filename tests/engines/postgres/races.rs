//! Two issuers that share a table, each with connections of its own, and many tasks at once.

use std::collections::HashSet;
use std::sync::Arc;

use mcp_token_lifecycle::{ErrorCode, Keyring, TokenIssuer};
use tokio::task::JoinSet;

use super::support::*;
use super::{Issuer, RUNTIME, direct, pooled, refresh, store, table};

async fn two(url: &str) -> [Issuer; 2] {
    two_with(url, [keyring(), keyring()]).await
}

async fn two_with(url: &str, [first, second]: [Keyring; 2]) -> [Issuer; 2] {
    let table = table();
    let issuer = async |keyring| Arc::new(TokenIssuer::new(store(url, &table).await, keyring));
    [issuer(first).await, issuer(second).await]
}

async fn many_refreshes(url: &str) {
    let issuers = two(url).await;
    for _ in 0..10 {
        let first = issuers[0].issue(grant(), None).await.unwrap();
        let mut tasks = JoinSet::new();
        for n in 0..64 {
            let (issuer, token) = (issuers[n % 2].clone(), rt(&first).to_owned());
            tasks.spawn(async move { refresh(&issuer, &token).await.unwrap() });
        }
        let answers = tasks.join_all().await;
        assert_eq!(answers.iter().map(rt).collect::<HashSet<_>>().len(), 1, "one successor");
        assert_eq!(answers.iter().filter(|answer| !answer.retry).count(), 1, "one of them rotated");
    }
}

#[test]
fn sixty_four_refreshes_rotate_once_to_one_successor() {
    RUNTIME.block_on(many_refreshes(&direct()));
}

#[test]
fn sixty_four_refreshes_at_once_rotate_once_through_pgbouncer() {
    RUNTIME.block_on(many_refreshes(&pooled()));
}

async fn refreshes_against_revocations(url: &str) {
    let issuers = two(url).await;
    let mut refreshed = 0;
    for round in 0..100 {
        let first = issuers[0].issue(grant(), None).await.unwrap();
        let mut tasks = JoinSet::new();
        for n in 0..4 {
            let (issuer, token) = (issuers[n % 2].clone(), rt(&first).to_owned());
            tasks.spawn(async move {
                if n == round % 4 {
                    issuer.revoke(&client(), &token, None).await.unwrap();
                    return None;
                }
                refresh(&issuer, &token).await.ok()
            });
        }
        let survivors: Vec<_> = tasks.join_all().await.into_iter().flatten().collect();
        refreshed += survivors.len();
        for (n, token) in survivors.iter().chain([&first]).map(rt).enumerate() {
            assert_eq!(refresh(&issuers[n % 2], token).await.unwrap_err(), ErrorCode::InvalidGrant);
        }
    }
    println!(
        "100 revocations against 300 refreshes: {refreshed} of them came first, and no token outlived its revocation"
    );
    assert!(refreshed > 0, "the revocation always won: no race");
}

#[test]
fn revoke_racing_refreshes_leaves_no_survivor() {
    RUNTIME.block_on(refreshes_against_revocations(&direct()));
}

#[test]
fn revoke_racing_refreshes_through_pgbouncer() {
    RUNTIME.block_on(refreshes_against_revocations(&pooled()));
}

/// The servers write with different primary keys; a refresh and a re-key move the user's families while they are listed.
async fn revocations_against_a_key_rotation(url: &str) {
    let issuers = two_with(url, [mid_rotation(1), mid_rotation(2)]).await;
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

#[test]
fn revoke_subject_racing_a_key_rotation_leaves_no_survivor() {
    RUNTIME.block_on(revocations_against_a_key_rotation(&direct()));
}

#[test]
fn revoke_subject_racing_a_key_rotation_through_pgbouncer() {
    RUNTIME.block_on(revocations_against_a_key_rotation(&pooled()));
}
