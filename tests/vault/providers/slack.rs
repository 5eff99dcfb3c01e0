//! Slack: `ok` in every answer, errors with status 200, tokens in two places.

use std::time::Duration;

use mcp_token_lifecycle::vault::*;

use super::shape::*;

fn slack() -> Service {
    Service::slack("1.2", SecretText::new(SECRET)).unwrap()
}

fn bot() -> Service {
    let mut service = slack();
    service.quirks = Quirks::slack_bot();
    service
}

#[test]
fn a_user_token_is_at_the_top_if_it_is_alone() {
    let played = play(slack(), &["slack_refreshed_user"]);
    let refreshed = played.refresh().unwrap();
    assert_eq!(refreshed.access_token.unwrap().expose(), "xoxe.xoxp-new");
    assert_eq!(refreshed.refresh_token.unwrap().expose(), "xoxe-1-new");
    assert_eq!(refreshed.expires_in, Some(Duration::from_secs(43_200)));
    assert_eq!(refreshed.scope, Some(scope("channels:read chat:write")));
    assert_eq!(
        played.sent(),
        ["POST https://slack.com/api/oauth.v2.access grant_type=refresh_token&refresh_token=old-refresh-99ab"]
    );
    // 1.2:client-secret-77
    assert_eq!(played.header("authorization").unwrap(), "Basic MS4yOmNsaWVudC1zZWNyZXQtNzc=");
}

#[test]
fn a_user_token_is_in_authed_user_if_there_is_a_bots_too() {
    let refreshed = play(slack(), &["slack_refreshed_nested"]).refresh().unwrap();
    assert_eq!(refreshed.access_token.unwrap().expose(), "xoxe.xoxp-new");
    assert_eq!(refreshed.refresh_token.unwrap().expose(), "xoxe-1-new");
    assert_eq!(refreshed.expires_in, Some(Duration::from_secs(43_199)));
    assert_eq!(refreshed.scope, Some(scope("chat:write")));
}

#[test]
fn a_bots_token_is_never_taken_for_a_users() {
    for (service, name) in [(slack(), "slack_refreshed_bot"), (bot(), "slack_refreshed_user")] {
        let refreshed = play(service, &[name]).refresh().unwrap();
        assert!(refreshed.access_token.is_none(), "{name}");
        assert_eq!(refreshed.refresh_token.unwrap().expose(), "xoxe-1-new", "it is of the grant that was refreshed");
    }
    assert_eq!(
        play(bot(), &["slack_refreshed_bot"]).refresh().unwrap().access_token.unwrap().expose(),
        "xoxe.xoxb-new"
    );
    assert_eq!(
        play(bot(), &["slack_refreshed_nested"]).refresh().unwrap().access_token.unwrap().expose(),
        "xoxe.xoxb-bot"
    );
}

#[test]
fn every_code_has_its_meaning() {
    let refresh = |name| play(slack(), &[name]).refresh().unwrap_err();
    for name in ["slack_invalid_refresh_token", "slack_token_revoked", "slack_token_expired"] {
        assert!(matches!(refresh(name), UpstreamError::InvalidGrant), "{name}");
    }
    for code in ["invalid_auth", "account_inactive"] {
        let dead = give(slack(), vec![json(&format!(r#"{{"ok":false,"error":"{code}"}}"#))]).refresh();
        assert!(matches!(dead, Err(UpstreamError::InvalidGrant)), "{code}");
    }
    assert!(matches!(refresh("slack_internal_error"), UpstreamError::Uncertain(_)));
    let refused = refresh("slack_bad_client_secret");
    assert!(matches!(refused, UpstreamError::Configuration { code, .. } if code == "bad_client_secret"));
    let limited = refresh("slack_ratelimited");
    assert!(matches!(limited, UpstreamError::Unavailable { retry_after: Some(after), .. } if after.as_secs() == 30));
}

#[test]
fn what_does_not_say_ok_is_no_success() {
    for name in ["fault_html", "fault_empty", "rfc_active"] {
        assert!(matches!(play(slack(), &[name]).refresh(), Err(UpstreamError::Uncertain(_))), "{name}");
        assert!(matches!(play(slack(), &[name]).revoke(), Err(UpstreamError::Uncertain(_))), "{name}");
        assert!(matches!(play(slack(), &[name]).introspect(), Err(UpstreamError::Uncertain(_))), "{name}");
    }
}

#[test]
fn a_revocation_carries_the_access_token_in_a_header() {
    let played = play(slack(), &["slack_revoked"]);
    assert_eq!(played.revoke().unwrap(), Revocation::Done);
    assert_eq!(played.sent(), ["POST https://slack.com/api/auth.revoke "]);
    assert_eq!(played.header("authorization").unwrap(), "Bearer old-access-4f1c");
    assert!(played.header("authorization").unwrap().is_sensitive());
}

#[test]
fn a_revocation_is_done_when_it_was_done_or_was_before() {
    assert!(matches!(play(slack(), &["slack_not_revoked"]).revoke(), Err(UpstreamError::Uncertain(_))));
    assert_eq!(play(slack(), &["slack_token_revoked"]).revoke().unwrap(), Revocation::Done);
    assert_eq!(play(slack(), &["slack_token_expired"]).revoke().unwrap(), Revocation::NeedsRefresh);
}

#[test]
fn introspection_is_a_call_with_the_access_token() {
    let played = play(slack(), &["slack_auth_test"]);
    assert_eq!(played.introspect().unwrap(), CredentialStatus::Active);
    assert_eq!(played.sent(), ["POST https://slack.com/api/auth.test "]);
    assert_eq!(play(slack(), &["slack_token_revoked"]).introspect().unwrap(), CredentialStatus::Inactive);
    assert_eq!(play(slack(), &["slack_token_expired"]).introspect().unwrap(), CredentialStatus::Unknown);
}

#[test]
fn slack_authorize_url_asks_for_the_scope_of_a_user() {
    let query = authorize("1.2", "&user_scope=channels%3Aread%2Cchat%3Awrite");
    assert_eq!(
        play(slack(), &[]).authorize_url("chat:write channels:read"),
        format!("https://slack.com/oauth/v2/authorize?{query}")
    );
    let mut bot = bot();
    bot.authorization.as_mut().unwrap().scope_parameter = "scope".to_owned();
    let url = play(bot, &[]).authorize_url("commands");
    assert!(url.contains("&scope=commands&") && !url.contains("user_scope"), "{url}");
}

#[test]
fn slack_exchange_returns_the_tokens_of_the_user() {
    let played = play(slack(), &["slack_exchanged_user"]);
    let tokens = played.exchange().unwrap();
    assert_eq!(tokens.access_token.unwrap().expose(), "xoxe.xoxp-first");
    assert_eq!(tokens.refresh_token.unwrap().expose(), "xoxe-1-first");
    assert_eq!(tokens.scope, Some(scope("channels:read chat:write")));
    assert_eq!(played.sent(), [format!("POST https://slack.com/api/oauth.v2.access {EXCHANGE}")]);
    let nested = play(slack(), &["slack_refreshed_nested"]).exchange().unwrap();
    assert_eq!(nested.access_token.unwrap().expose(), "xoxe.xoxp-new");
    let of_bot = play(bot(), &["slack_refreshed_nested"]).exchange().unwrap();
    assert_eq!(of_bot.access_token.unwrap().expose(), "xoxe.xoxb-bot");
}

#[test]
fn slack_exchange_errors_have_their_meaning() {
    let error = |name| play(slack(), &[name]).exchange().unwrap_err();
    assert!(matches!(error("slack_invalid_code"), UpstreamError::InvalidGrant));
    assert!(matches!(error("slack_bad_redirect_uri"), UpstreamError::Configuration { .. }));
    assert!(matches!(error("slack_bad_client_secret"), UpstreamError::Configuration { .. }));
}
