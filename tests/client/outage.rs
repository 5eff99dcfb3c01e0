//! What goes wrong at the server or on the disk, and what comes of it.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mcp_token_lifecycle::client::{CredentialStorage, FileStorage, StorageError, StorageLock, TokenManagerError};
use mcp_token_lifecycle::vault::{Refreshed, SecretText, UpstreamError};
use zeroize::Zeroizing;

use super::script::*;
use super::support::*;

#[tokio::test]
async fn lost_answer_is_retried_with_old_refresh_token() {
    let lost = || Err(UpstreamError::uncertain("cut off"));
    let lab = Lab::new(Script::new([lost(), lost(), lost(), successor(1)]));
    let credentials = lab.credentials();
    lab.log_in(&credentials).await;
    lab.pass(3600);
    assert_eq!(token(&credentials).await, "access-1");
    assert_eq!(lab.script.presented(), ["refresh-0"; 4]);
    assert!(lab.pauses.lock().unwrap().iter().sum::<Duration>() < seconds(5), "well within a leeway");
}

#[tokio::test]
async fn lost_answer_that_was_slow_is_not_retried_past_leeway() {
    for (takes, times) in [(7, 4), (8, 3), (20, 2), (25, 1)] {
        let lost = (0..4).map(|_| Err(UpstreamError::uncertain("timed out")));
        let lab = Lab::new(Script::new(lost).taking(seconds(takes)));
        let credentials = lab.credentials();
        lab.log_in(&credentials).await;
        lab.pass(3600);
        let refused = credentials.access_token().await;
        assert!(matches!(refused, Err(TokenManagerError::Unavailable { source: Some(_), .. })), "{refused:?}");
        assert_eq!(lab.script.presented().len(), times, "{takes} seconds each");
    }
}

#[tokio::test]
async fn invalid_grant_ends_the_login_and_leaves_no_token_behind() {
    let lab = Lab::new(Script::new([Err(UpstreamError::InvalidGrant)]));
    let credentials = lab.credentials();
    lab.log_in(&credentials).await;
    lab.pass(3600);
    for credentials in [&credentials, &lab.credentials()] {
        let refused = credentials.access_token().await;
        assert!(matches!(refused, Err(TokenManagerError::NeedsAuthorization)), "{refused:?}");
    }
    assert_eq!(lab.script.presented(), ["refresh-0"], "asked once");
    let stored = String::from_utf8_lossy(&std::fs::read(lab.path()).unwrap()).into_owned();
    assert!(!stored.contains("refresh-0") && !stored.contains("access-0"));
    lab.log_in(&credentials).await;
    assert_eq!(token(&credentials).await, "access-0");
}

#[tokio::test]
async fn server_outage_serves_valid_token_until_expiry() {
    let down = || Err(UpstreamError::unavailable("down"));
    let lab = Lab::new(Script::new([down(), down(), successor(1)]));
    let credentials = lab.credentials();
    lab.log_in(&credentials).await;
    lab.pass(3000);
    assert_eq!(token(&credentials).await, "access-0");
    lab.pass(600);
    let Err(TokenManagerError::Unavailable { retry_after, source: Some(_), .. }) = credentials.access_token().await
    else {
        panic!("served what has expired")
    };
    lab.clock.advance(retry_after);
    assert_eq!(token(&credentials).await, "access-1");
    assert_eq!(lab.script.presented(), ["refresh-0"; 3], "nothing was lost");
}

#[tokio::test]
async fn access_token_that_expires_during_refresh_is_not_served() {
    let lost = || Err(UpstreamError::uncertain("timed out"));
    let lab = Lab::new(Script::new([lost(), lost(), lost(), lost()]).taking(seconds(20)));
    let credentials = lab.credentials();
    lab.log_in(&credentials).await;
    lab.pass(3590);
    let refused = credentials.access_token().await;
    assert!(matches!(refused, Err(TokenManagerError::Unavailable { source: Some(_), .. })), "{refused:?}");
}

#[tokio::test]
async fn retry_after_is_kept_by_all_token_managers() {
    let lab = Lab::new(Script::new([Err(UpstreamError::retry_after(seconds(120), "busy")), successor(1)]));
    lab.log_in(&lab.credentials()).await;
    lab.pass(3600);
    for _ in 0..5 {
        let refused = lab.credentials().access_token().await;
        let Err(TokenManagerError::Unavailable { retry_after, .. }) = refused else { panic!("{refused:?}") };
        assert_eq!(retry_after, seconds(120));
    }
    assert_eq!(lab.script.presented().len(), 1);
    lab.pass(120);
    assert_eq!(token(&lab.credentials()).await, "access-1");
}

#[tokio::test]
async fn configuration_error_names_cause_and_keeps_login() {
    let lab = Lab::new(Script::new([Err(UpstreamError::configuration("invalid_client")), successor(1)]));
    let credentials = lab.credentials();
    lab.log_in(&credentials).await;
    lab.pass(3600);
    let refused = credentials.access_token().await.unwrap_err();
    assert!(format!("{refused:?}").contains("invalid_client"));
    lab.pass(60);
    assert_eq!(token(&credentials).await, "access-1");
}

#[tokio::test]
async fn unknown_refusal_asks_for_a_login_within_a_day() {
    let refused = || Err(UpstreamError::refused("account_closed"));
    let lab = Lab::new(Script::new((0..400).map(|_| refused()).chain([successor(1)])));
    let credentials = lab.credentials();
    lab.log_in(&credentials).await;
    lab.pass(3600);
    let mut minutes = 0;
    let last = loop {
        match credentials.access_token().await {
            Err(TokenManagerError::Unavailable { .. }) => lab.pass(5 * 60),
            other => break other,
        }
        minutes += 5;
    };
    assert!(matches!(last, Err(TokenManagerError::NeedsAuthorization)), "{last:?}");
    assert!((12 * 60..24 * 60).contains(&minutes), "{minutes} minutes");
    // Another process gets the same answer, and none of them has given the refresh token up.
    let refused = lab.credentials().access_token().await;
    assert!(matches!(refused, Err(TokenManagerError::NeedsAuthorization)), "{refused:?}");
    assert!(lab.script.presented().iter().all(|token| token == "refresh-0"));
}

#[tokio::test]
async fn refused_login_recovers_once_server_accepts() {
    let refused = || Err(UpstreamError::refused("account_closed"));
    let lab = Lab::new(Script::new([refused(), refused(), successor(1)]));
    let credentials = lab.credentials();
    lab.log_in(&credentials).await;
    lab.pass(3600);
    let first = credentials.access_token().await;
    assert!(matches!(first, Err(TokenManagerError::Unavailable { .. })), "{first:?}");
    lab.pass(24 * 3600);
    let second = credentials.access_token().await;
    assert!(matches!(second, Err(TokenManagerError::NeedsAuthorization)), "{second:?}");
    lab.pass(300);
    assert_eq!(token(&credentials).await, "access-1");
}

#[tokio::test]
async fn rotation_without_access_token_is_stored() {
    let rotated = Ok(Refreshed::rotated(SecretText::new("refresh-1")));
    let lab = Lab::new(Script::new([rotated, successor(2)]));
    let credentials = lab.credentials();
    lab.log_in(&credentials).await;
    lab.pass(3600);
    let refused = credentials.access_token().await;
    assert!(matches!(refused, Err(TokenManagerError::Unavailable { source: Some(_), .. })), "{refused:?}");
    lab.pass(60);
    assert_eq!(token(&credentials).await, "access-2");
    assert_eq!(lab.script.presented(), ["refresh-0", "refresh-1"]);
}

#[tokio::test]
async fn lock_timeout_is_unavailable_and_login_survives() {
    let lab = Lab::new(Script::new([successor(1)]));
    let credentials = lab.credentials();
    lab.log_in(&credentials).await;
    lab.pass(3600);
    let held = lock_of(&lab.file());
    let refused = credentials.access_token().await;
    assert!(matches!(refused, Err(TokenManagerError::Unavailable { source: None, .. })), "{refused:?}");
    let waited = lab.pauses.lock().unwrap().iter().sum::<Duration>();
    assert!((seconds(50)..=seconds(70)).contains(&waited), "{waited:?}");
    drop(held);
    assert_eq!(token(&credentials).await, "access-1");
}

/// A file whose disk is full for the writes from `from` up to `to`.
struct FullDisk {
    file: FileStorage,
    writes: Arc<AtomicUsize>,
    from: usize,
    to: usize,
}

impl CredentialStorage for FullDisk {
    fn try_lock(&self) -> Result<Option<StorageLock>, StorageError> {
        self.file.try_lock()
    }

    fn read(&self) -> Result<Option<Zeroizing<Vec<u8>>>, StorageError> {
        self.file.read()
    }

    fn write(&self, content: &[u8]) -> Result<(), StorageError> {
        match self.writes.fetch_add(1, Ordering::SeqCst) {
            write if (self.from..self.to).contains(&write) => {
                Err(StorageError::io("credentials", ErrorKind::StorageFull.into()))
            }
            _ => self.file.write(content),
        }
    }

    fn delete(&self) -> Result<(), StorageError> {
        self.file.delete()
    }
}

/// An expired login on a disk that is full for some of the writes, the login being the first.
async fn on_full_disk(from: usize, to: usize) -> (Lab, Result<String, TokenManagerError>) {
    let lab = Lab::new(Script::new((1..=2).map(successor)));
    let served = served_at(3600, &lab, from, to).await;
    (lab, served)
}

/// What is served so many seconds after the login.
async fn served_at(age: u64, lab: &Lab, from: usize, to: usize) -> Result<String, TokenManagerError> {
    let disk = FullDisk { file: lab.file(), writes: Arc::default(), from, to };
    let credentials = lab.credentials_in(disk);
    lab.log_in(&credentials).await;
    lab.pass(age);
    credentials.access_token().await.map(|token| token.expose().to_owned())
}

#[tokio::test]
async fn full_disk_is_detected_before_refresh_token_is_spent() {
    let (lab, served) = on_full_disk(1, usize::MAX).await;
    assert!(matches!(served, Err(TokenManagerError::Storage(StorageError::Io { .. }))), "{served:?}");
    assert_eq!(lab.script.presented(), Vec::<String>::new());
}

#[tokio::test]
async fn write_that_failed_is_retried() {
    let (lab, served) = on_full_disk(2, 5).await;
    assert_eq!(served.unwrap(), "access-1");
    assert_eq!(token(&lab.credentials()).await, "access-1");
}

#[tokio::test]
async fn refreshed_token_that_cannot_be_stored_is_not_served() {
    let (lab, served) = on_full_disk(2, usize::MAX).await;
    assert!(matches!(served, Err(TokenManagerError::Storage(StorageError::Io { .. }))), "{served:?}");
    assert_eq!(token(&lab.credentials()).await, "access-2", "the next one asks again with the old refresh token");
    assert_eq!(lab.script.presented(), ["refresh-0"; 2]);
}

#[tokio::test]
async fn full_disk_serves_valid_token_without_refresh() {
    let lab = Lab::new(Script::new([]));
    assert_eq!(served_at(3000, &lab, 1, usize::MAX).await.unwrap(), "access-0");
    assert_eq!(lab.script.presented(), Vec::<String>::new());
}

#[tokio::test]
async fn refresh_failure_that_is_not_stored_keeps_the_valid_token() {
    for (age, valid) in [(3000, true), (3600, false)] {
        let lab = Lab::new(Script::new([Err(UpstreamError::unavailable("down"))]));
        match served_at(age, &lab, 2, usize::MAX).await {
            Ok(served) => assert!(valid && served == "access-0", "{served}"),
            Err(TokenManagerError::Unavailable { source: Some(_), .. }) => assert!(!valid),
            Err(error) => panic!("{error:?}"),
        }
    }
}

#[tokio::test]
async fn unstored_refresh_is_an_error_though_old_token_is_valid() {
    let lab = Lab::new(Script::new([successor(1)]));
    let served = served_at(3000, &lab, 2, usize::MAX).await;
    assert!(matches!(served, Err(TokenManagerError::Storage(StorageError::Io { .. }))), "{served:?}");
}
