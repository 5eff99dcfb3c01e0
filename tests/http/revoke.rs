//! `/revoke` (RFC 7009).

use crate::site::*;
use crate::support::{Fault, Op};

async fn revoke(site: &Site, token: &str) -> Answer {
    site.post("/revoke", &[("client_id", CLIENT), ("token", token)]).await
}

/// spec: RFC 7009 §2 a
/// spec: RFC 7009 §2.1 e
/// spec: RFC 7009 §2.1 f
/// spec: RFC 7009 §2.2
#[tokio::test]
async fn either_token_ends_the_session_at_once() {
    let site = Site::open().await;
    let (one, other, bystander) = (site.login().await, site.login().await, site.login().await);
    for (presented, tokens) in [(&one.refresh, &one), (&other.access, &other)] {
        let answer = revoke(&site, presented).await;
        assert_eq!((answer.status, answer.body.len(), answer.header("cache-control")), (200, 0, "no-store"));
        assert_eq!(site.refresh(&tokens.refresh, &[]).await.refusal(), (400, "invalid_grant".into()));
        assert_eq!(site.call("/mcp", &tokens.access).await.status, 401);
    }
    assert_eq!(site.call("/mcp", &bystander.access).await.status, 200);
}

/// spec: RFC 7009 §2.2
#[tokio::test]
async fn revoke_unknown_or_revoked_token_is_200_and_empty() {
    let site = Site::open().await;
    let spent = site.login().await;
    revoke(&site, &spent.refresh).await;
    for token in ["unknown", &spent.refresh, "mcprt_"] {
        let answer = revoke(&site, token).await;
        assert_eq!((answer.status, answer.body.len()), (200, 0), "{token}");
    }
}

/// spec: RFC 7009 §2.1 b
#[tokio::test]
async fn revoke_ignores_a_wrong_token_type_hint() {
    let site = Site::open().await;
    for hint in ["access_token", "refresh_token", "something_else"] {
        let tokens = site.login().await;
        let pairs = [("client_id", CLIENT), ("token", tokens.refresh.as_str()), ("token_type_hint", hint)];
        assert_eq!(site.post("/revoke", &pairs).await.status, 200);
        assert_eq!(site.refresh(&tokens.refresh, &[]).await.status, 400, "{hint}");
    }
}

/// spec: RFC 7009 §2.1 d
#[tokio::test]
async fn another_client_revokes_nothing_and_is_told_nothing() {
    let site = Site::open().await;
    let tokens = site.login().await;
    let answer = site.post_with("/revoke", &basic(WEB_CLIENT, WEB_SECRET), &[("token", &tokens.refresh)]).await;
    assert_eq!((answer.status, answer.body.len()), (200, 0));
    site.refresh(&tokens.refresh, &[]).await.tokens();
}

/// spec: RFC 7009 §2.1 c
#[tokio::test]
async fn revoke_by_unauthenticated_client_is_refused() {
    let site = Site::open().await;
    let tokens = site.login().await;
    let token = ("token", tokens.refresh.as_str());
    for who in [
        &[("client_id", "unknown")][..],
        &[("client_id", WEB_CLIENT)],
        &[("client_id", WEB_CLIENT), ("client_secret", "x")],
    ] {
        let refused = site.post("/revoke", &[who, &[token]].concat()).await;
        assert_eq!(refused.refusal(), (401, "invalid_client".into()), "{who:?}");
    }
    assert_eq!(site.post("/revoke", &[token]).await.refusal(), (400, "invalid_request".into()));
    site.refresh(&tokens.refresh, &[]).await.tokens();
}

/// spec: RFC 7009 §2.1 a
/// spec: RFC 7662 §2.1 a
#[tokio::test]
async fn revoke_without_one_token_or_form_is_refused() {
    let site = Site::open().await;
    let token = ("token", "a");
    for tokens in [&[][..], &[("token", "")], &[token, token]] {
        let refused = site.post("/revoke", &[&[("client_id", CLIENT)], tokens].concat()).await;
        assert_eq!(refused.refusal(), (400, "invalid_request".into()));
    }
    let json = site.post_as("/revoke", "application/json", "{}").await;
    assert_eq!(json.refusal(), (415, "invalid_request".into()));
}

/// spec: RFC 7009 §2.2.1
#[tokio::test]
async fn store_outage_is_not_reported_as_a_revocation() {
    let site = Site::open().await;
    let tokens = site.login().await;
    for op in [Op::Get, Op::Commit] {
        site.store.fail_every(op, Fault::Unavailable);
        revoke(&site, &tokens.refresh).await.assert_unavailable();
        site.store.heal();
    }
    assert_eq!(site.faults(), 2);
    revoke(&site, &tokens.refresh).await;
    assert_eq!(site.call("/mcp", &tokens.access).await.status, 401);
}
