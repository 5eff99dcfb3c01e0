//! Microsoft Entra: a refresh that names its scope, and errors that need the user.

use std::time::Duration;

use mcp_token_lifecycle::vault::*;

use super::shape::*;

fn entra() -> Service {
    Service::entra("common", "00001111-aaaa", SecretText::new(SECRET)).unwrap()
}

#[test]
fn a_refresh_names_the_granted_scope_and_offline_access() {
    let played = play(entra(), &["entra_refreshed"]);
    played.refresh().unwrap();
    assert_eq!(
        played.sent(),
        ["POST https://login.microsoftonline.com/common/oauth2/v2.0/token grant_type=refresh_token\
          &refresh_token=old-refresh-99ab&scope=read+offline_access&client_id=00001111-aaaa&client_secret=client-secret-77"]
    );
    assert!(played.header("authorization").is_none());
}

#[test]
fn a_scope_is_not_named_twice_and_an_empty_one_leaves_what_is_added() {
    for (granted, asked) in [("offline_access read", "offline_access+read"), ("", "offline_access")] {
        let played = play(entra(), &["entra_refreshed"]);
        let tokens = TokenSet::new(SecretText::new(OLD_ACCESS), scope(granted));
        let tokens = tokens.refresh_token(SecretText::new(OLD_REFRESH));
        pollster::block_on(played.provider.refresh(&tokens)).unwrap();
        assert!(played.sent()[0].contains(&format!("&scope={asked}&client_id=")), "{:?}", played.sent());
    }
}

#[test]
fn the_refresh_token_is_replaced() {
    let refreshed = play(entra(), &["entra_refreshed"]).refresh().unwrap();
    assert_eq!(refreshed.access_token.unwrap().expose(), "eyJ0.new");
    assert_eq!(refreshed.refresh_token.unwrap().expose(), "AwABAAAA.new");
    assert_eq!(refreshed.expires_in, Some(Duration::from_secs(3_599)));
    assert_eq!(refreshed.scope, Some(scope("https://graph.microsoft.com/mail.read")));
}

#[test]
fn errors_that_need_the_user_end_the_grant() {
    for name in ["entra_interaction_required", "entra_consent_required", "entra_unauthorized_client"] {
        assert!(matches!(play(entra(), &[name]).refresh(), Err(UpstreamError::InvalidGrant)), "{name}");
    }
}

#[test]
fn errors_that_need_the_operator_or_pass_do_not() {
    let secret = play(entra(), &["entra_invalid_client"]).refresh();
    assert!(matches!(secret, Err(UpstreamError::Configuration { code, .. }) if code == "invalid_client"));
    let scope = play(entra(), &["entra_invalid_scope"]).refresh();
    assert!(matches!(scope, Err(UpstreamError::Refused { code, .. }) if code == "invalid_scope"));
    let busy = play(entra(), &["entra_temporarily_unavailable"]).refresh();
    assert!(matches!(busy, Err(UpstreamError::Unavailable { .. })));
}

#[test]
fn there_is_no_revocation_endpoint() {
    assert_eq!(play(entra(), &[]).revoke().unwrap(), Revocation::Unsupported);
}

#[test]
fn entra_authorize_url_names_offline_access() {
    let query = authorize("00001111-aaaa", "&scope=mail.read+offline_access");
    assert_eq!(
        play(entra(), &[]).authorize_url("mail.read"),
        format!("https://login.microsoftonline.com/common/oauth2/v2.0/authorize?{query}&response_mode=query")
    );
}

#[test]
fn entra_exchange_returns_tokens_and_refuses_a_spent_code() {
    let played = play(entra(), &["entra_exchanged"]);
    let tokens = played.exchange().unwrap();
    assert_eq!(tokens.access_token.unwrap().expose(), "eyJ0.first");
    assert_eq!(tokens.refresh_token.unwrap().expose(), "AwABAAAA.first");
    assert_eq!(tokens.scope, Some(scope("https://graph.microsoft.com/mail.read")));
    let client = "&client_id=00001111-aaaa&client_secret=client-secret-77";
    let token = "POST https://login.microsoftonline.com/common/oauth2/v2.0/token";
    assert_eq!(played.sent(), [format!("{token} {EXCHANGE}{client}")]);
    assert!(matches!(play(entra(), &["entra_code_redeemed"]).exchange(), Err(UpstreamError::InvalidGrant)));
    assert!(matches!(play(entra(), &["entra_invalid_client"]).exchange(), Err(UpstreamError::Configuration { .. })));
}
