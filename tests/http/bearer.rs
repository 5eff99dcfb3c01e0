//! The check in front of a protected service (OAuth 2.1 §5, RFC 6750, RFC 9728 §5.1).

use axum::body::Body;
use axum::http::{Request, Response};
use mcp_token_lifecycle::http::*;
use mcp_token_lifecycle::{
    AccessClaims, AccessVerifier, Action, Binding, Clock, ErrorKind, HttpEndpoint, Reason, SystemClock,
};
use tower::{Layer, ServiceExt, service_fn};

use crate::site::*;
use crate::support::{Fault, Op, keyring};

/// The challenge of the services that need `scope`, with everything in its place.
fn challenge(site: &Site, error: &str, scope: &str) -> String {
    let error = if error.is_empty() { String::new() } else { format!("error=\"{error}\", ") };
    let metadata = format!("{}/.well-known/oauth-protected-resource/mcp", site.origin);
    format!("Bearer {error}scope=\"{scope}\", resource_metadata=\"{metadata}\"")
}

async fn call_as(site: &Site, path: &str, authorization: &str) -> Answer {
    send(site.request("GET", path).header("authorization", authorization).body(Body::empty()).unwrap()).await
}

/// spec: MCP authorization §Scope Selection Strategy a
/// spec: MCP authorization §Token Requirements a
/// spec: MCP authorization §Refresh Tokens a
/// spec: MCP authorization §Discovery: Resource Metadata
/// spec: OAuth 2.1 §5.3.1
/// spec: RFC 6750 §3 b
/// spec: RFC 6750 §3.1 b
/// spec: RFC 9728 §5.1
#[tokio::test]
async fn bearer_without_token_challenges_without_error() {
    let site = Site::open().await;
    for path in ["/mcp", "/offline"] {
        for answer in [site.get(path).await, call_as(&site, path, &basic(WEB_CLIENT, WEB_SECRET)).await] {
            assert_eq!((answer.status, answer.body.len()), (401, 0));
            assert_eq!(answer.header("www-authenticate"), challenge(&site, "", "notes:read"));
            assert!(!answer.header("www-authenticate").contains("offline_access"));
        }
    }
    let metadata = site.get("/.well-known/oauth-protected-resource/mcp").await;
    assert_eq!(metadata.status, 200, "what the challenge points to is there");
    assert_eq!(site.reached(), 0);
}

/// spec: MCP authorization §Token Requirements a
/// spec: MCP authorization §Token Handling d
/// spec: MCP authorization §Security: Privilege Restriction b
#[tokio::test]
async fn bearer_passes_claims_on_and_keeps_the_token() {
    let site = Site::open().await;
    let tokens = site.login_for("notes:read").await;
    for (path, scheme) in [("/mcp", "Bearer"), ("/offline", "bearer"), ("/mcp", "BEARER")] {
        let answer = call_as(&site, path, &format!("{scheme} {}", tokens.access)).await;
        let seen: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!((answer.status, &seen["subject"], &seen["scope"]), (200, &"user-1".into(), &"notes:read".into()));
        let request = seen["request"].as_str().unwrap();
        assert!(request.starts_with("GET /") && !request.contains("authorization") && !request.contains("mcpat_"));
    }
    assert_eq!(site.reached(), 3);
}

/// spec: MCP authorization §Token Handling a
/// spec: MCP authorization §Token Handling c
/// spec: MCP authorization §Error Handling
/// spec: MCP authorization §Security: Privilege Restriction a
/// spec: OAuth 2.1 §5.3.1
/// spec: RFC 6750 §3 a
/// spec: RFC 6750 §3.1 a
#[tokio::test]
async fn bearer_token_that_is_no_access_token_is_401() {
    let site = Site::open().await;
    let tokens = site.login().await;
    let altered = format!("{}A", &tokens.access[..tokens.access.len() - 1]);
    let altered = if altered == tokens.access { format!("{}B", &altered[..altered.len() - 1]) } else { altered };
    for token in [
        "",
        "garbage",
        &altered,
        &tokens.refresh,
        &site.code(&[]).await,
        &format!("{} ", tokens.access).repeat(2),
        &format!("{},{}", tokens.access, tokens.access),
        &format!("\"{}\"", tokens.access),
        &format!("={}", tokens.access),
        &"a".repeat(8 * 1024 + 1),
    ] {
        for path in ["/mcp", "/offline"] {
            let refused = call_as(&site, path, &format!("Bearer {token}")).await;
            assert_eq!(refused.refusal(), (401, "invalid_token".into()), "{token:.80}");
            assert_eq!(refused.header("www-authenticate"), challenge(&site, "invalid_token", "notes:read"));
        }
    }
    assert_eq!(site.reached(), 0);
}

/// spec: MCP authorization §Token Handling a
/// spec: MCP authorization §Token Handling c
/// spec: RFC 6750 §3 c
#[tokio::test]
async fn bearer_expired_token_is_401_invalid_token() {
    let site = Site::open().await;
    let tokens = site.login().await;
    // A client counts from when it hears of the token, and its request has a way to go.
    site.pass(tokens.all["expires_in"].as_u64().unwrap() + 4);
    assert_eq!(
        (site.call("/mcp", &tokens.access).await.status, site.call("/offline", &tokens.access).await.status),
        (200, 200)
    );
    site.pass(1);
    for path in ["/mcp", "/offline"] {
        assert_eq!(site.call(path, &tokens.access).await.refusal(), (401, "invalid_token".into()));
    }
}

/// spec: MCP authorization §Token Handling b
/// spec: MCP authorization §Token Handling d
/// spec: OAuth 2.1 §7.1.4 b
/// spec: RFC 9728 §7.4
#[tokio::test]
async fn bearer_token_for_another_resource_is_401() {
    let site = Site::open().await;
    let tokens = site.login().await;
    let refused = site.call("/elsewhere", &tokens.access).await;
    assert_eq!(refused.refusal(), (401, "invalid_token".into()));
    let metadata = format!("resource_metadata=\"{}/.well-known/oauth-protected-resource/elsewhere\"", site.origin);
    assert!(refused.header("www-authenticate").ends_with(&metadata));
    assert_eq!(site.reached(), 0);
}

/// spec: MCP authorization §Token Requirements b
/// spec: MCP authorization §Error Handling
/// spec: OAuth 2.1 §7.1.3.7
/// spec: RFC 6750 §2
/// spec: RFC 6750 §3.1 a
#[tokio::test]
async fn bearer_two_headers_or_tokens_are_400_invalid_request() {
    let site = Site::open().await;
    let token = site.login().await.access;
    let bearer = format!("Bearer {token}");
    for other in [bearer.as_str(), "Basic abc", ""] {
        let request = site.request("GET", "/mcp").header("authorization", &bearer).header("authorization", other);
        let refused = send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(refused.refusal(), (400, "invalid_request".into()), "{other}");
        assert_eq!(refused.header("www-authenticate"), challenge(&site, "invalid_request", "notes:read"));
    }
    for query in [format!("access_token={token}"), "a=b&access_token=".into(), "access%5ftoken=x".into()] {
        let request = site.request("GET", &format!("/mcp?{query}")).header("authorization", &bearer);
        let refused = send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(refused.refusal(), (400, "invalid_request".into()), "{query}");
        assert_eq!(refused.header("www-authenticate"), challenge(&site, "invalid_request", "notes:read"));
    }
    let on_the_wire = format!(
        "GET /mcp HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: {bearer}\r\nAUTHORIZATION: {bearer}\r\n\r\n"
    );
    assert!(send_raw(&site.origin, on_the_wire).await.starts_with("HTTP/1.1 400 "));
    assert_eq!(site.reached(), 0);
}

/// spec: RFC 6750 §3.1, OAuth 2.1 §5.1
/// spec: MCP authorization §Token Requirements b
/// spec: OAuth 2.1 §5.1
/// spec: RFC 6750 §2.2
#[tokio::test]
async fn bearer_token_outside_the_header_is_401_without_error() {
    let site = Site::open().await;
    let token = site.login().await.access;
    let in_query = format!("/mcp?access_token={token}");
    for request in [
        site.request("GET", &in_query).body(Body::empty()),
        site.request("GET", "/mcp?a=b&access%5ftoken=").body(Body::empty()),
        site.request("GET", &in_query).header("authorization", basic(WEB_CLIENT, WEB_SECRET)).body(Body::empty()),
        site.request("GET", &in_query).header("authorization", "").body(Body::empty()),
        site.request("POST", "/mcp")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from(form(&[("access_token", &token)]))),
    ] {
        let refused = send(request.unwrap()).await;
        assert_eq!((refused.status, refused.body.len()), (401, 0));
        assert_eq!(refused.header("www-authenticate"), challenge(&site, "", "notes:read"));
    }
    assert_eq!(site.reached(), 0);
}

/// spec: MCP authorization §Scope Selection Strategy b
/// spec: MCP authorization §Error Handling
/// spec: MCP authorization §Runtime Insufficient Scope Errors a
/// spec: RFC 6750 §3.1 a
#[tokio::test]
async fn bearer_token_without_scope_is_403_naming_the_required() {
    let site = Site::open().await;
    let tokens = site.login_for("notes:read").await;
    let refused = site.call("/write", &tokens.access).await;
    assert_eq!(refused.refusal(), (403, "insufficient_scope".into()));
    let expected = challenge(&site, "insufficient_scope", "notes:read notes:write");
    assert_eq!(refused.header("www-authenticate"), expected);
    let other = site.login_for("notes:write").await;
    for path in ["/mcp", "/offline"] {
        let refused = site.call(path, &other.access).await;
        assert_eq!(refused.header("www-authenticate"), challenge(&site, "insufficient_scope", "notes:read"));
    }
    assert_eq!(site.reached(), 0);
}

/// spec: MCP authorization §Step-Up Authorization Flow
#[tokio::test]
async fn broad_scope_implies_the_narrow_ones() {
    let site = Site::open().await;
    let tokens = site.login_for("notes:admin").await;
    for path in ["/mcp", "/offline", "/write"] {
        assert_eq!(site.call(path, &tokens.access).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn required_scopes_add_up() {
    let site = Site::open().await;
    let tokens = site.login_for("notes:read").await;
    let layer = site.server.bearer().require_scope("notes:write").unwrap().require_scope("notes:read").unwrap();
    let service = layer.layer(service_fn(|_: Request<Body>| async {
        Ok::<_, std::convert::Infallible>(Response::new(Body::empty()))
    }));
    let request = site.request("GET", "/").header("authorization", format!("Bearer {}", tokens.access));
    let answer = service.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 403);
}

#[tokio::test]
async fn bearer_live_sees_revocation_at_once_and_offline_does_not() {
    let site = Site::open().await;
    let tokens = site.login().await;
    site.post("/revoke", &[("client_id", CLIENT), ("token", &tokens.refresh)]).await;
    let live = site.call("/mcp", &tokens.access).await;
    assert_eq!(live.refusal(), (401, "invalid_token".into()));
    assert_eq!(live.header("www-authenticate"), challenge(&site, "invalid_token", "notes:read"));
    assert_eq!(site.call("/offline", &tokens.access).await.status, 200);
}

/// spec: MCP authorization §Security: Privilege Restriction a
#[tokio::test]
async fn trouble_with_the_store_is_503_and_no_challenge() {
    let site = Site::open().await;
    let tokens = site.login().await;
    site.store.fail_every(Op::Get, Fault::Unavailable);
    let answer = site.call("/mcp", &tokens.access).await;
    answer.assert_unavailable();
    assert_eq!((answer.header("www-authenticate"), site.faults(), site.reached()), ("", 1, 0));
    let told = site.audit().pop().unwrap();
    let unavailable = Reason::Fault(ErrorKind::StoreUnavailable);
    assert_eq!((told.action, told.reason), (Action::Fault, Some(unavailable)));
    assert_eq!((told.endpoint, told.client_id.as_deref()), (Some(HttpEndpoint::Resource), Some(CLIENT)));
    assert_eq!(site.call("/mcp", "garbage").await.status, 401, "what needs no store does not wait for it");
    assert_eq!(site.call("/offline", &tokens.access).await.status, 200);
}

#[tokio::test]
async fn bearer_offline_verifies_with_access_keys_alone() {
    let site = Site::open().await;
    site.clock.set(SystemClock.now());
    let tokens = site.login_for("notes:read").await;
    let resource = ProtectedResource::new(&format!("{}/mcp", site.origin), "notes:read").unwrap();
    let layer = BearerLayer::offline(AccessVerifier::new(keyring().access_keys()), resource);
    let layer = layer.with_tls(TlsPolicy::Loopback);
    let service = layer.layer(service_fn(|request: Request<Body>| async move {
        let subject = request.extensions().get::<AccessClaims>().unwrap().subject().to_owned();
        Ok::<_, std::convert::Infallible>(Response::new(Body::from(subject)))
    }));
    for (token, status) in [(&tokens.access, 200), (&tokens.refresh, 401)] {
        let request = site.request("GET", "/mcp").header("authorization", format!("Bearer {token}"));
        let answer = service.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(answer.status(), status);
    }
}

#[tokio::test]
async fn bearer_bound_token_needs_dpop_scheme_and_key() {
    let site = Site::open_with(|server| {
        server.with_binding(|parts| {
            let key = parts.headers.get("x-verified-key")?.as_bytes().first()?;
            Some(Binding::DpopKey([*key; 32]))
        })
    })
    .await;
    let code = site.code(&[]).await;
    let pairs = [("grant_type", "authorization_code"), ("client_id", CLIENT), ("code", &code)];
    let body = form(&[&pairs[..], &[("code_verifier", crate::support::VERIFIER)]].concat());
    let request = site.request("POST", "/token").header("content-type", "application/x-www-form-urlencoded");
    let tokens = send(request.header("x-verified-key", "k").body(body.into()).unwrap()).await.tokens();
    assert_eq!(tokens.all["token_type"], "DPoP");
    let attempt = async |path: &str, scheme: &str, key: Option<&str>| {
        let request = site.request("GET", path).header("authorization", format!("{scheme} {}", tokens.access));
        let request = key.into_iter().fold(request, |request, key| request.header("x-verified-key", key));
        send(request.body(Body::empty()).unwrap()).await.status
    };
    for path in ["/mcp", "/offline"] {
        assert_eq!(attempt(path, "DPoP", Some("k")).await, 200);
        for (scheme, key) in [("Bearer", Some("k")), ("Bearer", None), ("DPoP", Some("x")), ("DPoP", None)] {
            assert_eq!(attempt(path, scheme, key).await, 401, "{scheme} {key:?}");
        }
    }
    // A token that is bound to nothing is a bearer token wherever it comes from.
    assert_eq!(site.call("/mcp", &site.login().await.access).await.status, 200);
}
