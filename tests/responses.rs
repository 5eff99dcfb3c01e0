//! What goes over the wire, codes and PKCE, and the verification of access tokens.

mod support;

use mcp_token_lifecycle::{
    AuthorizeRequest, Binding, ChallengeError, CodeChallenge, ErrorCode, ErrorResponse, Expectation, Grant, GrantError,
    MemoryStore, Reason, RedeemRequest, RefreshRequest, Resource, ResourceError, RotationPolicy, Scope, ScopeError,
    Timestamp, VerifyError,
};
use serde_json::{Value, json};
use support::*;

fn json(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).unwrap()
}

/// Lifetimes to the second: without a leeway the jitter may be zero.
fn unvaried() -> RotationPolicy {
    policy(|p| p.reuse_leeway(seconds(0)))
}

#[test]
fn token_response_serializes_to_the_members_of_the_rfcs() {
    let bench = bench(unvaried());
    let first = bench.login();
    assert_eq!(
        json(&first),
        json!({
            "access_token": first.access_token.expose(),
            "token_type": "Bearer",
            "expires_in": 1800,
            "refresh_token": first.refresh_token.expose(),
            "scope": "mcp:read mcp:write",
            "refresh_token_timeout": 14 * 24 * 3600,
            "authorization_expires_in": 90 * 24 * 3600,
        })
    );
    assert!(first.access_token.expose().starts_with("mcpat_"));
    assert!(rt(&first).starts_with("mcprt_"));
}

#[test]
fn refresh_refusals_are_the_same_to_the_byte() {
    let bench = bench(RotationPolicy::standard());
    let [spent, idle] = [bench.login(), bench.login()];
    bench.refresh(rt(&spent)).unwrap();
    bench.pass(15 * 24 * 3600);
    let fresh = bench.login();
    let revoked = bench.login();
    bench.revoke(&client(), rt(&revoked));
    let forged = support::forge::tampered(rt(&fresh), 70);
    for token in [rt(&spent), rt(&idle), rt(&revoked), &forged, "garbage", ""] {
        let answer = block_on(bench.issuer.refresh(&RefreshRequest::new(&client(), token))).unwrap();
        let refusal = answer.into_result().unwrap_err();
        assert_eq!(refusal.status(), 400);
        assert_eq!(serde_json::to_string(&refusal).unwrap(), r#"{"error":"invalid_grant"}"#);
    }
}

#[test]
fn error_codes_have_their_names_and_statuses() {
    let table = [
        (ErrorCode::InvalidRequest, "invalid_request", 400),
        (ErrorCode::InvalidClient, "invalid_client", 401),
        (ErrorCode::InvalidGrant, "invalid_grant", 400),
        (ErrorCode::InvalidScope, "invalid_scope", 400),
        (ErrorCode::InvalidTarget, "invalid_target", 400),
        (ErrorCode::TemporarilyUnavailable, "temporarily_unavailable", 503),
    ];
    for (code, name, status) in table {
        assert_eq!(json(&ErrorResponse::new(code)), json!({ "error": name }));
        assert_eq!(ErrorResponse::new(code).status(), status);
    }
}

/// spec: RFC 7662 §2.2 a
#[test]
fn introspection_of_an_access_token_says_all_and_nothing_null() {
    let bench = bench(unvaried());
    let first = bench.begin(grant().with_claim("tenant", "acme").unwrap());
    bench.pass(10);
    assert_eq!(
        json(&bench.introspect(first.access_token.expose())),
        json!({
            "active": true,
            "scope": "mcp:read mcp:write",
            "client_id": "client-1",
            "token_type": "Bearer",
            "sub": "user-1",
            "aud": RESOURCE,
            "exp": START + 1800,
            "iat": START,
            "tenant": "acme",
        })
    );
}

#[test]
fn introspection_of_a_refresh_token_says_when_it_expires() {
    let bench = bench(policy(|p| p.idle_lifetime(seconds(3600)).absolute_lifetime(seconds(5400))));
    let first = bench.login();
    bench.pass(1800);
    let second = bench.refresh(rt(&first)).unwrap();
    bench.pass(60);
    assert_eq!(
        json(&bench.introspect(rt(&second))),
        json!({
            "active": true,
            "scope": "mcp:read mcp:write",
            "client_id": "client-1",
            "sub": "user-1",
            "exp": START + 5400,
            "iat": START + 1800,
        })
    );
}

#[test]
fn introspection_of_a_bound_token_has_the_cnf_of_its_kind() {
    let bench = bench(RotationPolicy::standard());
    let thumbprint = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE";
    let introspect = |binding| {
        let first = block_on(bench.issuer.issue(grant(), Some(binding))).unwrap();
        json(&bench.introspect(first.access_token.expose()))
    };
    let dpop = introspect(Binding::DpopKey([1; 32]));
    assert_eq!((&dpop["cnf"], &dpop["token_type"]), (&json!({ "jkt": thumbprint }), &json!("DPoP")));
    let certificate = introspect(Binding::Certificate([1; 32]));
    let expected = (json!({ "x5t#S256": thumbprint }), json!("Bearer"));
    assert_eq!((&certificate["cnf"], &certificate["token_type"]), (&expected.0, &expected.1));
    let fingerprint = introspect(Binding::Fingerprint([1; 32]));
    assert_eq!(fingerprint.get("cnf"), None, "a fingerprint is not shown");
}

#[test]
fn introspection_names_several_audiences_as_a_list() {
    let bench = bench(RotationPolicy::standard());
    let two = Resource::parse("https://b.example/").unwrap();
    let first = bench.begin(grant().with_resource(two).unwrap());
    assert_eq!(json(&bench.introspect(first.access_token.expose()))["aud"], json!([RESOURCE, "https://b.example"]));
}

#[test]
fn introspection_of_an_inactive_token_says_nothing_else() {
    let bench = bench(RotationPolicy::standard());
    let (expired, revoked, code) = (bench.login(), bench.login(), bench.code());
    bench.revoke(&client(), rt(&revoked));
    let next = bench.refresh(rt(&expired)).unwrap();
    bench.pass(1800);
    let unknown = support::bench(RotationPolicy::standard()).login();
    for token in [
        expired.access_token.expose(),
        rt(&expired),
        revoked.access_token.expose(),
        rt(&revoked),
        unknown.access_token.expose(),
        rt(&unknown),
        &code,
        "garbage",
        "",
    ] {
        assert_eq!(serde_json::to_string(&bench.introspect(token)).unwrap(), r#"{"active":false}"#);
    }
    assert!(bench.introspect(rt(&next)).is_active());
}

/// spec: RFC 7662 §4 a
#[test]
fn introspection_of_a_spent_token_is_not_reuse() {
    let bench = bench(RotationPolicy::standard());
    let first = bench.login();
    let second = bench.refresh(rt(&first)).unwrap();
    bench.pass(60);
    assert!(!bench.introspect(rt(&first)).is_active());
    assert!(bench.introspect(rt(&second)).is_active());
}

fn verify<'a>(
    bench: &Bench<MemoryStore>,
    token: &str,
    expect: &Expectation<'a>,
    now: u64,
) -> Result<String, VerifyError> {
    let verifier = bench.issuer.verifier();
    verifier.verify(token, expect, Timestamp::from_unix(now)).map(|claims| claims.scope().to_string())
}

#[test]
fn access_token_is_valid_until_the_second_before_its_expiry() {
    let bench = bench(unvaried());
    let first = bench.login();
    let here = resource();
    let at = |now| verify(&bench, first.access_token.expose(), &Expectation::resource(&here), now).map(drop);
    assert_eq!(at(START), Ok(()));
    assert_eq!(at(START + 1799), Ok(()));
    assert_eq!(at(START + 1800), Err(VerifyError::Expired));
    assert_eq!(at(u64::MAX), Err(VerifyError::Expired));
}

/// spec: MCP authorization §Token Handling b
#[test]
fn access_token_is_valid_for_its_own_resource_alone() {
    let bench = bench(RotationPolicy::standard());
    let first = bench.login();
    for other in [
        "https://mcp.example.com",
        "https://mcp.example.com/mcp/",
        "https://mcp.example.com/mc",
        "http://mcp.example.com/mcp",
    ] {
        let other = Resource::parse(other).unwrap();
        let refused = verify(&bench, first.access_token.expose(), &Expectation::resource(&other), START);
        assert_eq!(refused, Err(VerifyError::Audience), "{other}");
    }
    let here = Resource::parse("HTTPS://MCP.EXAMPLE.COM/mcp").unwrap();
    assert!(verify(&bench, first.access_token.expose(), &Expectation::resource(&here), START).is_ok());
}

#[test]
fn verify_needs_every_expected_scope_whole() {
    let bench = bench(RotationPolicy::standard());
    let first = bench.login();
    let here = resource();
    let needing = |needed: &str| {
        let needed = scope(needed);
        verify(&bench, first.access_token.expose(), &Expectation::resource(&here).scope(&needed), START).map(drop)
    };
    assert_eq!(needing("mcp:read"), Ok(()));
    assert_eq!(needing("mcp:write mcp:read"), Ok(()));
    assert_eq!(needing(""), Ok(()));
    for missing in ["mcp:admin", "mcp:read mcp:admin", "mcp:rea", "mcp", "mcp:readx"] {
        assert_eq!(needing(missing), Err(VerifyError::Scope), "{missing}");
    }
}

/// spec: OAuth 2.1 §5.2
#[test]
fn verify_checks_expiry_audience_binding_scope_in_that_order() {
    let bench = bench(policy(|p| p));
    let key = Binding::DpopKey([1; 32]);
    let first = block_on(bench.issuer.issue(grant(), Some(key))).unwrap();
    let (here, other, missing) = (resource(), Resource::parse("https://b.example").unwrap(), scope("mcp:admin"));
    let token = first.access_token.expose();
    let wrong = Expectation::resource(&other).scope(&missing);
    assert_eq!(verify(&bench, token, &wrong, START + 1800), Err(VerifyError::Expired));
    assert_eq!(verify(&bench, token, &wrong, START), Err(VerifyError::Audience));
    let wrong = Expectation::resource(&here).scope(&missing);
    assert_eq!(verify(&bench, token, &wrong, START), Err(VerifyError::Binding));
    assert_eq!(verify(&bench, token, &wrong.binding(&key), START), Err(VerifyError::Scope));
}

#[test]
fn verify_live_refuses_offline_before_it_asks_the_store() {
    let bench = bench_on(FlakyStore::new(MemoryStore::new()), keyring(), policy(|p| p));
    let first = bench.login();
    let other = Resource::parse("https://b.example").unwrap();
    bench.issuer.store().operations();
    let refusal = |token: &str| {
        let live = block_on(bench.issuer.verify_live(token, &Expectation::resource(&other)));
        live.unwrap_err().refusal().unwrap()
    };
    assert_eq!(refusal(first.access_token.expose()), VerifyError::Audience);
    assert_eq!(refusal("garbage"), VerifyError::Invalid);
    assert_eq!(bench.issuer.store().operations(), []);
    assert!(bench.live(&first).is_ok());
    assert_eq!(bench.issuer.store().operations(), [Op::Get], "one read and no write");
}

/// spec: MCP authorization §Security: Code Protection
#[test]
fn code_challenge_parse_takes_s256_alone() {
    let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    assert_eq!(CodeChallenge::parse(challenge, "S256"), Ok(CodeChallenge::of_verifier(VERIFIER)), "RFC 7636 B");
    for method in ["plain", "", "s256", "S512"] {
        assert_eq!(CodeChallenge::parse(challenge, method), Err(ChallengeError::Method), "{method}");
    }
    let padded = format!("{challenge}=");
    for malformed in
        ["", VERIFIER.trim_end_matches('k'), &padded, &challenge[1..], "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw+cM"]
    {
        assert_eq!(CodeChallenge::parse(malformed, "S256"), Err(ChallengeError::Malformed), "{malformed}");
    }
}

#[test]
fn redeem_with_wrong_verifier_or_redirect_spends_no_code() {
    let bench = bench(RotationPolicy::standard());
    let (code, client) = (bench.code(), client());
    bench.told();
    let redeem = |redirect: &str, verifier: &str| {
        verdict(block_on(bench.issuer.redeem(&RedeemRequest::new(&client, &code, redirect, verifier))))
    };
    let other_verifier = VERIFIER.replace('d', "e");
    let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    for wrong in ["", &other_verifier, challenge, &VERIFIER[1..], &format!("{VERIFIER}x")] {
        assert_eq!(redeem(REDIRECT, wrong).unwrap_err(), ErrorCode::InvalidGrant);
        assert_eq!(bench.told(), [("deny", Some(Reason::WrongVerifier))]);
    }
    for wrong in
        ["", "http://127.0.0.1:7777/callback/", "http://127.0.0.1:7778/callback", "HTTP://127.0.0.1:7777/callback"]
    {
        assert_eq!(redeem(wrong, VERIFIER).unwrap_err(), ErrorCode::InvalidGrant);
        assert_eq!(bench.told(), [("deny", Some(Reason::WrongRedirect))]);
    }
    assert!(!redeem(REDIRECT, VERIFIER).unwrap().retry);
}

#[test]
fn redeem_refuses_a_matching_verifier_outside_the_rfc() {
    let bench = bench(RotationPolicy::standard());
    let client = client();
    let redeemed = |verifier: &str| {
        let request = AuthorizeRequest::new(grant(), CodeChallenge::of_verifier(verifier), REDIRECT);
        let code = block_on(bench.issuer.authorize(request)).unwrap();
        verdict(block_on(bench.issuer.redeem(&RedeemRequest::new(&client, code.expose(), REDIRECT, verifier)))).is_ok()
    };
    assert!(redeemed(&"a".repeat(43)) && redeemed(&"~".repeat(128)));
    assert!(!redeemed(&"a".repeat(42)) && !redeemed(&"a".repeat(129)) && !redeemed(&"+".repeat(43)));
}

#[test]
fn redeem_replayed_with_another_verifier_revokes_nothing() {
    let bench = bench(RotationPolicy::standard());
    let (code, client) = (bench.code(), client());
    let first = bench.redeem(&code).unwrap();
    bench.pass(40);
    let thief = "x".repeat(43);
    let answer = verdict(block_on(bench.issuer.redeem(&RedeemRequest::new(&client, &code, REDIRECT, &thief))));
    assert_eq!(answer.unwrap_err(), ErrorCode::InvalidGrant);
    assert!(bench.live(&first).is_ok());
    assert!(!bench.refresh(rt(&first)).unwrap().retry);
}

/// spec: OAuth 2.1 §4.1.2
#[test]
fn code_expires_with_its_lifetime_and_then_revokes_nothing() {
    let bench = bench(RotationPolicy::standard());
    let (in_time, late) = (bench.code(), bench.code());
    bench.pass(59);
    let first = bench.redeem(&in_time).unwrap();
    bench.pass(1);
    bench.told();
    assert_eq!(bench.redeem(&late).unwrap_err(), ErrorCode::InvalidGrant);
    assert_eq!(bench.told(), [("deny", Some(Reason::CodeExpired))]);
    let second = bench.refresh(rt(&first)).unwrap();
    bench.told();
    assert_eq!(bench.redeem(&in_time).unwrap_err(), ErrorCode::InvalidGrant);
    assert_eq!(bench.told(), [("deny", Some(Reason::CodeExpired))], "a code from last year's log");
    assert!(bench.live(&second).is_ok());
}

#[test]
fn scopes_are_sets() {
    assert_eq!(scope("b a  b"), scope("a b"));
    assert_eq!(scope("b a").to_string(), "a b");
    assert_eq!(scope("").iter().count(), 0);
    assert!(scope("a b").includes(&scope("b")) && !scope("a b").includes(&scope("b c")));
    for wrong in ["a\tb", "a\"", "a\\b", "ä", "a\u{0}"] {
        assert!(matches!(Scope::parse(wrong), Err(ScopeError { .. })), "{wrong:?}");
    }
}

/// spec: RFC 8707 §2 a
#[test]
fn resource_is_an_absolute_uri_without_fragment_or_user() {
    assert_eq!(Resource::parse("https://A.example/").unwrap().as_str(), "https://a.example");
    assert_eq!(Resource::parse("https://a.example/P?Q").unwrap().as_str(), "https://a.example/P?Q");
    assert_eq!(Resource::parse("https://a.example:443/%50/.").unwrap().as_str(), "https://a.example/P/");
    for wrong in [
        "",
        "/mcp",
        "a.example",
        "://a",
        "https://",
        "https:///mcp",
        "https://a#b",
        "https://u@a",
        "https://a b",
        "https://a:80:80",
        "1s://a",
    ] {
        assert!(matches!(Resource::parse(wrong), Err(ResourceError { .. })), "{wrong:?}");
    }
}

#[test]
fn grant_refuses_empty_parts_reserved_claims_and_excess_bytes() {
    let new = |subject: &str, client: &str| Grant::new(subject, client, scope("a"), resource()).map(drop);
    assert_eq!(new("u", "c"), Ok(()));
    assert_eq!(new("", "c"), Err(GrantError::Empty { part: "subject" }));
    assert_eq!(new("u", ""), Err(GrantError::Empty { part: "client id" }));
    assert_eq!(new("u\n", "c"), Err(GrantError::Control { part: "subject" }));
    for reserved in ["active", "sub", "exp", "aud", "scope", "client_id", "cnf", "iss", "token_type"] {
        let name = reserved.to_owned();
        assert_eq!(grant().with_claim(reserved, "x").map(drop), Err(GrantError::ReservedClaim { name }));
    }
    assert!(matches!(grant().with_claim("big", "x".repeat(Grant::MAX_BYTES)), Err(GrantError::TooLong { .. })));
    assert!(matches!(new(&"u".repeat(Grant::MAX_BYTES), "c"), Err(GrantError::TooLong { .. })));
}

#[test]
fn grant_of_the_largest_size_fits_into_a_token() {
    let bench = bench(RotationPolicy::standard());
    let size = |grant: &Grant, room| grant.clone().with_claim("c", "x".repeat(room)).is_ok();
    let base = grant();
    let room = (0..Grant::MAX_BYTES).rev().find(|room| size(&base, *room)).unwrap();
    let largest = base.with_claim("c", "x".repeat(room)).unwrap();
    let first = block_on(bench.issuer.issue(largest, Some(Binding::Certificate([1; 32])))).unwrap();
    assert_eq!(json(&bench.introspect(first.access_token.expose()))["c"].as_str().unwrap().len(), room);

    // The same room spent on a subject whose characters take two bytes each, and on several resources.
    let named = |count| Grant::new("ü".repeat(count), "client-1", scope("mcp:read"), resource());
    let more = |grant: Grant| grant.with_resource(Resource::parse("https://files.example.com").unwrap());
    let longest = (0..Grant::MAX_BYTES).rev().find_map(|count| named(count).and_then(more).ok()).unwrap();
    let first = bench.begin(longest.clone());
    let claims = bench.live(&first).unwrap();
    assert_eq!((claims.subject(), claims.client_id()), (longest.subject(), longest.client_id()));
    assert_eq!((claims.scope(), claims.audience()), (longest.scope(), longest.resources()));

    // The same room spent on as many small claims as there can be.
    let mut many = grant();
    for number in 0.. {
        match many.clone().with_claim(format!("{number}"), "") {
            Ok(more) => many = more,
            Err(_) => break,
        }
    }
    let count = many.claims().len();
    let first = bench.begin(many);
    assert_eq!(bench.live(&first).unwrap().claims().len(), count);
}

#[test]
fn resource_named_many_times_is_in_the_audience_once() {
    let bench = bench(RotationPolicy::standard());
    let first = bench.login();
    let client = client();
    let request = RefreshRequest::new(&client, rt(&first)).resources([RESOURCE; 200]);
    let second = bench.ask(request).unwrap();
    assert_eq!(bench.claims(&second).audience(), [resource()]);
}
