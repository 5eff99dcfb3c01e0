//! GitLab: a host of one's own, rotation, and a revocation that follows RFC 7009.

use std::time::Duration;

use mcp_token_lifecycle::vault::*;

use super::shape::*;

fn gitlab() -> Service {
    Service::gitlab("gitlab.example.com", "client", SecretText::new(SECRET)).unwrap()
}

#[test]
fn gitlab_authorize_url_is_the_standard_one() {
    let query = authorize("client", "&scope=read_api+read_user");
    assert_eq!(
        play(gitlab(), &[]).authorize_url("read_user read_api"),
        format!("https://gitlab.example.com/oauth/authorize?{query}")
    );
}

#[test]
fn gitlab_exchange_returns_tokens_for_two_hours() {
    let played = play(gitlab(), &["gitlab_exchanged"]);
    let tokens = played.exchange().unwrap();
    assert_eq!(tokens.access_token.unwrap().expose(), "gl-access-first");
    assert_eq!(tokens.refresh_token.unwrap().expose(), "gl-refresh-first");
    assert_eq!(tokens.expires_in, Some(Duration::from_secs(7_200)));
    assert_eq!(tokens.scope, Some(scope("read_api read_user")));
    let client = "&client_id=client&client_secret=client-secret-77";
    assert_eq!(played.sent(), [format!("POST https://gitlab.example.com/oauth/token {EXCHANGE}{client}")]);
}

#[test]
fn gitlab_refresh_rotates() {
    let played = play(gitlab(), &["gitlab_refreshed"]);
    let tokens = played.refresh().unwrap();
    assert_eq!(tokens.access_token.unwrap().expose(), "gl-access-new");
    assert_eq!(tokens.refresh_token.unwrap().expose(), "gl-refresh-new");
    assert_eq!(
        played.sent(),
        ["POST https://gitlab.example.com/oauth/token grant_type=refresh_token&refresh_token=old-refresh-99ab\
          &client_id=client&client_secret=client-secret-77"]
    );
}

#[test]
fn gitlab_errors_have_their_meaning() {
    let played = |name| play(gitlab(), &[name]);
    assert!(matches!(played("gitlab_invalid_grant").exchange(), Err(UpstreamError::InvalidGrant)));
    assert!(matches!(played("gitlab_invalid_grant").refresh(), Err(UpstreamError::InvalidGrant)));
    assert!(matches!(played("gitlab_invalid_client").exchange(), Err(UpstreamError::Configuration { .. })));
}

#[test]
fn gitlab_revocation_takes_the_refresh_token() {
    let played = play(gitlab(), &["gitlab_revoked"]);
    assert_eq!(played.revoke().unwrap(), Revocation::Done);
    assert_eq!(
        played.sent(),
        ["POST https://gitlab.example.com/oauth/revoke token=old-refresh-99ab&token_type_hint=refresh_token\
          &client_id=client&client_secret=client-secret-77"]
    );
    assert!(Service::gitlab("gitlab.com/evil", "client", SecretText::new(SECRET)).is_err());
}
