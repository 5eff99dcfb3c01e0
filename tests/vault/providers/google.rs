//! Google: no refresh token on a refresh, and a revocation of its own.

use std::time::Duration;

use mcp_token_lifecycle::vault::*;

use super::shape::*;

fn google() -> Service {
    Service::google("1.apps.googleusercontent.com", SecretText::new(SECRET)).unwrap()
}

#[test]
fn a_refresh_brings_no_refresh_token_so_the_old_one_stays() {
    let played = play(google(), &["google_refreshed"]);
    let refreshed = played.refresh().unwrap();
    assert_eq!(refreshed.access_token.unwrap().expose(), "ya29.new");
    assert!(refreshed.refresh_token.is_none());
    assert_eq!(refreshed.expires_in, Some(Duration::from_secs(3_920)));
    assert_eq!(refreshed.scope.unwrap().iter().count(), 2);
    assert_eq!(
        played.sent(),
        ["POST https://oauth2.googleapis.com/token grant_type=refresh_token&refresh_token=old-refresh-99ab\
          &client_id=1.apps.googleusercontent.com&client_secret=client-secret-77"]
    );
}

#[test]
fn a_400_with_invalid_grant_ends_the_grant() {
    assert!(matches!(play(google(), &["google_invalid_grant"]).refresh(), Err(UpstreamError::InvalidGrant)));
}

#[test]
fn a_revocation_has_the_refresh_token_in_its_body_and_nothing_else() {
    let played = play(google(), &["google_revoked"]);
    assert_eq!(played.revoke().unwrap(), Revocation::Done);
    assert_eq!(played.sent(), ["POST https://oauth2.googleapis.com/revoke token=old-refresh-99ab"]);
    assert!(played.header("authorization").is_none());
}

#[test]
fn to_revoke_what_is_revoked_is_a_success() {
    assert_eq!(play(google(), &["google_invalid_token"]).revoke().unwrap(), Revocation::Done);
}

#[test]
fn introspection_without_an_endpoint_is_unknown() {
    assert_eq!(play(google(), &[]).introspect().unwrap(), CredentialStatus::Unknown);
}

#[test]
fn google_authorize_url_asks_for_a_refresh_token_each_time() {
    let query = authorize("1.apps.googleusercontent.com", "&scope=a");
    assert_eq!(
        play(google(), &[]).authorize_url("a"),
        format!("https://accounts.google.com/o/oauth2/v2/auth?{query}&access_type=offline&prompt=consent")
    );
    let provider = play(google(), &[]).provider;
    assert_eq!(provider.connector().unwrap().issuer(), Some(ExpectedIssuer::new("https://accounts.google.com")));
}

#[test]
fn google_exchange_returns_a_refresh_token() {
    let played = play(google(), &["google_exchanged"]);
    let tokens = played.exchange().unwrap();
    assert_eq!(tokens.access_token.unwrap().expose(), "ya29.first");
    assert_eq!(tokens.refresh_token.unwrap().expose(), "1//first");
    assert_eq!(tokens.refresh_expires_in, Some(Duration::from_secs(604_800)));
    let client = "&client_id=1.apps.googleusercontent.com&client_secret=client-secret-77";
    assert_eq!(played.sent(), [format!("POST https://oauth2.googleapis.com/token {EXCHANGE}{client}")]);
    let error = |name| play(google(), &[name]).exchange().unwrap_err();
    assert!(matches!(error("google_invalid_grant"), UpstreamError::InvalidGrant));
    assert!(matches!(error("google_redirect_uri_mismatch"), UpstreamError::Configuration { .. }));
}
