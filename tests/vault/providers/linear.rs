//! Linear: rotation with a leeway of its own, a scope that may be a list, and a revocation of the token alone.

use std::time::Duration;

use mcp_token_lifecycle::vault::*;

use super::shape::*;

fn linear() -> Service {
    Service::linear("client", SecretText::new(SECRET)).unwrap()
}

#[test]
fn a_refresh_rotates_and_a_scope_may_be_a_list() {
    for name in ["linear_refreshed", "linear_refreshed_list"] {
        let played = play(linear(), &[name]);
        let refreshed = played.refresh().unwrap();
        assert_eq!(refreshed.access_token.unwrap().expose(), "lin_oauth_new");
        assert_eq!(refreshed.refresh_token.unwrap().expose(), "lin_refresh_new");
        assert_eq!(refreshed.expires_in, Some(Duration::from_secs(86_399)));
        assert_eq!(refreshed.scope, Some(scope("read write")), "{name}");
        assert_eq!(
            played.sent(),
            ["POST https://api.linear.app/oauth/token grant_type=refresh_token&refresh_token=old-refresh-99ab"]
        );
        // client:client-secret-77
        assert_eq!(played.header("authorization").unwrap(), "Basic Y2xpZW50OmNsaWVudC1zZWNyZXQtNzc=");
    }
    assert!(matches!(play(linear(), &["linear_invalid_grant"]).refresh(), Err(UpstreamError::InvalidGrant)));
}

#[test]
fn a_revocation_takes_the_refresh_token_alone_and_a_dead_one_is_revoked() {
    let played = play(linear(), &["linear_revoked", "linear_already_revoked", "linear_unknown_token"]);
    for _ in 0..3 {
        assert_eq!(played.revoke().unwrap(), Revocation::Done);
    }
    assert_eq!(played.sent(), ["POST https://api.linear.app/oauth/revoke token=old-refresh-99ab"; 3]);
    assert!(played.header("authorization").is_none());
}

#[test]
fn a_refresh_that_is_a_400_without_a_word_is_not_the_end_of_the_grant() {
    let refused = play(linear(), &["linear_already_revoked"]).refresh();
    assert!(matches!(refused, Err(UpstreamError::Refused { code, .. }) if code == "http_400"));
}

#[test]
fn linear_authorize_url_has_commas_and_lets_the_user_choose() {
    let query = authorize("client", "&scope=read%2Cwrite");
    assert_eq!(
        play(linear(), &[]).authorize_url("read write"),
        format!("https://linear.app/oauth/authorize?{query}&prompt=consent")
    );
}

#[test]
fn linear_exchange_returns_tokens() {
    let played = play(linear(), &["linear_exchanged"]);
    let tokens = played.exchange().unwrap();
    assert_eq!(tokens.access_token.unwrap().expose(), "lin_oauth_first");
    assert_eq!(tokens.refresh_token.unwrap().expose(), "lin_refresh_first");
    assert_eq!(tokens.scope, Some(scope("read write")));
    assert_eq!(played.sent(), [format!("POST https://api.linear.app/oauth/token {EXCHANGE}")]);
    assert!(matches!(play(linear(), &["linear_invalid_grant"]).exchange(), Err(UpstreamError::InvalidGrant)));
}
