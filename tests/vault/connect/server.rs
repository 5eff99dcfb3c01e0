//! The pages: who may begin, where the browser goes, and what it is told.

use http::request::Parts;
use http::{Request, Response, StatusCode};
use mcp_token_lifecycle::http::*;
use mcp_token_lifecycle::vault::*;
use mcp_token_lifecycle::{BoxFuture, MemoryStore};

use crate::support::{FlakyStore, Op, scope};
use crate::world::*;

const BASE: &str = "https://mcp.example.com";
const HTML: &str = "text/html,*/*;q=0.8";

/// Reads the user from the cookie.
struct Login;

impl ConnectLogin for Login {
    fn user<'a>(&'a self, parts: &'a Parts) -> BoxFuture<'a, Result<BrowserUser, Response<ResponseBody>>> {
        let cookie = parts.headers.get("cookie").map(|cookie| cookie.to_str().unwrap().to_owned());
        Box::pin(async move {
            let page = || Response::new(ResponseBody::from("log in"));
            let cookie = cookie.ok_or_else(page)?;
            let subject = cookie.split('-').next_back().unwrap().to_owned();
            Ok(BrowserUser::new(subject, cookie))
        })
    }
}

type Server = ConnectServer<std::sync::Arc<FlakyStore<MemoryStore>>>;

fn server(world: &World) -> Server {
    ConnectServer::new(BASE, world.vault.clone(), Login)
        .unwrap()
        .with_service(SERVICE, scope("read write"))
        .with_service(OTHER, scope("talk"))
        .with_return_path("/accounts")
        .unwrap()
        .with_tls(TlsPolicy::Terminate)
}

/// A request with these headers, of alice unless a cookie is given.
fn ask(world: &World, method: &str, path: &str, headers: &[(&str, &str)]) -> Response<String> {
    let mut request = Request::builder().method(method).uri(path);
    if headers.iter().all(|(name, _)| *name != "cookie") {
        request = request.header("cookie", "the-session-cookie-of-alice");
    }
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let (parts, ()) = request.body(()).unwrap().into_parts();
    let reply = world.sim.run(server(world).handle(&parts));
    reply.map(|body| String::from_utf8(body.into_bytes().to_vec()).unwrap())
}

fn get(world: &World, path: &str) -> Response<String> {
    ask(world, "GET", path, &[("accept", HTML)])
}

/// The form of the page at `path` is sent.
fn post(world: &World, path: &str) -> Response<String> {
    ask(world, "POST", path, &[("accept", HTML), ("origin", BASE)])
}

fn location(reply: &Response<String>) -> &str {
    reply.headers()["location"].to_str().unwrap()
}

fn state(reply: &Response<String>) -> String {
    assert_eq!(reply.status(), StatusCode::SEE_OTHER, "{}", reply.body());
    let (_, query) = location(reply).split_once('?').unwrap();
    form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "state").unwrap().1.into_owned()
}

#[test]
fn connect_page_asks_and_begins_nothing() {
    let world = world();
    for method in ["GET", "HEAD"] {
        let page = ask(&world, method, "/connect/git?account=%3Cwork%3E&scope=read", &[("accept", HTML)]);
        assert_eq!(page.status(), StatusCode::OK);
        assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
        assert_eq!(page.headers()["x-frame-options"], "DENY");
        assert_eq!(page.headers()["referrer-policy"], "same-origin");
        let policy = page.headers()["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("form-action"), "{policy}");
        if method == "GET" {
            assert!(page.body().contains("<form method=\"post\">") && page.body().contains("&lt;work&gt;"));
            assert!(page.body().contains("<code>read</code>") && !page.body().contains("<code>write</code>"));
        }
    }
    assert!(world.store.operations().is_empty());
}

#[test]
fn connect_post_sends_the_browser_to_the_service() {
    let world = world();
    let reply = post(&world, "/connect/git?account=work&scope=read&return_to=%2Ftools%3Fa%3Db");
    assert!(location(&reply).starts_with("https://as.example/authorize?"));
    assert!(location(&reply).contains("redirect_uri=https%3A%2F%2Fmcp.example.com%2Fcallback%2Fgit&scope=read&"));
    assert!(reply.headers()["location"].is_sensitive());
    assert_eq!(reply.headers()["cache-control"], "no-store");
    world.script.will(Reply::Json(200, TOKENS));
    let back = get(&world, &format!("/callback/git?{}", good(&state(&reply))));
    assert_eq!(back.status(), StatusCode::SEE_OTHER);
    assert_eq!(location(&back), "/tools?a=b&connect=connected&service=git");
    assert_eq!(world.lease(&need().account("work")).unwrap(), ACCESS);
}

#[test]
fn connect_page_of_another_site_begins_nothing() {
    let world = world();
    let forged: &[&[(&str, &str)]] = &[
        &[],
        &[("origin", "null")],
        &[("origin", "https://evil.example")],
        &[("origin", "https://mcp.example.com.evil.example")],
        &[("origin", "http://mcp.example.com")],
        &[("origin", "https://mcp.example.com:8443")],
        &[("origin", BASE), ("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "none")],
        &[("sec-fetch-site", "cross-site")],
    ];
    for headers in forged {
        let reply = ask(&world, "POST", "/connect/git", headers);
        assert_eq!(reply.status(), StatusCode::FORBIDDEN, "{headers:?}");
        let [event] = &world.audit.take()[..] else { panic!("one event") };
        assert_eq!((event.action.as_str(), event.endpoint.unwrap().as_str()), ("deny", "connect"));
    }
    assert!(world.store.operations().is_empty());
    for headers in [&[("origin", BASE)][..], &[("origin", BASE), ("sec-fetch-site", "same-origin")]] {
        assert_eq!(ask(&world, "POST", "/connect/git", headers).status(), StatusCode::SEE_OTHER, "{headers:?}");
    }
    let without_origin = ask(&world, "POST", "/connect/git", &[("sec-fetch-site", "same-origin")]);
    assert_eq!(without_origin.status(), StatusCode::SEE_OTHER);
}

#[test]
fn connect_origin_is_that_of_the_base_as_browsers_write_it() {
    let world = world();
    for (base, origin, path) in [
        ("https://MCP.example.com:443", "https://mcp.example.com", "/connect/git"),
        ("https://mcp.example.com/app/", "https://mcp.example.com", "/app/connect/git"),
        ("http://localhost:8000", "http://localhost:8000", "/connect/git"),
        ("http://127.0.0.1:80/", "http://127.0.0.1", "/connect/git"),
    ] {
        let server = ConnectServer::new(base, world.vault.clone(), Login).unwrap();
        let server = server.with_service(SERVICE, scope("read")).with_tls(TlsPolicy::Terminate);
        assert!(server.has(path) && !server.has("/other/connect/git"));
        let request = Request::post(path).header("origin", origin).header("cookie", "the-session-cookie-of-alice");
        let (parts, ()) = request.body(()).unwrap().into_parts();
        assert_eq!(world.sim.run(server.handle(&parts)).status(), StatusCode::SEE_OTHER, "{base}");
    }
}

#[test]
fn connect_sends_the_browser_to_no_other_host_afterwards() {
    let world = world();
    for bad in ["https://evil.example", "//evil.example", "/\\evil.example", "%2F%09%2Fevil.example", "accounts"] {
        for method in ["GET", "POST"] {
            let path = format!("/connect/git?return_to={bad}");
            let reply = ask(&world, method, &path, &[("origin", BASE)]);
            assert_eq!(reply.status(), StatusCode::BAD_REQUEST, "{method} {bad}");
            assert!(reply.body().contains("return_to must be a path of this server"), "{}", reply.body());
        }
    }
    assert!(world.store.operations().is_empty());
    let bad = ConnectServer::new(BASE, world.vault.clone(), Login).unwrap().with_return_path("//evil.example");
    assert_eq!(
        bad.unwrap_err().to_string(),
        "a return path must begin with one slash and have no other host, got \"//evil.example\""
    );
    let bad = ConnectServer::new("http://mcp.example.com", world.vault.clone(), Login).unwrap_err();
    assert!(bad.to_string().starts_with("the base must be an https URL"), "{bad}");
}

#[test]
fn connect_asks_for_no_more_than_the_configured_scope() {
    let world = world();
    let reply = post(&world, "/connect/git");
    assert!(location(&reply).contains("scope=read+write"));
    for query in ["scope=admin", "scope=read+admin", "scope=%22", "scope=read&scope=write", "account=a%0Ab"] {
        let reply = post(&world, &format!("/connect/git?{query}"));
        assert_eq!(reply.status(), StatusCode::BAD_REQUEST, "{query}");
    }
    let long = format!("/connect/git?account={}", "a".repeat(257));
    assert_eq!(post(&world, &long).status(), StatusCode::BAD_REQUEST);
}

#[test]
fn connect_without_a_login_shows_the_page_of_the_application() {
    let world = world();
    let begun = world.begin();
    let server = server(&world);
    for (method, path) in [("GET", "/connect/git".to_owned()), ("GET", format!("/callback/git?{}", good(&begun)))] {
        let (parts, ()) = Request::builder().method(method).uri(path).body(()).unwrap().into_parts();
        let page = world.sim.run(server.handle(&parts));
        assert_eq!(page.status(), StatusCode::OK);
        assert_eq!(page.headers()["referrer-policy"], "same-origin");
        assert_eq!(&page.into_body().into_bytes()[..], b"log in");
    }
    // The callback was not spent.
    world.script.will(Reply::Json(200, TOKENS));
    assert_eq!(
        location(&get(&world, &format!("/callback/git?{}", good(&begun)))),
        "/accounts?connect=connected&service=git"
    );
}

#[test]
fn callback_that_is_denied_returns_to_the_application() {
    let world = world();
    let begun = state(&post(&world, "/connect/git"));
    let back = get(&world, &format!("/callback/git?error=access_denied&state={begun}"));
    assert_eq!(location(&back), "/accounts?connect=denied&service=git");
}

#[test]
fn callback_refusals_are_pages_without_details() {
    let world = world();
    let begun = state(&post(&world, "/connect/git"));
    let path = format!("/callback/git?{}", good(&begun));
    let as_bob = ask(&world, "GET", &path, &[("accept", HTML), ("cookie", "the-session-cookie-of-bob")]);
    assert_eq!(as_bob.status(), StatusCode::FORBIDDEN);
    assert!(as_bob.body().contains("<h1>This request cannot be completed</h1>"), "{}", as_bob.body());
    assert!(!as_bob.body().contains(CODE) && !as_bob.body().contains("alice"));
    let mixed = get(&world, &format!("/callback/chat?{}", good(&begun)));
    assert_eq!(mixed.status(), StatusCode::BAD_REQUEST);
    assert!(mixed.body().contains("not from the service"));
    assert_eq!(get(&world, &path).status(), StatusCode::BAD_REQUEST);
    assert!(world.script.sent().is_empty());
    let begun = state(&post(&world, "/connect/git"));
    world.script.will(Reply::Json(400, r#"{"error":"invalid_client"}"#));
    let failed = ask(&world, "GET", &format!("/callback/git?{}", good(&begun)), &[]);
    assert_eq!(failed.status(), StatusCode::BAD_GATEWAY);
    let body: serde_json::Value = serde_json::from_str(failed.body()).unwrap();
    assert_eq!(body["error"], "server_error");
}

#[test]
fn callback_during_an_outage_is_503_and_can_be_repeated() {
    let world = world();
    let begun = state(&post(&world, "/connect/git"));
    let path = format!("/callback/git?{}", good(&begun));
    world.store.fail_every(Op::Get, crate::support::Fault::Unavailable);
    let down = get(&world, &path);
    assert_eq!(
        (down.status(), &down.headers()["retry-after"]),
        (StatusCode::SERVICE_UNAVAILABLE, &"1".parse().unwrap())
    );
    assert!(down.body().contains("Reload this page"));
    world.store.heal();
    world.script.will(Reply::Json(200, TOKENS));
    assert_eq!(get(&world, &path).status(), StatusCode::SEE_OTHER);
}

#[test]
fn connect_server_has_its_own_paths_and_methods_alone() {
    let world = world();
    let begun = state(&post(&world, "/connect/git"));
    for path in ["/", "/connect", "/connect/", "/connect/unknown", "/connect/git/", "/callback/gi%74", "/other/git"] {
        assert_eq!(get(&world, path).status(), StatusCode::NOT_FOUND, "{path}");
    }
    for method in ["HEAD", "POST", "PUT"] {
        let reply = ask(&world, method, &format!("/callback/git?{}", good(&begun)), &[("origin", BASE)]);
        assert_eq!(reply.status(), StatusCode::METHOD_NOT_ALLOWED, "{method}");
        assert_eq!(reply.headers()["allow"], "GET");
    }
    let long = format!("/callback/git?{}&a={}", good(&begun), "a".repeat(8 * 1024));
    assert_eq!(get(&world, &long).status(), StatusCode::URI_TOO_LONG);
    let plain = server(&world).with_tls(TlsPolicy::Require);
    let (parts, ()) = Request::get("/connect/git").body(()).unwrap().into_parts();
    assert_eq!(world.sim.run(plain.handle(&parts)).status(), StatusCode::BAD_REQUEST);
    world.script.will(Reply::Json(200, TOKENS));
    assert_eq!(get(&world, &format!("/callback/git?{}", good(&begun))).status(), StatusCode::SEE_OTHER);
}

#[test]
fn connect_link_of_a_lease_leads_to_the_page() {
    let world = world();
    let url = world.lease(&need().account("work")).unwrap_err().connect_url(BASE).unwrap();
    let page = get(&world, url.strip_prefix(BASE).unwrap());
    assert_eq!(page.status(), StatusCode::OK);
    assert!(page.body().contains("Connect git") && page.body().contains("work"));
}
