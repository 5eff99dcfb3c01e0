//! Logging out.

use mcp_token_lifecycle::upstream::{ClientCredentialsError, Revocation, UpstreamError};

use super::script::*;

#[tokio::test]
async fn a_logout_revokes_at_the_server_and_leaves_nothing_but_the_lock() {
    for answer in [Ok(Revocation::Done), Ok(Revocation::Unsupported), Err(UpstreamError::InvalidGrant)] {
        let lab = Lab::new(Script::new([]));
        let credentials = lab.credentials();
        lab.log_in(&credentials).await;
        lab.script.on_revoke(answer);
        credentials.forget().await.unwrap();
        assert_eq!(lab.script.revoked(), ["refresh-0"]);
        assert!(matches!(credentials.access_token().await, Err(ClientCredentialsError::NoCredentials)));
        let left: Vec<_> = lab.folder.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["credentials.lock"]);
    }
}

#[tokio::test]
async fn a_logout_that_the_server_did_not_hear_of_deletes_nothing() {
    let lab = Lab::new(Script::new([]));
    let credentials = lab.credentials();
    lab.log_in(&credentials).await;
    lab.script.on_revoke(Err(UpstreamError::unavailable("down")));
    let failed = credentials.forget().await;
    assert!(matches!(failed, Err(ClientCredentialsError::Unavailable { .. })), "{failed:?}");
    assert_eq!(token(&credentials).await, "access-0");
    lab.script.on_revoke(Ok(Revocation::Done));
    credentials.forget().await.unwrap();
    credentials.forget().await.unwrap();
    assert_eq!(lab.script.revoked(), ["refresh-0"; 2]);
}

#[tokio::test]
async fn a_logout_waits_for_a_refresh_and_revokes_what_it_brought() {
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
async fn a_server_that_takes_only_a_live_token_gets_one_that_is_kept_first() {
    let lab = Lab::new(Script::new([successor(1)]));
    let credentials = lab.credentials();
    lab.log_in(&credentials).await;
    lab.script.on_revoke(Ok(Revocation::NeedsRefresh));
    lab.script.on_revoke(Err(UpstreamError::unavailable("down")));
    let failed = credentials.forget().await;
    assert!(matches!(failed, Err(ClientCredentialsError::Unavailable { .. })), "{failed:?}");
    assert_eq!(token(&lab.credentials()).await, "access-1");

    lab.script.on_revoke(Ok(Revocation::Done));
    lab.credentials().forget().await.unwrap();
    assert_eq!(lab.script.revoked(), ["refresh-0", "refresh-1", "refresh-1"]);
    assert!(!lab.path().exists());
}

#[tokio::test]
async fn a_login_that_is_dead_already_is_deleted() {
    let lab = Lab::new(Script::new([Err(UpstreamError::InvalidGrant)]));
    let credentials = lab.credentials();
    lab.log_in(&credentials).await;
    lab.script.on_revoke(Ok(Revocation::NeedsRefresh));
    credentials.forget().await.unwrap();
    assert!(!lab.path().exists());
}

#[tokio::test]
async fn a_server_that_takes_no_token_at_all_is_asked_twice_and_not_for_ever() {
    let lab = Lab::new(Script::new([successor(1)]));
    let credentials = lab.credentials();
    lab.log_in(&credentials).await;
    lab.script.on_revoke(Ok(Revocation::NeedsRefresh));
    lab.script.on_revoke(Ok(Revocation::NeedsRefresh));
    let failed = credentials.forget().await;
    assert!(matches!(failed, Err(ClientCredentialsError::Unavailable { .. })), "{failed:?}");
    assert_eq!(token(&credentials).await, "access-1");
}
