//! What is sent to a service that keeps to the specifications.

use mcp_token_lifecycle::vault::*;

use super::shape::*;

fn with(authentication: ClientAuthentication) -> Played {
    play(Service::new("client", authentication, endpoint("/token")), &["rfc_refreshed"])
}

#[test]
fn a_client_authenticates_in_one_of_three_ways() {
    const FORM: &str = "POST https://as.example/token grant_type=refresh_token&refresh_token=old-refresh-99ab";
    let secret = || SecretText::new("s&c:r+t ü");

    let basic = with(ClientAuthentication::Basic(secret()));
    basic.refresh().unwrap();
    assert_eq!(basic.sent(), [FORM]);
    // client:s%26c%3Ar%2Bt+%C3%BC
    assert_eq!(basic.header("authorization").unwrap(), "Basic Y2xpZW50OnMlMjZjJTNBciUyQnQrJUMzJUJD");
    assert!(basic.header("authorization").unwrap().is_sensitive());

    let body = with(ClientAuthentication::Body(secret()));
    body.refresh().unwrap();
    assert_eq!(body.sent(), [format!("{FORM}&client_id=client&client_secret=s%26c%3Ar%2Bt+%C3%BC")]);
    assert!(body.header("authorization").is_none());

    let none = with(ClientAuthentication::None);
    none.refresh().unwrap();
    assert_eq!(none.sent(), [format!("{FORM}&client_id=client")]);
    assert!(none.header("authorization").is_none());
}

#[test]
fn a_revocation_and_an_introspection_present_the_refresh_token() {
    let played = play(plain(), &["google_revoked", "rfc_active"]);
    played.revoke().unwrap();
    played.introspect().unwrap();
    let form = "token=old-refresh-99ab&token_type_hint=refresh_token";
    let expected =
        [format!("POST https://as.example/revoke {form}"), format!("POST https://as.example/introspect {form}")];
    assert_eq!(played.sent(), expected);
}

#[test]
fn without_a_refresh_token_the_access_token_is_presented() {
    let played = play(plain(), &["google_revoked"]);
    let credential = Credential::OAuth(TokenSet::new(SecretText::new(OLD_ACCESS), scope("")));
    pollster::block_on(played.provider.revoke(&credential)).unwrap();
    assert_eq!(played.sent(), ["POST https://as.example/revoke token=old-access-4f1c&token_type_hint=access_token"]);
}

#[test]
fn nothing_is_sent_that_the_service_has_no_use_for() {
    let bare = play(Service::new("client", ClientAuthentication::None, endpoint("/token")), &[]);
    assert_eq!(bare.revoke().unwrap(), Revocation::Unsupported);
    assert_eq!(bare.introspect().unwrap(), CredentialStatus::Unknown);

    let played = play(plain(), &[]);
    let key = Credential::Static(StaticSecret::new(Secret::ApiKey(SecretText::new("key")), scope("")));
    assert_eq!(pollster::block_on(played.provider.revoke(&key)).unwrap(), Revocation::Unsupported);
    assert_eq!(pollster::block_on(played.provider.introspect(&key)).unwrap(), CredentialStatus::Unknown);
    let unrefreshable = TokenSet::new(SecretText::new(OLD_ACCESS), scope(""));
    let told = pollster::block_on(played.provider.refresh(&unrefreshable));
    assert!(matches!(told, Err(UpstreamError::InvalidGrant)));
    assert!(played.sent().is_empty());
}

#[test]
fn a_token_that_fits_into_no_header_is_not_sent() {
    let played = play(Service::slack("1.2", SecretText::new(SECRET)).unwrap(), &[]);
    let credential = Credential::OAuth(TokenSet::new(SecretText::new("a\nb"), scope("")));
    let told = pollster::block_on(played.provider.revoke(&credential));
    assert!(matches!(told, Err(UpstreamError::Refused { code, .. }) if code == "unsendable"));
}

#[test]
fn no_token_goes_to_an_address_that_is_not_good_enough() {
    for bad in ["http://as.example/token", "https://me:pw@as.example/token", "https://as.example/#a", "/token", ""] {
        assert!(Endpoint::parse(bad).is_err(), "{bad}");
    }
    assert!(Endpoint::parse("http://127.0.0.1:7000/token").is_ok());
    let secret = || SecretText::new(SECRET);
    for part in ["a b", "a/b", "..", "", "a?b", "a#b", "a@b", "a%2fb"] {
        assert!(Service::github(part, secret()).is_err(), "{part}");
        assert!(Service::entra(part, "1", secret()).is_err(), "{part}");
        assert!(Service::salesforce(part, "1", secret()).is_err(), "{part}");
    }
}

#[test]
fn an_address_that_is_refused_is_shown_without_what_may_be_secret() {
    for (url, shown) in [
        ("http://as.example/token", "http://as.example/token"),
        ("https://me:hunter2@as.example/token?key=hunter2#hunter2", "https://..@as.example/token"),
        ("me:hunter2@as.example", "..@as.example"),
        ("http://me:hunter2#1@as.example/token", "http://.."),
        ("me:hunter2?1@as.example", ".."),
        ("as.example/token", "as.example/token"),
    ] {
        let error = Endpoint::parse(url).unwrap_err().to_string();
        assert!(error.ends_with(&format!("got {shown:?}")) && !error.contains("hunter2"), "{error}");
        assert!(error.starts_with("an endpoint must be https"), "{error}");
    }
}
