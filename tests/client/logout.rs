//! Logging out.

use std::time::Duration;

use mcp_token_lifecycle::client::{FileStorage, TokenManagerError};
use mcp_token_lifecycle::vault::{Refreshed, Revocation, UpstreamError};

use super::script::*;

#[tokio::test]
async fn forget_revokes_and_leaves_only_the_lock_file() {
    for answer in [Ok(Revocation::Done), Ok(Revocation::Unsupported), Err(UpstreamError::InvalidGrant)] {
        let lab = Lab::new(Script::new([]));
        let credentials = lab.credentials();
        lab.log_in(&credentials).await;
        lab.script.on_revoke(answer);
        credentials.forget().await.unwrap();
        assert_eq!(lab.script.revoked(), ["refresh-0"]);
        assert!(matches!(credentials.access_token().await, Err(TokenManagerError::NoCredentials)));
        let left: Vec<_> = lab.folder.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["credentials.lock"]);
    }
}

#[tokio::test]
async fn forget_while_server_is_down_keeps_login() {
    let lab = Lab::new(Script::new([]));
    let credentials = lab.credentials();
    lab.log_in(&credentials).await;
    lab.script.on_revoke(Err(UpstreamError::unavailable("down")));
    let failed = credentials.forget().await;
    assert!(matches!(failed, Err(TokenManagerError::Unavailable { .. })), "{failed:?}");
    assert_eq!(token(&credentials).await, "access-0");
    lab.script.on_revoke(Ok(Revocation::Done));
    credentials.forget().await.unwrap();
    credentials.forget().await.unwrap();
    assert_eq!(lab.script.revoked(), ["refresh-0"; 2]);
}

#[tokio::test]
async fn forget_reports_retry_after_of_server_up_to_a_day() {
    let lab = Lab::new(Script::new([]));
    let credentials = lab.credentials();
    lab.log_in(&credentials).await;
    for (asked, told) in [(HOUR, HOUR), (Duration::MAX, 24 * HOUR)] {
        lab.script.on_revoke(Err(UpstreamError::retry_after(asked, "busy")));
        let failed = credentials.forget().await;
        let Err(TokenManagerError::Unavailable { retry_after, .. }) = failed else { panic!("{failed:?}") };
        assert_eq!(retry_after, told);
    }
}

/// A server that does not know a token any more says that it is done, too.
#[tokio::test]
async fn done_after_a_lost_answer_is_told_apart() {
    let lab = Lab::new(Script::new([lost(), lost(), lost(), lost()]));
    let credentials = lab.credentials();
    lab.log_in(&credentials).await;
    lab.pass(3600);
    credentials.access_token().await.unwrap_err();
    lab.script.on_revoke(Ok(Revocation::Done));
    let told = credentials.forget().await;
    assert!(matches!(told, Err(TokenManagerError::AnswerLost)), "{told:?}");
    assert!(!lab.path().exists());
}

#[tokio::test]
async fn forget_waits_for_refresh_and_revokes_its_successor() {
    let lab = Lab::new(Script::new([successor(1)]).gated());
    let leaving = lab.credentials();
    let refresh = lab.refreshing_after(3600).await;
    lab.script.on_revoke(Ok(Revocation::Done));
    let logout = tokio::spawn(async move { leaving.forget().await });
    while lab.pauses.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    lab.script.open();
    assert_eq!(refresh.await.unwrap(), "access-1");
    logout.await.unwrap().unwrap();
    assert_eq!(lab.script.revoked(), ["refresh-1"]);
}

#[tokio::test]
async fn forget_needing_refresh_stores_successor_then_revokes() {
    let lab = Lab::new(Script::new([successor(1)]));
    let credentials = lab.credentials();
    lab.log_in(&credentials).await;
    lab.script.on_revoke(Ok(Revocation::NeedsRefresh));
    lab.script.on_revoke(Err(UpstreamError::unavailable("down")));
    let failed = credentials.forget().await;
    assert!(matches!(failed, Err(TokenManagerError::Unavailable { .. })), "{failed:?}");
    assert_eq!(token(&lab.credentials()).await, "access-1");

    lab.script.on_revoke(Ok(Revocation::Done));
    lab.credentials().forget().await.unwrap();
    assert_eq!(lab.script.revoked(), ["refresh-0", "refresh-1", "refresh-1"]);
    assert!(!lab.path().exists());
}

#[tokio::test]
async fn forget_with_dead_login_deletes_it() {
    let lab = Lab::new(Script::new([Err(UpstreamError::InvalidGrant)]));
    let credentials = lab.credentials();
    lab.log_in(&credentials).await;
    lab.script.on_revoke(Ok(Revocation::NeedsRefresh));
    credentials.forget().await.unwrap();
    assert!(!lab.path().exists());
}

#[tokio::test]
async fn server_that_refuses_each_token_is_asked_twice() {
    let lab = Lab::new(Script::new([successor(1)]));
    let credentials = lab.credentials();
    lab.log_in(&credentials).await;
    lab.script.on_revoke(Ok(Revocation::NeedsRefresh));
    lab.script.on_revoke(Ok(Revocation::NeedsRefresh));
    let failed = credentials.forget().await;
    assert!(matches!(failed, Err(TokenManagerError::Unavailable { .. })), "{failed:?}");
    assert_eq!(token(&credentials).await, "access-1");
}

fn lost() -> Result<Refreshed, UpstreamError> {
    Err(UpstreamError::uncertain("timeout"))
}

/// The server may have given tokens for the old ones that no client can revoke.
#[tokio::test]
async fn forget_after_lost_answer_is_answer_lost_and_deletes() {
    // Lost to the logout itself, to a refresh before it, and to one that finds out at once. A lost answer is asked for four times.
    for (lost_answers, refreshes) in [(4, 0), (4, 2), (1, 1)] {
        let answers = (0..lost_answers).map(|_| lost()).chain([Err(UpstreamError::InvalidGrant)]);
        let lab = Lab::new(Script::new(answers));
        let credentials = lab.credentials();
        lab.log_in(&credentials).await;
        for _ in 0..refreshes {
            lab.pass(3600);
            credentials.access_token().await.unwrap_err();
        }
        if refreshes == 0 {
            lab.script.on_revoke(Ok(Revocation::NeedsRefresh));
            let failed = credentials.forget().await;
            assert!(matches!(failed, Err(TokenManagerError::Unavailable { .. })), "{failed:?}");
            lab.script.on_revoke(Ok(Revocation::NeedsRefresh));
        }
        let told = credentials.forget().await;
        assert!(matches!(told, Err(TokenManagerError::AnswerLost)), "{told:?}");
        assert!(!lab.path().exists());
        credentials.forget().await.unwrap();
    }
}

#[tokio::test]
async fn forget_after_death_during_refresh_is_answer_lost() {
    let lab = Lab::new(Script::new([successor(1), Err(UpstreamError::InvalidGrant)]).gated());
    let caller = lab.refreshing_after(3600).await;
    // What it leaves behind if it ends here.
    let left = lab.folder.path().join("left");
    std::fs::copy(lab.path(), &left).unwrap();
    let credentials = lab.credentials_in(FileStorage::open(left).unwrap());
    lab.script.open();
    assert_eq!(caller.await.unwrap(), "access-1");
    credentials.access_token().await.unwrap_err();
    let told = credentials.forget().await;
    assert!(matches!(told, Err(TokenManagerError::AnswerLost)), "{told:?}");
}

#[tokio::test]
async fn forget_after_certain_failure_succeeds() {
    let lab = Lab::new(Script::new([Err(UpstreamError::unavailable("down")), Err(UpstreamError::InvalidGrant)]));
    let credentials = lab.credentials();
    lab.log_in(&credentials).await;
    lab.pass(3600);
    credentials.access_token().await.unwrap_err();
    lab.script.on_revoke(Ok(Revocation::NeedsRefresh));
    credentials.forget().await.unwrap();
    assert!(!lab.path().exists());
}

#[tokio::test]
async fn forget_after_lost_answer_was_repeated_succeeds() {
    let lab = Lab::new(Script::new([lost(), successor(1)]));
    let credentials = lab.credentials();
    lab.log_in(&credentials).await;
    lab.pass(3600);
    assert_eq!(token(&credentials).await, "access-1");
    lab.script.on_revoke(Err(UpstreamError::InvalidGrant));
    credentials.forget().await.unwrap();
}
