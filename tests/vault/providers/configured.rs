//! Services that are read from a configuration.

use std::collections::BTreeMap;

use mcp_token_lifecycle::vault::*;

use super::shape::*;

fn quirks(json: &str) -> Quirks {
    serde_json::from_str(json).unwrap()
}

#[test]
fn a_service_is_built_from_a_configuration() {
    let service: Service = serde_json::from_str(
        r#"{
            "client_id": "client",
            "authentication": { "body": "client-secret-77" },
            "token_endpoint": "https://as.example/token",
            "revocation": ["https://as.example/revoke", "access_token"],
            "introspection": ["https://as.example/introspect", "token_alone"],
            "quirks": {
                "body": "json",
                "headers": { "x-api-version": "7" },
                "sends_scope": true,
                "added_scope": "offline",
                "refresh_parameters": { "audience": "api", "grant_type": "renew" },
                "token_parameters": { "reason": "logout" },
                "token_types": ["Bearer", "Session"],
                "tokens_in": "data",
                "refresh_codes": { "session-gone": "invalid_grant", "quota": "unavailable" },
                "token_codes": { "http_410": "token_invalid" }
            }
        }"#,
    )
    .unwrap();
    let mut gone = json("");
    *gone.status_mut() = http::StatusCode::GONE;
    let refreshed = json(r#"{"data":{"access_token":"new","token_type":"session"},"access_token":"other"}"#);
    let dead = json(r#"{"error":"session-gone"}"#);
    let played = give(service, vec![refreshed, dead, gone, shape("rfc_active")]);
    assert_eq!(played.refresh().unwrap().access_token.unwrap().expose(), "new");
    assert_eq!(played.header("x-api-version").unwrap(), "7");
    assert!(matches!(played.refresh(), Err(UpstreamError::InvalidGrant)));
    assert_eq!(played.revoke().unwrap(), Revocation::Done);
    assert_eq!(played.introspect().unwrap(), CredentialStatus::Active);
    let sent = played.sent();
    assert_eq!(
        sent[0],
        r#"POST https://as.example/token {"grant_type":"renew","refresh_token":"old-refresh-99ab","scope":"read offline","client_id":"client","client_secret":"client-secret-77","audience":"api"}"#
    );
    assert_eq!(
        sent[2],
        r#"POST https://as.example/revoke {"token":"old-access-4f1c","client_id":"client","client_secret":"client-secret-77","reason":"logout"}"#
    );
    assert_eq!(sent[3], r#"POST https://as.example/introspect {"token":"old-refresh-99ab","reason":"logout"}"#);
}

#[test]
fn what_is_left_out_is_the_default_and_every_meaning_has_a_name() {
    assert_eq!(quirks("{}"), Quirks::default());
    let named = quirks(
        r#"{ "refresh_codes": { "a": "refused", "b": "invalid_grant", "c": "configuration", "d": "token_invalid",
             "e": "access_token_unknown", "f": "unsupported", "g": "unavailable", "h": "uncertain" } }"#,
    );
    let meanings = [
        Meaning::Refused,
        Meaning::InvalidGrant,
        Meaning::Configuration,
        Meaning::TokenInvalid,
        Meaning::AccessTokenUnknown,
        Meaning::Unsupported,
        Meaning::Unavailable,
        Meaning::Uncertain,
    ];
    let names = ('a'..='h').map(|name| name.to_string());
    assert_eq!(named.refresh_codes, names.zip(meanings).collect::<BTreeMap<_, _>>());
}

#[test]
fn an_own_meaning_takes_the_place_of_a_known_one() {
    let mut service = plain();
    service.quirks = quirks(r#"{ "refresh_codes": { "invalid_grant": "unavailable" } }"#);
    assert!(matches!(play(service, &["google_invalid_grant"]).refresh(), Err(UpstreamError::Unavailable { .. })));
}

#[test]
fn parameters_of_a_bearer_revocation_are_its_body() {
    let mut slack = Service::slack("1.2", SecretText::new(SECRET)).unwrap();
    slack.quirks.token_parameters.insert("test".to_owned(), "1".to_owned());
    let played = play(slack, &["slack_revoked"]);
    played.revoke().unwrap();
    assert_eq!(played.sent(), ["POST https://slack.com/api/auth.revoke test=1"]);
    assert_eq!(played.header("authorization").unwrap(), "Bearer old-access-4f1c");
}

#[test]
fn a_configuration_that_is_wrong_is_refused_without_its_secrets() {
    for (json, message) in [
        (r#"{ "quirks": { "odd": 1 } }"#, "unknown field `odd`"),
        (r#"{ "quirks": { "body": "xml" } }"#, "unknown variant `xml`"),
        (r#"{ "token_endpoint": "http://as.example" }"#, "must be https"),
        (r#"{ "authentication": { "basic": 424242 } }"#, "a secret must be a string"),
        (r#"{ "client_id": "client" }"#, "missing field"),
    ] {
        let error = serde_json::from_str::<Service>(json).unwrap_err().to_string();
        assert!(error.contains(message) && !error.contains("424242"), "{error}");
    }
}

#[test]
fn an_authorization_is_read_from_a_configuration() {
    let service: Service = serde_json::from_str(
        r#"{
            "client_id": "client",
            "authentication": "none",
            "token_endpoint": "https://as.example/token",
            "authorization": {
                "endpoint": "https://as.example/authorize?tenant=7",
                "parameters": { "audience": "api", "state": "fixed", "scope": "all", "code_challenge_method": "plain" },
                "scope_parameter": "permissions",
                "scope_separator": "+",
                "exchange_parameters": { "audience": "api" },
                "issuer": "https://as.example",
                "requires_issuer": true
            },
            "quirks": { "added_scope": "offline" }
        }"#,
    )
    .unwrap();
    let played = give(service, vec![json(r#"{"access_token":"a","scope":"read offline"}"#)]);
    assert_eq!(
        played.authorize_url("read write"),
        format!(
            "https://as.example/authorize?tenant=7&{}&audience=api&scope=all",
            authorize("client", "&permissions=read%2Bwrite%2Boffline")
        )
    );
    let connector = played.provider.connector().unwrap();
    assert_eq!(connector.issuer(), Some(ExpectedIssuer::new("https://as.example").required()));
    assert_eq!(played.exchange().unwrap().scope, Some(scope("read")));
    assert_eq!(played.sent(), [format!("POST https://as.example/token {EXCHANGE}&client_id=client&audience=api")]);
    for bad in [r#""https://as.example/authorize""#, r#"{ "endpoint": "http://as.example/" }"#, r#"{ "url": "x" }"#] {
        let text = format!(
            r#"{{"client_id":"c","authentication":"none","token_endpoint":"https://a/t","authorization":{bad}}}"#
        );
        assert!(serde_json::from_str::<Service>(&text).is_err(), "{bad}");
    }
}

#[test]
fn a_service_without_an_authorization_has_no_connector() {
    assert!(play(plain(), &[]).provider.connector().is_none());
}
