//! `/token` (RFC 6749 §5, OAuth 2.1 §3.2, §4.3).

use crate::site::*;
use crate::support::forge::tampered;
use crate::support::{Fault, Op, VERIFIER};

const NUMBERS: [&str; 3] = ["expires_in", "refresh_token_timeout", "authorization_expires_in"];

/// spec: MCP authorization §Overview a
/// spec: OAuth 2.1 §3.2.3 a
#[tokio::test]
async fn redeem_response_has_every_member_in_its_type() {
    let site = Site::open().await;
    let tokens = site.login_for("notes:read notes:write").await;
    let members: Vec<_> = tokens.all.as_object().unwrap().keys().map(String::as_str).collect();
    let strings = ["access_token", "refresh_token", "scope", "token_type"];
    let mut expected = [&strings[..], &NUMBERS[..]].concat();
    expected.sort_unstable();
    assert_eq!(members, expected);
    assert!(NUMBERS.iter().all(|name| tokens.all[name].is_u64()), "{}", tokens.all);
    assert_eq!(
        (tokens.all["token_type"].as_str(), tokens.all["scope"].as_str()),
        (Some("Bearer"), Some("notes:read notes:write"))
    );
    let alphabet = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    assert!(alphabet(&tokens.access) && alphabet(&tokens.refresh));
}

/// spec: MCP authorization §Security: Token Theft c
/// spec: OAuth 2.1 §4.3 d
/// spec: OAuth 2.1 §4.3.1 a
#[tokio::test]
async fn refresh_rotates_and_narrower_scope_holds_once() {
    let site = Site::open().await;
    let first = site.login_for("notes:read notes:write").await;
    let narrow = site.refresh(&first.refresh, &[("scope", "notes:read")]).await.tokens();
    assert_ne!(narrow.refresh, first.refresh);
    assert_eq!(narrow.all["scope"], "notes:read");
    let wide = site.refresh(&narrow.refresh, &[]).await.tokens();
    assert_eq!(wide.all["scope"], "notes:read notes:write");
}

/// spec: MCP authorization §Refresh Tokens b
#[tokio::test]
async fn offline_access_in_the_scope_of_a_refresh_is_left_out() {
    let site = Site::open().await;
    let first = site.login_for("notes:read offline_access").await;
    assert_eq!(first.all["scope"], "notes:read");
    let second = site.refresh(&first.refresh, &[("scope", "offline_access notes:read")]).await.tokens();
    let third = site.refresh(&second.refresh, &[("scope", "offline_access")]).await.tokens();
    assert_eq!((&second.all["scope"], &third.all["scope"]), (&first.all["scope"], &first.all["scope"]));
}

/// spec: OAuth 2.1 §4.3.1 a
/// spec: RFC 9700 §4.14.2 b
/// spec: RFC 8707 §2 b
#[tokio::test]
async fn scope_or_resource_beyond_grant_consumes_nothing() {
    let site = Site::open().await;
    let code = site.code(&[("scope", "notes:read")]).await;
    let pairs =
        [("grant_type", "authorization_code"), ("client_id", CLIENT), ("code", &code), ("code_verifier", VERIFIER)];
    for (more, error) in [
        (("scope", "notes:write"), "invalid_scope"),
        (("scope", "\"quoted\""), "invalid_scope"),
        (("resource", "https://elsewhere.example"), "invalid_target"),
        (("resource", "no uri"), "invalid_target"),
    ] {
        let refused = site.post("/token", &[&pairs[..], &[more]].concat()).await;
        assert_eq!(refused.refusal(), (400, error.into()), "{more:?}");
    }
    let tokens = site.redeem(&code).await.tokens();
    for (more, error) in [
        (("scope", "notes:read notes:write"), "invalid_scope"),
        (("resource", "https://elsewhere.example"), "invalid_target"),
    ] {
        assert_eq!(site.refresh(&tokens.refresh, &[more]).await.refusal(), (400, error.into()), "{more:?}");
    }
    site.refresh(&tokens.refresh, &[("resource", &format!("{}/mcp", site.origin))]).await.tokens();
}

/// spec: OAuth 2.1 §4.3.1 c
#[tokio::test]
async fn invalid_grant_of_dead_tokens_gives_no_detail() {
    let site = Site::open().await;
    let [logged_out, reused, idle] = [site.login().await, site.login().await, site.login().await];
    site.post("/revoke", &[("client_id", CLIENT), ("token", &logged_out.refresh)]).await;
    site.refresh(&reused.refresh, &[]).await.tokens();
    let stale_code = site.code(&[]).await;
    site.pass(601);
    let current = site.login().await;
    let tampered = tampered(&current.refresh, 40);
    for token in [&*logged_out.refresh, &reused.refresh, &tampered, &current.access, &stale_code, "garbage", "ü"] {
        let refused = site.refresh(token, &[]).await;
        assert_eq!((refused.status, refused.json()), (400, serde_json::json!({ "error": "invalid_grant" })), "{token}");
    }
    for code in [&*stale_code, &current.refresh, "garbage"] {
        let refused = site.redeem(code).await;
        assert_eq!((refused.status, refused.json()), (400, serde_json::json!({ "error": "invalid_grant" })), "{code}");
    }
    site.pass(60 * 60 * 24 * 365);
    assert_eq!(site.refresh(&idle.refresh, &[]).await.refusal(), (400, "invalid_grant".into()));
}

/// spec: OAuth 2.1 §4.1.2
#[tokio::test]
async fn redeem_needs_client_verifier_and_redirect_uri_of_code() {
    let site = Site::open().await;
    let code = site.code(&[]).await;
    let attempt = async |client: &str, verifier: &str, redirect: &str| {
        let pairs = [("grant_type", "authorization_code"), ("client_id", client), ("code", &code)];
        site.post("/token", &[&pairs[..], &[("code_verifier", verifier), ("redirect_uri", redirect)]].concat()).await
    };
    let other = site.register("https://other.example/").await;
    for (client, verifier, redirect) in [
        (other.as_str(), VERIFIER, CALLBACK),
        (CLIENT, "wrongwrongwrongwrongwrongwrongwrongwrongwrong", CALLBACK),
        (CLIENT, "short", CALLBACK),
        (CLIENT, VERIFIER, "http://127.0.0.1:7778/callback"),
    ] {
        assert_eq!(attempt(client, verifier, redirect).await.refusal(), (400, "invalid_grant".into()), "{redirect}");
    }
    attempt(CLIENT, VERIFIER, CALLBACK).await.tokens();
}

/// spec: OAuth 2.1 §4.3 c
/// spec: RFC 9700 §2.2.2 b
#[tokio::test]
async fn refresh_by_another_client_is_invalid_grant_and_harmless() {
    let site = Site::open().await;
    let tokens = site.login().await;
    let pairs = [("grant_type", "refresh_token"), ("refresh_token", tokens.refresh.as_str())];
    let refused = site.post_with("/token", &basic(WEB_CLIENT, WEB_SECRET), &pairs).await;
    assert_eq!(refused.refusal(), (400, "invalid_grant".into()));
    site.refresh(&tokens.refresh, &[]).await.tokens();
}

/// spec: OAuth 2.1 §3.2.4
#[tokio::test]
async fn token_refuses_another_grant_type_for_each_client() {
    let site = Site::open().await;
    for (grant_type, client) in
        [("client_credentials", CLIENT), ("password", "unknown"), ("Refresh_Token", CLIENT), ("implicit", CLIENT)]
    {
        let refused = site.post("/token", &[("grant_type", grant_type), ("client_id", client)]).await;
        assert_eq!(refused.refusal(), (400, "unsupported_grant_type".into()), "{grant_type}");
    }
}

/// spec: OAuth 2.1 §3.2
#[tokio::test]
async fn token_parameter_missing_or_empty_is_invalid_request() {
    let site = Site::open().await;
    let (code, tokens) = (site.code(&[]).await, site.login().await);
    let redemption = [
        ("grant_type", "authorization_code"),
        ("client_id", CLIENT),
        ("code", code.as_str()),
        ("code_verifier", VERIFIER),
    ];
    let refresh = [("grant_type", "refresh_token"), ("client_id", CLIENT), ("refresh_token", tokens.refresh.as_str())];
    for pairs in [&redemption[..], &refresh[..]] {
        for left_out in 0..pairs.len() {
            let mut pairs = pairs.to_vec();
            pairs[left_out].1 = "";
            assert_eq!(site.post("/token", &pairs).await.refusal(), (400, "invalid_request".into()), "{left_out}");
            pairs.remove(left_out);
            assert_eq!(site.post("/token", &pairs).await.refusal(), (400, "invalid_request".into()), "{left_out}");
        }
    }
    assert_eq!(site.post("/token", &[]).await.refusal(), (400, "invalid_request".into()));
    site.post("/token", &redemption).await.tokens();
    site.refresh(&tokens.refresh, &[("scope", ""), ("resource", "")]).await.tokens();
}

/// spec: OAuth 2.1 §3.2
/// spec: RFC 8707 §2 a
#[tokio::test]
async fn token_parameter_repeated_is_refused_except_resource() {
    let site = Site::open().await;
    let tokens = site.login().await;
    let pairs = [("grant_type", "refresh_token"), ("client_id", CLIENT), ("refresh_token", tokens.refresh.as_str())];
    let twice = pairs.iter().copied().chain([("scope", "notes:read"), ("client_secret", ""), ("unknown", "a")]);
    for pair in twice {
        let refused = site.post("/token", &[&pairs[..], &[pair, pair]].concat()).await;
        assert_eq!(refused.refusal(), (400, "invalid_request".into()), "{}", pair.0);
    }
    let resource = format!("{}/mcp", site.origin);
    site.refresh(&tokens.refresh, &[("resource", &resource), ("resource", &resource)]).await.tokens();
}

#[tokio::test]
async fn token_parameters_are_read_from_a_form_body_alone() {
    let site = Site::open().await;
    let tokens = site.login().await;
    let body = form(&[("grant_type", "refresh_token"), ("client_id", CLIENT), ("refresh_token", &tokens.refresh)]);
    for content_type in
        ["application/json", "multipart/form-data", "text/plain", "application/x-www-form-urlencoded2", ""]
    {
        assert_eq!(site.post_as("/token", content_type, &body).await.refusal(), (415, "invalid_request".into()));
    }
    let without = send(site.request("POST", "/token").body(body.clone().into()).unwrap()).await;
    assert_eq!(without.refusal(), (415, "invalid_request".into()));
    let in_query = site.post_as(&format!("/token?{body}"), "application/x-www-form-urlencoded", "").await;
    assert_eq!(in_query.refusal(), (400, "invalid_request".into()));
    site.post_as("/token", "Application/X-WWW-Form-URLencoded; charset=UTF-8", &body).await.tokens();
}

/// spec: OAuth 2.1 §3.2
/// spec: RFC 7009 §2.1 a
/// spec: RFC 7662 §2.1 a
#[tokio::test]
async fn post_endpoints_refuse_other_methods() {
    let site = Site::open().await;
    for path in ["/token", "/revoke", "/introspect", "/register"] {
        for method in ["GET", "HEAD", "PUT", "DELETE", "PATCH"] {
            let refused = send(site.request(method, path).body(Default::default()).unwrap()).await;
            assert_eq!((refused.status, refused.header("allow")), (405, "POST"), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn trouble_with_the_store_is_503_and_costs_no_token() {
    let site = Site::open().await;
    let (code, tokens) = (site.code(&[]).await, site.login().await);
    for (op, fault) in
        [(Op::Get, Fault::Unavailable), (Op::Commit, Fault::Unavailable), (Op::Commit, Fault::UncertainUndone)]
    {
        site.store.fail_every(op, fault);
        site.redeem(&code).await.assert_unavailable();
        site.refresh(&tokens.refresh, &[]).await.assert_unavailable();
        assert_eq!(site.faults(), 2, "the application is told");
        site.store.heal();
    }
    site.redeem(&code).await.tokens();
    site.refresh(&tokens.refresh, &[]).await.tokens();
    assert_eq!(site.faults(), 0);
}

#[tokio::test]
async fn refresh_retry_within_leeway_gets_same_successor() {
    let site = Site::open().await;
    let tokens = site.login().await;
    let lost = site.refresh(&tokens.refresh, &[]).await.tokens();
    site.pass(29);
    let again = site.refresh(&tokens.refresh, &[]).await.tokens();
    assert_eq!(lost.refresh, again.refresh);
}

/// spec: OAuth 2.1 §4.3.1 d
/// spec: RFC 9700 §4.14.2 d
#[tokio::test]
async fn reuse_after_leeway_revokes_family() {
    let site = Site::open().await;
    let first = site.login().await;
    let second = site.refresh(&first.refresh, &[]).await.tokens();
    site.pass(30);
    for token in [&first.refresh, &second.refresh] {
        assert_eq!(site.refresh(token, &[]).await.refusal(), (400, "invalid_grant".into()));
    }
    assert_eq!(site.call("/mcp", &second.access).await.status, 401);
}
