//! Which web pages may use the endpoints from a browser.

use axum::body::Body;
use mcp_token_lifecycle::http::Cors;

use crate::site::*;

const PAGE: &str = "https://app.example.com";
const OPEN: [(&str, &str); 5] = [
    ("/token", "POST"),
    ("/revoke", "POST"),
    ("/register", "POST"),
    ("/.well-known/oauth-authorization-server", "GET, HEAD"),
    ("/.well-known/oauth-protected-resource/mcp", "GET, HEAD"),
];

async fn preflight(site: &Site, path: &str, origin: &str) -> Answer {
    let request =
        site.request("OPTIONS", path).header("origin", origin).header("access-control-request-method", "POST");
    send(request.body(Body::empty()).unwrap()).await
}

async fn simple(site: &Site, path: &str, origin: &str) -> Answer {
    send(site.request("GET", path).header("origin", origin).body(Body::empty()).unwrap()).await
}

fn allowed(answer: &Answer) -> &str {
    assert_eq!(answer.header("access-control-allow-credentials"), "", "credentials are never allowed");
    answer.header("access-control-allow-origin")
}

#[tokio::test]
async fn any_page_may_use_what_reads_no_cookie() {
    let site = Site::open().await;
    for (path, methods) in OPEN {
        let answer = preflight(&site, path, PAGE).await;
        assert_eq!((answer.status, answer.body.len(), allowed(&answer)), (204, 0, "*"), "{path}");
        assert_eq!((answer.header("access-control-allow-methods"), answer.header("allow")), (methods, methods));
        let headers = answer.header("access-control-allow-headers");
        for header in ["authorization", "content-type", "mcp-protocol-version"] {
            assert!(headers.split(", ").any(|allowed| allowed == header), "{header}");
        }
        let answer = simple(&site, path, PAGE).await;
        assert_eq!(
            (allowed(&answer), answer.header("access-control-expose-headers")),
            ("*", "retry-after, www-authenticate")
        );
    }
}

#[tokio::test]
async fn a_refusal_can_be_read_by_the_page_too() {
    let site = Site::open().await;
    let unknown =
        site.post("/token", &[("grant_type", "refresh_token"), ("client_id", "nobody"), ("refresh_token", "a")]).await;
    let long = site.post_as("/token", "application/x-www-form-urlencoded", &"a".repeat(17 * 1024)).await;
    assert_eq!((unknown.status, allowed(&unknown)), (401, "*"));
    assert_eq!((long.status, allowed(&long)), (413, "*"));
}

#[tokio::test]
async fn no_page_reads_what_a_browser_is_sent_to_or_a_resource_server_asks() {
    let site = Site::open().await;
    for path in ["/authorize", "/introspect"] {
        let answer = preflight(&site, path, PAGE).await;
        assert_eq!((answer.status, allowed(&answer)), (405, ""), "{path}");
        assert_eq!(allowed(&simple(&site, path, PAGE).await), "");
    }
}

#[tokio::test]
async fn only_the_pages_that_are_named_may() {
    let site = Site::open_with(|server| server.with_cors(Cors::Only(vec![PAGE.into()]))).await;
    for (path, _) in OPEN {
        for answer in [preflight(&site, path, PAGE).await, simple(&site, path, PAGE).await] {
            assert_eq!((allowed(&answer), answer.header("vary")), (PAGE, "origin"), "{path}");
        }
        for other in ["https://app.example.com.evil.example", "http://app.example.com", "null", "*", ""] {
            let (before, after) = (preflight(&site, path, other).await, simple(&site, path, other).await);
            assert_eq!((allowed(&before), allowed(&after)), ("", ""), "{other}");
            assert_eq!((before.header("access-control-allow-methods"), after.header("vary")), ("", "origin"));
        }
    }
}

#[tokio::test]
async fn no_page_may_where_that_is_said() {
    let site = Site::open_with(|server| server.with_cors(Cors::Deny)).await;
    for (path, _) in OPEN {
        assert_eq!(allowed(&preflight(&site, path, PAGE).await), "");
        assert_eq!(allowed(&simple(&site, path, PAGE).await), "");
    }
}
