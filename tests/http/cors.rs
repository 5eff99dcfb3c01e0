//! Which web pages may use the endpoints from a browser.

use axum::body::Body;
use axum::http::{HeaderName, Request, Response};
use mcp_token_lifecycle::http::*;
use tower::{Layer, ServiceExt, service_fn};

use crate::site::*;
use crate::support::{Fault, Op};

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

/// spec: RFC 7009 §2.3
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
async fn cors_allows_pages_to_read_errors() {
    let site = Site::open().await;
    let unknown =
        site.post("/token", &[("grant_type", "refresh_token"), ("client_id", "unknown"), ("refresh_token", "a")]).await;
    let long = site.post_as("/token", "application/x-www-form-urlencoded", &"a".repeat(17 * 1024)).await;
    assert_eq!((unknown.status, allowed(&unknown)), (401, "*"));
    assert_eq!((long.status, allowed(&long)), (413, "*"));
}

/// spec: RFC 9700 §2.6
#[tokio::test]
async fn cors_never_covers_authorize_and_introspect() {
    let site = Site::open().await;
    for path in ["/authorize", "/introspect"] {
        let answer = preflight(&site, path, PAGE).await;
        assert_eq!((answer.status, allowed(&answer)), (405, ""), "{path}");
        assert_eq!(allowed(&simple(&site, path, PAGE).await), "");
    }
}

#[tokio::test]
async fn cors_only_allows_listed_origins() {
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
async fn cors_deny_allows_no_origin() {
    let site = Site::open_with(|server| server.with_cors(Cors::Deny)).await;
    for (path, _) in OPEN {
        assert_eq!(allowed(&preflight(&site, path, PAGE).await), "");
        assert_eq!(allowed(&simple(&site, path, PAGE).await), "");
    }
}

const SERVICES: [&str; 3] = ["/mcp", "/offline", "/tools"];

/// A request of a page to a protected service.
async fn call(site: &Site, path: &str, authorization: &str) -> Answer {
    let request = site.request("POST", path).header("origin", PAGE);
    let request = if authorization.is_empty() { request } else { request.header("authorization", authorization) };
    send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn bearer_answers_preflights_without_a_token() {
    let site = Site::open().await;
    for path in SERVICES {
        for method in ["POST", "GET", "DELETE", "PATCH"] {
            let asked = "authorization,content-type,last-event-id,mcp-param-x,mcp-protocol-version,mcp-session-id";
            let request = site.request("OPTIONS", path).header("origin", PAGE);
            let request = request.header("access-control-request-method", method);
            let request = request.header("access-control-request-headers", asked);
            let answer = send(request.body(Body::empty()).unwrap()).await;
            assert_eq!((answer.status, answer.body.len(), allowed(&answer)), (204, 0, "*"), "{path}");
            assert_eq!(answer.header("access-control-allow-methods"), method);
            assert_eq!(answer.header("access-control-allow-headers"), asked);
        }
        for (name, value) in [("origin", PAGE), ("access-control-request-method", "POST")] {
            let request = site.request("OPTIONS", path).header(name, value);
            assert_eq!(send(request.body(Body::empty()).unwrap()).await.status, 401, "no preflight: {name} alone");
        }
    }
    assert_eq!(site.reached(), 0);
}

#[tokio::test]
async fn bearer_lets_a_page_read_answers_and_challenges() {
    let site = Site::open().await;
    let read = format!("Bearer {}", site.login_for("notes:read").await.access);
    let write = format!("Bearer {}", site.login_for("notes:write").await.access);
    let twice = format!("/mcp?access_token={}", &read[7..]);
    for (path, authorization, status) in [
        ("/mcp", "", 401),
        ("/offline", "Bearer x", 401),
        ("/mcp", write.as_str(), 403),
        (&twice, &read, 400),
        ("/mcp", &read, 200),
        ("/offline", &read, 200),
    ] {
        let answer = call(&site, path, authorization).await;
        assert_eq!((answer.status, allowed(&answer)), (status, "*"), "{path}");
        let exposed: Vec<_> = answer.header("access-control-expose-headers").split(", ").collect();
        for name in ["www-authenticate", "retry-after", "mcp-session-id", "mcp-protocol-version"] {
            assert!(exposed.contains(&name), "{exposed:?}");
        }
        assert_eq!(answer.header("www-authenticate").is_empty(), status == 200);
    }
    site.store.fail_every(Op::Get, Fault::Unavailable);
    let answer = call(&site, "/mcp", &read).await;
    assert_eq!((answer.status, allowed(&answer)), (503, "*"), "after waiting as well");
    assert_eq!(allowed(&site.call("/offline", &read[7..]).await), "", "no page, no header");
}

#[tokio::test]
async fn bearer_follows_the_rules_of_the_server_for_pages() {
    let site = Site::open_with(|server| server.with_cors(Cors::Only(vec![PAGE.into()]))).await;
    let answers = [call(&site, "/mcp", "").await, preflight(&site, "/mcp", PAGE).await];
    assert_eq!(answers.each_ref().map(|answer| (answer.status, allowed(answer))), [(401, PAGE), (204, PAGE)]);
    assert_eq!(answers.each_ref().map(|answer| answer.header("vary")), ["origin"; 2]);
    assert_eq!(allowed(&preflight(&site, "/mcp", "https://other.example").await), "");
    let no_page = site.call("/mcp", "").await;
    assert_eq!((allowed(&no_page), no_page.header("vary")), ("", "origin"), "a cache may have it before a page asks");
    let site = Site::open_with(|server| server.with_cors(Cors::Deny)).await;
    let answers = [call(&site, "/mcp", "").await, preflight(&site, "/mcp", PAGE).await];
    assert_eq!(answers.each_ref().map(|answer| (answer.status, allowed(answer))), [(401, ""); 2]);
}

#[tokio::test]
async fn bearer_leaves_the_cors_headers_of_its_service_alone() {
    let site = Site::open().await;
    let token = site.login().await.access;
    let layer = site.server.bearer().with_exposed_headers([HeaderName::from_static("x-request-id")]);
    let ask = async |own: Option<(&'static str, &'static str)>| {
        let service = layer.clone().layer(service_fn(move |_: Request<Body>| async move {
            let response = Response::builder().header("vary", "accept");
            let response = own.into_iter().fold(response, |response, (name, value)| response.header(name, value));
            Ok::<_, std::convert::Infallible>(response.body(Body::empty()).unwrap())
        }));
        let request =
            site.request("GET", "/mcp").header("origin", PAGE).header("authorization", format!("Bearer {token}"));
        service.oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    };
    let answer = ask(Some(("access-control-allow-origin", PAGE))).await;
    assert_eq!(answer.headers().get_all("access-control-allow-origin").iter().collect::<Vec<_>>(), [PAGE]);
    assert!(!answer.headers().contains_key("access-control-expose-headers"));
    // A service refuses a page by a header that it leaves out.
    for own in [
        ("vary", "origin"),
        ("vary", "Accept-Encoding, Origin"),
        ("vary", "origin, access-control-request-method, access-control-request-headers"),
        ("access-control-allow-credentials", "true"),
        ("access-control-expose-headers", "x-a"),
    ] {
        assert!(!ask(Some(own)).await.headers().contains_key("access-control-allow-origin"), "{own:?}");
    }
    assert!(ask(Some(("vary", "x-origin"))).await.headers().contains_key("access-control-allow-origin"));
    let answer = ask(None).await;
    assert_eq!(answer.headers()["access-control-allow-origin"], "*");
    let exposed = answer.headers()["access-control-expose-headers"].to_str().unwrap();
    assert!(exposed.starts_with("mcp-") && exposed.ends_with(", x-request-id"), "{exposed}");
}

/// spec: RFC 6454 §6.2
#[tokio::test]
async fn cors_only_takes_an_origin_however_it_is_configured() {
    for known in [
        "https://APP.example.com",
        "https://app.example.com/",
        "https://app.example.com:443",
        "HTTPS://app.example.com:443/",
    ] {
        let site = Site::open_with(|server| server.with_cors(Cors::Only(vec![known.into()]))).await;
        assert_eq!(allowed(&simple(&site, "/token", PAGE).await), PAGE, "{known}");
        for other in ["https://app.example.com:8443", "http://app.example.com", "null"] {
            assert_eq!(allowed(&simple(&site, "/token", other).await), "", "{known} {other}");
        }
    }
}

#[tokio::test]
async fn preflight_of_an_endpoint_allows_the_headers_asked_for() {
    let site = Site::open().await;
    let request =
        site.request("OPTIONS", "/token").header("origin", PAGE).header("access-control-request-method", "POST");
    let request = request.header("access-control-request-headers", "content-type,x-requested-with");
    let answer = send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.header("access-control-allow-headers"), "content-type,x-requested-with");
}
