//! Notion: JSON from a client with a `Basic` header, and the version of the API.

use mcp_token_lifecycle::vault::*;

use super::shape::*;

fn notion() -> Service {
    Service::notion("client", SecretText::new(SECRET)).unwrap()
}

#[test]
fn a_refresh_is_json_with_a_basic_header_and_a_version() {
    let played = play(notion(), &["notion_refreshed"]);
    let refreshed = played.refresh().unwrap();
    assert_eq!(
        played.sent(),
        [
            r#"POST https://api.notion.com/v1/oauth/token {"grant_type":"refresh_token","refresh_token":"old-refresh-99ab"}"#
        ]
    );
    assert_eq!(played.header("content-type").unwrap(), "application/json");
    assert_eq!(played.header("notion-version").unwrap(), "2025-09-03");
    assert_eq!(played.header("authorization").unwrap(), "Basic Y2xpZW50OmNsaWVudC1zZWNyZXQtNzc=");
    assert_eq!(refreshed.access_token.unwrap().expose(), "ntn_new");
    assert_eq!(refreshed.refresh_token.unwrap().expose(), "nrt_new");
    assert_eq!((refreshed.expires_in, refreshed.scope), (None, None));
}

#[test]
fn an_error_is_in_error_or_in_code() {
    for name in ["notion_invalid_grant", "notion_invalid_grant_code"] {
        assert!(matches!(play(notion(), &[name]).refresh(), Err(UpstreamError::InvalidGrant)), "{name}");
    }
    let collision = play(notion(), &["notion_conflict"]).refresh();
    assert!(matches!(collision, Err(UpstreamError::Unavailable { .. })), "{collision:?}");
    let invalid = play(notion(), &["notion_validation_error"]).refresh();
    assert!(matches!(invalid, Err(UpstreamError::Refused { code, .. }) if code == "validation_error"));
}

#[test]
fn revocation_and_introspection_take_the_access_token() {
    let played = play(notion(), &["notion_revoked", "rfc_active", "rfc_inactive"]);
    assert_eq!(played.revoke().unwrap(), Revocation::Done);
    assert_eq!(played.introspect().unwrap(), CredentialStatus::Active);
    assert_eq!(played.introspect().unwrap(), CredentialStatus::Inactive);
    let sent = |path| format!(r#"POST https://api.notion.com/v1/oauth/{path} {{"token":"old-access-4f1c"}}"#);
    assert_eq!(played.sent(), [sent("revoke"), sent("introspect"), sent("introspect")]);
    assert!(played.header("authorization").unwrap().is_sensitive());
}

#[test]
fn notion_authorize_url_names_the_owner_and_no_challenge() {
    assert_eq!(
        play(notion(), &[]).authorize_url(""),
        "https://api.notion.com/v1/oauth/authorize?response_type=code&client_id=client\
         &redirect_uri=https%3A%2F%2Fmcp.example.com%2Fcb&state=state-1&owner=user"
    );
}

#[test]
fn notion_exchange_has_documented_members_alone() {
    let played = play(notion(), &["notion_exchanged"]);
    let tokens = played.exchange().unwrap();
    assert_eq!(tokens.access_token.unwrap().expose(), "ntn_first");
    assert_eq!(tokens.refresh_token.unwrap().expose(), "nrt_first");
    let body = r#"{"grant_type":"authorization_code","code":"code-5d1e","redirect_uri":"https://mcp.example.com/cb"}"#;
    assert_eq!(played.sent(), [format!("POST https://api.notion.com/v1/oauth/token {body}")]);
    assert!(played.header("authorization").unwrap().is_sensitive());
    assert!(matches!(play(notion(), &["notion_invalid_grant"]).exchange(), Err(UpstreamError::InvalidGrant)));
}
