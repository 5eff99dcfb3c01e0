//! The bearer check and the check of tool scopes without tower.

use axum::http::{HeaderMap, Request, request::Parts};
use mcp_token_lifecycle::AccessClaims;
use mcp_token_lifecycle::http::*;

use crate::site::*;
use crate::support::{Fault, Op};

fn head(site: &Site, authorization: Option<&str>) -> Parts {
    let request = Request::get(format!("{}/mcp", site.origin));
    let request = match authorization {
        Some(authorization) => request.header("authorization", authorization),
        None => request,
    };
    request.body(()).unwrap().into_parts().0
}

fn guard_of(layer: BearerLayer) -> BearerGuard {
    layer.with_tls(TlsPolicy::Terminate).require_scope("notes:read").unwrap().guard()
}

fn challenge(headers: &HeaderMap) -> &str {
    headers["www-authenticate"].to_str().unwrap()
}

/// spec: MCP authorization §Token Handling d
/// spec: MCP authorization §Security: Privilege Restriction b
#[tokio::test]
async fn check_takes_the_token_and_leaves_the_claims() {
    let site = Site::open().await;
    let token = site.login_for("notes:read").await.access;
    let (offline, live) = (guard_of(site.server.bearer()), guard_of(site.server.bearer_live()));
    for check_live in [false, true] {
        let mut parts = head(&site, Some(&format!("Bearer {token}")));
        let claims = match check_live {
            true => live.check_live(&mut parts).await,
            false => offline.check(&mut parts),
        };
        let claims = claims.unwrap_or_else(|refusal| panic!("{}", refusal.status()));
        assert_eq!(claims.subject(), "user-1");
        assert!(!parts.headers.contains_key("authorization"));
        assert_eq!(parts.extensions.get::<AccessClaims>(), Some(&claims));
    }
}

/// An upgraded connection would outlive the token.
#[tokio::test]
async fn check_removes_a_request_to_upgrade_unless_allowed() {
    let site = Site::open().await;
    let token = site.login_for("notes:read").await.access;
    for (allowed, left) in [(false, false), (true, true)] {
        let layer = site.server.bearer().with_tls(TlsPolicy::Terminate);
        let layer = if allowed { layer.with_upgrades() } else { layer };
        let mut parts = head(&site, Some(&format!("Bearer {token}")));
        parts.headers.insert("upgrade", "websocket".parse().unwrap());
        layer.guard().check(&mut parts).ok().unwrap();
        assert_eq!(parts.headers.contains_key("upgrade"), left);
    }
}

/// The refusals are those of the layer.
#[tokio::test]
async fn check_refuses_with_the_challenge_of_the_layer() {
    let site = Site::open().await;
    let wide = site.login_for("notes:read").await.access;
    let guard = guard_of(site.server.bearer()).check(&mut head(&site, None)).unwrap_err();
    assert_eq!(guard.status(), 401);
    assert!(challenge(guard.headers()).contains("resource_metadata=") && !challenge(guard.headers()).contains("error"));
    for (scope, authorization, status, error) in [
        ("notes:read", "Bearer nonsense".to_owned(), 401, "invalid_token"),
        ("notes:write", format!("Bearer {wide}"), 403, "insufficient_scope"),
    ] {
        let layer = site.server.bearer().with_tls(TlsPolicy::Terminate).require_scope(scope).unwrap();
        let mut parts = head(&site, Some(&authorization));
        let refusal = layer.guard().check(&mut parts).unwrap_err();
        assert_eq!(refusal.status(), status);
        assert!(challenge(refusal.headers()).contains(&format!("error=\"{error}\"")));
        assert!(parts.extensions.get::<AccessClaims>().is_none());
    }
}

#[tokio::test]
async fn check_live_sees_a_revocation_that_check_does_not() {
    let site = Site::open().await;
    let tokens = site.login_for("notes:read").await;
    let guard = guard_of(site.server.bearer_live());
    site.post("/revoke", &[("token", &tokens.refresh), ("client_id", CLIENT)]).await;
    let head = || head(&site, Some(&format!("Bearer {}", tokens.access)));
    assert!(guard.check(&mut head()).is_ok());
    assert_eq!(guard.check_live(&mut head()).await.unwrap_err().status(), 401);
}

#[tokio::test]
async fn check_live_answers_503_while_the_store_is_down() {
    let site = Site::open().await;
    let token = site.login_for("notes:read").await.access;
    let guard = guard_of(site.server.bearer_live());
    site.store.fail_every(Op::Get, Fault::Unavailable);
    let refusal = guard.check_live(&mut head(&site, Some(&format!("Bearer {token}")))).await.unwrap_err();
    assert_eq!((refusal.status().as_u16(), refusal.headers().contains_key("retry-after")), (503, true));
}

#[tokio::test]
async fn tools_check_looks_at_bytes() {
    let site = Site::open().await;
    let token = site.login_for("notes:read").await.access;
    let layer = site.server.bearer().with_tls(TlsPolicy::Terminate);
    let claims = layer.guard().check(&mut head(&site, Some(&format!("Bearer {token}")))).ok().unwrap();
    let tools = layer.tools([("delete_note", "notes:write")]).unwrap().with_limit(1000);
    let call = |tool: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{tool}"}}}}"#);
    let status =
        |body: &str| tools.check(&claims, body.as_bytes()).map_or_else(|reply| reply.status().as_u16(), |()| 200);
    assert_eq!(status(&call("read_note")), 200);
    assert_eq!(status(""), 200);
    assert_eq!(status(&call("delete_note")), 403);
    assert_eq!(status("{"), 400);
    assert_eq!(status(&" ".repeat(1001)), 413);
    site.pass(3600);
    assert_eq!(status(&call("read_note")), 401);
}
