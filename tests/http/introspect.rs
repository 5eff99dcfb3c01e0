//! `/introspect` (RFC 7662): for resource servers that were named, and about tokens for them alone.

use mcp_token_lifecycle::Resource;
use mcp_token_lifecycle::http::{AuthorizationServer, MemoryClients, ProtectedResource, TlsPolicy};
use serde_json::json;

use crate::site::*;
use crate::support::{Fault, Op};

/// spec: OAuth 2.1 §7.1.2 a
/// spec: OAuth 2.1 §7.1.3.6
/// spec: RFC 6750 §5.3
/// spec: RFC 7662 §2.2 a
#[tokio::test]
async fn introspect_live_access_token_shows_its_claims() {
    let site = Site::open().await;
    let tokens = site.login_for("notes:read").await;
    let seen = site.introspect(&tokens.access).await;
    let (iat, exp) = (seen["iat"].as_u64().unwrap(), seen["exp"].as_u64().unwrap());
    assert_eq!(exp - iat, tokens.all["expires_in"].as_u64().unwrap() + 5, "clients are told a little less");
    let expected = json!({
        "active": true, "sub": "user-1", "client_id": CLIENT, "scope": "notes:read", "token_type": "Bearer",
        "aud": format!("{}/mcp", site.origin), "iat": iat, "exp": exp,
    });
    assert_eq!(seen, expected);
}

/// spec: RFC 7662 §2.2 b
/// spec: RFC 7662 §2.2 c
/// spec: RFC 7662 §2.3
/// spec: RFC 7662 §4 a
#[tokio::test]
async fn introspect_any_other_token_is_just_inactive() {
    let site = Site::open_with(|server| {
        server.with_resource(ProtectedResource::new("https://second.example/mcp", "files:read").unwrap())
    })
    .await;
    let here = format!("{}/mcp", site.origin);
    let login = async |resource: &str| {
        let code = site.code(&[("resource", resource)]).await;
        site.redeem(&code).await.tokens()
    };
    let (revoked, expired) = (login(&here).await, login(&here).await);
    site.post("/revoke", &[("client_id", CLIENT), ("token", &revoked.refresh)]).await;
    site.pass(1801);
    let (live, elsewhere) = (login(&here).await, login("https://second.example/mcp").await);
    for (token, what) in [
        (&*revoked.access, "revoked"),
        (&*expired.access, "expired"),
        (&*elsewhere.access, "for another resource"),
        (&*live.refresh, "a refresh token"),
        ("unknown", "unknown"),
    ] {
        assert_eq!(site.introspect(token).await, json!({ "active": false }), "{what}");
    }
    assert_eq!(site.introspect(&live.access).await["active"], true);
}

/// spec: RFC 7662 §2.1 b
/// spec: RFC 7662 §2.3
/// spec: RFC 7662 §4 b
#[tokio::test]
async fn introspection_by_an_unpermitted_client_shows_nothing() {
    let site = Site::open().await;
    let tokens = site.login().await;
    let token = ("token", tokens.access.as_str());
    for who in [
        &[][..],
        &[("client_id", CLIENT)],
        &[("client_id", "unknown")],
        &[("client_id", GUARD)],
        &[("client_id", GUARD), ("client_secret", "wrong")],
        &[("client_id", WEB_CLIENT), ("client_secret", WEB_SECRET)],
    ] {
        let refused = site.post("/introspect", &[who, &[token]].concat()).await;
        assert_eq!(refused.refusal(), (401, "invalid_client".into()), "{who:?}");
        assert!(refused.header("www-authenticate").starts_with("Basic "));
    }
    let bearer = site.post_with("/introspect", &format!("Bearer {}", tokens.access), &[token]).await;
    assert_eq!(bearer.refusal(), (401, "invalid_client".into()), "its holder neither");
    let post = [("client_id", GUARD), ("client_secret", GUARD_SECRET), token];
    assert_eq!(site.post("/introspect", &post).await.json()["active"], true);
}

#[tokio::test]
async fn introspection_refuses_a_public_client_always() {
    let site = Site::open_with(|server| {
        server.with_introspection(CLIENT, Resource::parse("https://mcp.example.com/mcp").unwrap())
    })
    .await;
    let tokens = site.login().await;
    let refused = site.post("/introspect", &[("client_id", CLIENT), ("token", &tokens.access)]).await;
    assert_eq!(refused.refusal(), (401, "invalid_client".into()));
}

/// spec: RFC 7009 §2.1 a
/// spec: RFC 7662 §2.1 a
#[tokio::test]
async fn introspect_without_one_token_or_form_is_refused() {
    let site = Site::open().await;
    for tokens in [&[][..], &[("token", "")], &[("token", "a"), ("token", "a")]] {
        let refused = site.post_with("/introspect", &basic(GUARD, GUARD_SECRET), tokens).await;
        assert_eq!(refused.refusal(), (400, "invalid_request".into()));
    }
    let json = site.post_as("/introspect", "application/json", "{}").await;
    assert_eq!(json.refusal(), (415, "invalid_request".into()));
}

#[tokio::test]
async fn while_the_store_is_in_trouble_no_token_is_called_inactive() {
    let site = Site::open().await;
    let tokens = site.login().await;
    site.store.fail_every(Op::Get, Fault::Unavailable);
    let answer = site.post_with("/introspect", &basic(GUARD, GUARD_SECRET), &[("token", &tokens.access)]).await;
    answer.assert_unavailable();
    assert_eq!(site.faults(), 1);
}

/// spec: RFC 8414 §3.2
#[tokio::test]
async fn introspection_without_permitted_clients_is_404() {
    let site = Site::open_with(|server| {
        let resource = ProtectedResource::new("https://mcp.example.com/mcp", "notes:read").unwrap();
        let issuer = server.issuer().clone();
        AuthorizationServer::new("http://localhost", issuer, resource, MemoryClients::new(), Pages)
            .unwrap()
            .with_tls(TlsPolicy::Loopback)
    })
    .await;
    assert_eq!(site.post("/introspect", &[("token", "a")]).await.status, 404);
    assert_eq!(site.post_as("/register", "application/json", "{}").await.status, 404);
    assert!(!site.server.has("/introspect") && !site.server.has("/register") && site.server.has("/token"));
    let metadata = site.get("/.well-known/oauth-authorization-server").await.json();
    for absent in ["introspection_endpoint", "introspection_endpoint_auth_methods_supported", "registration_endpoint"] {
        assert!(metadata.get(absent).is_none(), "{absent}");
    }
}
