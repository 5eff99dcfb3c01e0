//! When the stored token is served, and who refreshes it.

use mcp_token_lifecycle::client::TokenManagerError;
use mcp_token_lifecycle::vault::{SecretText, TokenSet};
use tokio::task::JoinSet;

use super::script::*;
use super::support::*;

#[tokio::test]
async fn access_token_without_login_is_no_credentials() {
    let lab = Lab::new(Script::new([]));
    let refused = lab.credentials().access_token().await;
    assert!(matches!(refused, Err(TokenManagerError::NoCredentials)), "{refused:?}");
}

#[tokio::test]
async fn access_token_fresh_is_served_without_refresh() {
    let lab = Lab::new(Script::new([]));
    lab.log_in(&lab.credentials()).await;
    lab.pass(2600);
    assert_eq!(token(&lab.credentials()).await, "access-0");
    assert_eq!(lab.script.presented(), Vec::<String>::new());
}

#[tokio::test]
async fn access_token_due_is_refreshed_once_others_get_the_valid() {
    let lab = Lab::new(Script::new([successor(1)]).gated());
    let first = lab.refreshing_after(3000).await;
    for _ in 0..20 {
        assert_eq!(token(&lab.credentials()).await, "access-0");
    }
    lab.script.open();
    assert_eq!(first.await.unwrap(), "access-1");
    assert_eq!(token(&lab.credentials()).await, "access-1");
    assert_eq!(lab.script.presented(), ["refresh-0"]);
}

#[tokio::test]
async fn slow_refresh_ahead_serves_the_valid_token() {
    let lab = Lab::new(Script::new([successor(1)]).gated());
    let first = lab.refreshing_after(3000).await;
    lab.lose_patience();
    lab.script.open();
    assert_eq!(first.await.unwrap(), "access-0");
    lab.pass(600);
    assert_eq!(token(&lab.credentials()).await, "access-1");
    assert_eq!(lab.script.presented(), ["refresh-0"], "the refresh went on");
}

#[tokio::test]
async fn access_token_dead_while_waiting_waits_for_refresh() {
    let lab = Lab::new(Script::new([successor(1)]).gated());
    let first = lab.refreshing_after(3590).await;
    lab.pass(10);
    lab.lose_patience();
    lab.script.open();
    assert_eq!(first.await.unwrap(), "access-1");
    assert_eq!(lab.script.presented(), ["refresh-0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn access_token_expired_64_callers_share_one_refresh() {
    let lab = Lab::new(Script::new([successor(1)]).gated());
    lab.log_in(&lab.credentials()).await;
    lab.pass(3600);
    let mut tasks = JoinSet::new();
    for _ in 0..64 {
        let credentials = lab.credentials();
        tasks.spawn(async move { token(&credentials).await });
    }
    lab.script.asked().await;
    lab.script.open();
    assert_eq!(tasks.join_all().await, vec!["access-1"; 64]);
    assert_eq!(lab.script.presented(), ["refresh-0"]);
}

#[tokio::test]
async fn refresh_presents_newest_refresh_token() {
    let lab = Lab::new(Script::new((1..=5).map(successor)));
    lab.log_in(&lab.credentials()).await;
    for n in 1..=5 {
        lab.pass(3600);
        assert_eq!(token(&lab.credentials()).await, format!("access-{n}"));
    }
    assert_eq!(lab.script.presented(), ["refresh-0", "refresh-1", "refresh-2", "refresh-3", "refresh-4"]);
}

#[tokio::test]
async fn refresh_of_aborted_caller_is_stored() {
    let lab = Lab::new(Script::new([successor(1)]).gated());
    let caller = lab.refreshing_after(3600).await;
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    lab.script.open();
    assert_eq!(token(&lab.credentials()).await, "access-1");
    assert_eq!(lab.script.presented(), ["refresh-0"]);
}

#[tokio::test]
async fn access_token_after_refusal_refreshes_once_for_all() {
    let lab = Lab::new(Script::new([successor(1)]));
    let credentials = lab.credentials();
    lab.log_in(&credentials).await;
    let refused = credentials.access_token().await.unwrap();
    for _ in 0..3 {
        assert_eq!(lab.credentials().access_token_after(&refused).await.unwrap().expose(), "access-1");
    }
    assert_eq!(lab.script.presented(), ["refresh-0"]);
}

#[tokio::test]
async fn access_token_without_refresh_token_needs_authorization() {
    let lab = Lab::new(Script::new([]));
    let credentials = lab.credentials();
    let expires_at = mcp_token_lifecycle::Clock::now(&lab.clock).saturating_add(HOUR);
    let tokens = TokenSet::new(SecretText::new("access-0"), scope("mcp:read")).expires_at(expires_at);
    credentials.store(tokens).await.unwrap();
    lab.pass(3590);
    assert_eq!(token(&credentials).await, "access-0");
    lab.pass(10);
    let refused = credentials.access_token().await;
    assert!(matches!(refused, Err(TokenManagerError::NeedsAuthorization)), "{refused:?}");
}

#[tokio::test]
async fn access_token_expired_on_arrival_is_served_for_seconds() {
    let over = |n| successor(n).map(|refreshed| refreshed.expires_in(seconds(0)));
    let lab = Lab::new(Script::new([over(1), over(2)]));
    let credentials = lab.credentials();
    lab.log_in(&credentials).await;
    lab.pass(3600);
    for _ in 0..2 {
        assert_eq!(token(&credentials).await, "access-1");
    }
    lab.pass(10);
    assert_eq!(token(&credentials).await, "access-2");
}
