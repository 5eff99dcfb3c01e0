//! Salesforce: a host of one's own, no lifetime in an answer, and a revocation of the token alone.

use mcp_token_lifecycle::vault::*;

use super::shape::*;

fn salesforce() -> Service {
    Service::salesforce("example.my.salesforce.com", "client", SecretText::new(SECRET)).unwrap()
}

#[test]
fn a_refresh_says_nothing_of_a_lifetime_and_the_refresh_token_stays() {
    let played = play(salesforce(), &["salesforce_refreshed"]);
    let refreshed = played.refresh().unwrap();
    assert_eq!(refreshed.access_token.unwrap().expose(), "00D.new");
    assert!(refreshed.refresh_token.is_none() && refreshed.expires_in.is_none());
    assert_eq!(
        played.sent(),
        ["POST https://example.my.salesforce.com/services/oauth2/token grant_type=refresh_token\
          &refresh_token=old-refresh-99ab&client_id=client&client_secret=client-secret-77"]
    );
}

#[test]
fn a_user_or_an_organization_that_is_locked_ends_the_grant() {
    for name in ["salesforce_invalid_grant", "salesforce_inactive_user", "salesforce_inactive_org"] {
        assert!(matches!(play(salesforce(), &[name]).refresh(), Err(UpstreamError::InvalidGrant)), "{name}");
    }
    let limited = play(salesforce(), &["salesforce_rate_limit"]).refresh();
    assert!(matches!(limited, Err(UpstreamError::Unavailable { .. })));
}

#[test]
fn a_revocation_takes_the_refresh_token_alone() {
    let played = play(salesforce(), &["salesforce_revoked", "salesforce_invalid_token", "rfc_unsupported_token_type"]);
    assert_eq!(played.revoke().unwrap(), Revocation::Done);
    assert_eq!(played.revoke().unwrap(), Revocation::Done, "it was dead");
    assert_eq!(played.revoke().unwrap(), Revocation::Unsupported);
    let revoke = "POST https://example.my.salesforce.com/services/oauth2/revoke token=old-refresh-99ab";
    assert_eq!(played.sent(), [revoke; 3]);
}

#[test]
fn salesforce_authorize_url_names_the_scope_refresh_token() {
    let query = authorize("client", "&scope=api+refresh_token");
    assert_eq!(
        play(salesforce(), &[]).authorize_url("api"),
        format!("https://example.my.salesforce.com/services/oauth2/authorize?{query}")
    );
}

#[test]
fn salesforce_exchange_returns_tokens_without_that_scope() {
    let played = play(salesforce(), &["salesforce_exchanged"]);
    let tokens = played.exchange().unwrap();
    assert_eq!(tokens.access_token.unwrap().expose(), "00D.first");
    assert_eq!(tokens.refresh_token.unwrap().expose(), "5Aep.first");
    assert_eq!(tokens.scope, Some(scope("api")));
    let client = "&client_id=client&client_secret=client-secret-77";
    let token = "POST https://example.my.salesforce.com/services/oauth2/token";
    assert_eq!(played.sent(), [format!("{token} {EXCHANGE}{client}")]);
    assert!(matches!(play(salesforce(), &["salesforce_expired_code"]).exchange(), Err(UpstreamError::InvalidGrant)));
}
