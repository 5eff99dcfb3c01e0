//! Atlassian: JSON, no `token_type`, and a 403 for a dead refresh token.

use std::time::Duration;

use mcp_token_lifecycle::vault::*;

use super::shape::*;

fn atlassian() -> Service {
    Service::atlassian("client", SecretText::new(SECRET)).unwrap()
}

#[test]
fn a_refresh_is_json_with_the_client_in_it() {
    let played = play(atlassian(), &["atlassian_refreshed"]);
    let refreshed = played.refresh().unwrap();
    assert_eq!(
        played.sent(),
        [
            r#"POST https://auth.atlassian.com/oauth/token {"grant_type":"refresh_token","refresh_token":"old-refresh-99ab","client_id":"client","client_secret":"client-secret-77"}"#
        ]
    );
    assert_eq!(played.header("content-type").unwrap(), "application/json");
    assert_eq!(refreshed.access_token.unwrap().expose(), "eyJ.new");
    assert_eq!(refreshed.refresh_token.unwrap().expose(), "eyJ.rotated");
    assert_eq!(refreshed.expires_in, Some(Duration::from_secs(3_600)));
}

#[test]
fn both_words_for_a_dead_refresh_token_end_the_grant() {
    for name in ["atlassian_invalid_grant", "atlassian_unauthorized_client"] {
        assert!(matches!(play(atlassian(), &[name]).refresh(), Err(UpstreamError::InvalidGrant)), "{name}");
    }
}

#[test]
fn a_text_in_json_is_escaped() {
    let played = play(atlassian(), &["atlassian_refreshed"]);
    let tokens = TokenSet::new(SecretText::new(OLD_ACCESS), scope(""));
    let tokens = tokens.refresh_token(SecretText::new("a\"b\\c\n\u{1}ü"));
    pollster::block_on(played.provider.refresh(&tokens)).unwrap();
    assert!(played.sent()[0].contains(r#""refresh_token":"a\"b\\c\n\u0001ü""#), "{:?}", played.sent());
}

#[test]
fn atlassian_authorize_url_names_the_audience_and_offline_access() {
    let query = authorize("client", "&scope=read%3Ajira-work+offline_access");
    assert_eq!(
        play(atlassian(), &[]).authorize_url("read:jira-work"),
        format!("https://auth.atlassian.com/authorize?{query}&audience=api.atlassian.com&prompt=consent")
    );
}

#[test]
fn atlassian_exchange_is_json_and_leaves_offline_access_out() {
    let played = play(atlassian(), &["atlassian_exchanged"]);
    let tokens = played.exchange().unwrap();
    assert_eq!(tokens.access_token.unwrap().expose(), "eyJ.first");
    assert_eq!(tokens.refresh_token.unwrap().expose(), "eyJ.rotating");
    assert_eq!(tokens.scope, Some(scope("read:jira-work")));
    let body = r#"{"grant_type":"authorization_code","code":"code-5d1e","redirect_uri":"https://mcp.example.com/cb","code_verifier":"verifier-8c07","client_id":"client","client_secret":"client-secret-77"}"#;
    assert_eq!(played.sent(), [format!("POST https://auth.atlassian.com/oauth/token {body}")]);
    assert!(matches!(play(atlassian(), &["atlassian_invalid_grant"]).exchange(), Err(UpstreamError::InvalidGrant)));
}
