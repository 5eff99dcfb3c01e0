//! GitHub: a dialect of its own, and a revocation that takes access tokens.

use std::time::Duration;

use mcp_token_lifecycle::vault::*;

use super::shape::*;

const GRANT: &str = "DELETE https://api.github.com/applications/Iv1.0123/grant";
const CHECK: &str = "POST https://api.github.com/applications/Iv1.0123/token";

fn github() -> Service {
    Service::github("Iv1.0123", SecretText::new(SECRET)).unwrap()
}

#[test]
fn a_refresh_is_a_form_with_the_client_in_it_and_asks_for_json() {
    let played = play(github(), &["github_refreshed"]);
    played.refresh().unwrap();
    assert_eq!(
        played.sent(),
        ["POST https://github.com/login/oauth/access_token grant_type=refresh_token&refresh_token=old-refresh-99ab\
          &client_id=Iv1.0123&client_secret=client-secret-77"]
    );
    assert_eq!(played.header("accept").unwrap(), "application/json");
    assert_eq!(played.header("content-type").unwrap(), "application/x-www-form-urlencoded");
    assert!(played.header("user-agent").is_some(), "GitHub answers nobody without a name");
    assert!(played.header("authorization").is_none());
}

#[test]
fn the_refresh_token_rotates_and_says_how_long_it_lives() {
    let refreshed = play(github(), &["github_refreshed"]).refresh().unwrap();
    assert_eq!(refreshed.access_token.unwrap().expose(), "ghu_new");
    assert_eq!(refreshed.refresh_token.unwrap().expose(), "ghr_new");
    assert_eq!(refreshed.expires_in, Some(Duration::from_secs(28_800)));
    assert_eq!(refreshed.refresh_expires_in, Some(Duration::from_secs(15_897_600)));
    assert_eq!(refreshed.scope, None, "an empty scope says nothing: an app has permissions");
}

#[test]
fn an_answer_may_be_a_form_with_commas_in_the_scope() {
    let refreshed = play(github(), &["github_refreshed_form"]).refresh().unwrap();
    assert_eq!(refreshed.access_token.unwrap().expose(), "ghu_new");
    assert_eq!(refreshed.refresh_token.unwrap().expose(), "ghr_new");
    assert_eq!(refreshed.expires_in, Some(Duration::from_secs(28_800)));
    assert_eq!(refreshed.refresh_expires_in, Some(Duration::from_secs(15_897_600)));
    assert_eq!(refreshed.scope, Some(scope("repo gist")));
}

#[test]
fn an_error_may_have_the_status_200() {
    let dead = play(github(), &["github_bad_refresh_token"]).refresh();
    assert!(matches!(dead, Err(UpstreamError::InvalidGrant)));
    let wrong = play(github(), &["github_incorrect_client_credentials"]).refresh();
    assert!(matches!(wrong, Err(UpstreamError::Configuration { code, .. }) if code == "incorrect_client_credentials"));
}

#[test]
fn a_404_of_the_token_endpoint_is_not_the_end_of_the_grant() {
    let lost = play(github(), &["github_token_unknown"]).refresh();
    assert!(matches!(lost, Err(UpstreamError::Refused { code, .. }) if code == "http_404"));
}

#[test]
fn a_revocation_deletes_the_grant_with_a_json_body() {
    let played = play(github(), &["github_revoked"]);
    assert_eq!(played.revoke().unwrap(), Revocation::Done);
    assert_eq!(played.sent(), [format!(r#"{GRANT} {{"access_token":"old-access-4f1c"}}"#)]);
    // Iv1.0123:client-secret-77
    assert_eq!(played.header("authorization").unwrap(), "Basic SXYxLjAxMjM6Y2xpZW50LXNlY3JldC03Nw==");
    assert!(played.header("authorization").unwrap().is_sensitive());
    assert_eq!(played.header("content-type").unwrap(), "application/json");
}

#[test]
fn an_expired_access_token_revokes_nothing_and_one_without_a_refresh_token_has_nothing_to_revoke() {
    assert_eq!(play(github(), &["github_token_unknown"]).revoke().unwrap(), Revocation::NeedsRefresh);
    let unrefreshable = Credential::OAuth(TokenSet::new(SecretText::new(OLD_ACCESS), scope("")));
    let revoked = pollster::block_on(play(github(), &["github_token_unknown"]).provider.revoke(&unrefreshable));
    assert_eq!(revoked.unwrap(), Revocation::Done);
}

#[test]
fn a_rate_limit_is_a_403_with_retry_after() {
    let limited = play(github(), &["github_rate_limited"]).revoke();
    assert!(
        matches!(limited, Err(UpstreamError::Unavailable { retry_after: Some(after), .. }) if after.as_secs() == 60)
    );
}

#[test]
fn introspection_knows_a_live_access_token_and_no_more() {
    let played = play(github(), &["rfc_active"]);
    assert_eq!(played.introspect().unwrap(), CredentialStatus::Active);
    assert_eq!(played.sent(), [format!(r#"{CHECK} {{"access_token":"old-access-4f1c"}}"#)]);
    assert_eq!(play(github(), &["github_token_unknown"]).introspect().unwrap(), CredentialStatus::Unknown);
    let unrefreshable = Credential::OAuth(TokenSet::new(SecretText::new(OLD_ACCESS), scope("")));
    let told = pollster::block_on(play(github(), &["github_token_unknown"]).provider.introspect(&unrefreshable));
    assert_eq!(told.unwrap(), CredentialStatus::Inactive);
}

/// The vault must not ask for it late: the user may have authorized again.
#[test]
fn github_says_that_a_revocation_ends_whole_grants() {
    assert!(play(github(), &[]).provider.revokes_whole_grants());
    assert!(!play(Service::linear("id", SecretText::new(SECRET)).unwrap(), &[]).provider.revokes_whole_grants());
}

#[test]
fn github_authorize_url_is_the_standard_one() {
    let query = authorize("Iv1.0123", "&scope=gist+repo");
    assert_eq!(
        play(github(), &[]).authorize_url("repo gist"),
        format!("https://github.com/login/oauth/authorize?{query}")
    );
    assert!(!play(github(), &[]).authorize_url("").contains("scope"), "an app has permissions");
}

#[test]
fn github_app_exchange_returns_tokens_that_expire() {
    let played = play(github(), &["github_exchanged_app"]);
    let tokens = played.exchange().unwrap();
    assert_eq!(tokens.access_token.unwrap().expose(), "ghu_first");
    assert_eq!(tokens.refresh_token.unwrap().expose(), "ghr_first");
    assert_eq!(tokens.expires_in, Some(Duration::from_secs(28_800)));
    assert_eq!(tokens.scope, None);
    let client = "&client_id=Iv1.0123&client_secret=client-secret-77";
    assert_eq!(played.sent(), [format!("POST https://github.com/login/oauth/access_token {EXCHANGE}{client}")]);
}

#[test]
fn github_oauth_app_exchange_returns_a_lasting_token_with_scopes() {
    let tokens = play(github(), &["github_exchanged_oauth_app"]).exchange().unwrap();
    assert_eq!(tokens.access_token.unwrap().expose(), "gho_first");
    assert!(tokens.refresh_token.is_none() && tokens.expires_in.is_none());
    assert_eq!(tokens.scope, Some(scope("repo gist")));
}

#[test]
fn github_exchange_errors_have_their_meaning() {
    let error = |name| play(github(), &[name]).exchange().unwrap_err();
    assert!(matches!(error("github_bad_verification_code"), UpstreamError::InvalidGrant));
    assert!(matches!(error("github_redirect_uri_mismatch"), UpstreamError::Configuration { .. }));
    assert!(matches!(error("github_incorrect_client_credentials"), UpstreamError::Configuration { .. }));
}
