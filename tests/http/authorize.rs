//! `/authorize`: checked, decided by the application, sent back (OAuth 2.1 §4.1.1, §4.1.2, RFC 9207).

use axum::body::Body;
use mcp_token_lifecycle::http::*;
use mcp_token_lifecycle::{Action, BoxFuture, ErrorKind, Expectation, HttpEndpoint, Reason, Resource};

use crate::site::*;
use crate::support::{Fault, Op, VERIFIER};

async fn decide(site: &Site, changes: &[(&str, &str)], form_fields: &[(&str, &str)]) -> Answer {
    let request = site.request("POST", &site.authorize_path(changes));
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    send(request.body(Body::from(form(form_fields))).unwrap()).await
}

/// The client and the reason of the one fault in the audit log.
#[track_caller]
fn fault(site: &Site) -> (Option<String>, Reason) {
    let mut events = site.audit();
    assert!(events.iter().all(|event| event.action != Action::Deny), "a fault is no refusal: {events:?}");
    events.retain(|event| event.action == Action::Fault);
    let [event] = &events[..] else { panic!("one fault: {events:?}") };
    assert_eq!(event.endpoint, Some(HttpEndpoint::Authorize));
    (event.client_id.as_deref().map(str::to_owned), event.reason.unwrap())
}

/// The error that the client is told, along with all that has to go with it.
#[track_caller]
fn told(answer: &Answer, site: &Site) -> String {
    assert!(answer.header("location").starts_with(&format!("{CALLBACK}?error=")), "{}", answer.header("location"));
    assert_eq!((answer.sent_back("state"), answer.sent_back("iss")), ("af0ifjsldkj".into(), site.origin.clone()));
    assert_eq!(answer.sent_back("code"), "");
    answer.sent_back("error")
}

/// spec: MCP authorization §Security: Documents b
/// spec: OAuth 2.1 §7.10
#[tokio::test]
async fn authorize_page_forbids_framing_and_caching() {
    let site = Site::open().await;
    let page = site.get(&site.authorize_path(&[("scope", "notes:read")])).await;
    let asks = format!("{CLIENT} asks for notes:read at {}/mcp and returns to http://127.0.0.1:7777", site.origin);
    assert_eq!((page.status, String::from_utf8(page.body.clone()).unwrap()), (200, asks));
    for (name, value) in [
        ("cache-control", "no-store"),
        ("x-frame-options", "DENY"),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'"),
    ] {
        assert_eq!(page.header(name), value);
    }
    assert_eq!(page.header("referrer-policy"), "strict-origin", "what the application says stands");
    assert_eq!(page.header("access-control-allow-origin"), "");
}

/// Under `no-referrer` the form of the page would be posted with `Origin: null`; under `form-action` its end would not be reached.
#[tokio::test]
async fn show_adds_no_header_that_hinders_an_honest_page() {
    struct Bare;
    impl Consent for Bare {
        fn decide<'a>(
            &'a self,
            _: &'a AuthorizationRequest,
            _: &'a axum::http::request::Parts,
            _: &'a [u8],
        ) -> BoxFuture<'a, ConsentDecision> {
            Box::pin(async { ConsentDecision::Show(axum::http::Response::new(ResponseBody::from("page"))) })
        }
    }
    let site = Site::open_with(|server| {
        let resource = ProtectedResource::new("http://localhost/mcp", "notes:read").unwrap();
        let clients = MemoryClients::new().with(client());
        AuthorizationServer::new("http://localhost", server.issuer().clone(), resource, clients, Bare)
            .unwrap()
            .with_tls(TlsPolicy::Loopback)
    })
    .await;
    let page = site.get(&site.authorize_path(&[])).await;
    assert_eq!((page.status, page.header("referrer-policy")), (200, "same-origin"));
    let policy = page.header("content-security-policy");
    assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("form-action"), "{policy}");
    assert_eq!(site.get("/nowhere").await.header("referrer-policy"), "no-referrer", "where there is no form");
}

/// spec: MCP authorization §Authorization Response Validation a
/// spec: OAuth 2.1 §7.5.3
/// spec: RFC 9207 §2 a
#[tokio::test]
async fn authorize_returns_code_state_and_iss_on_consent() {
    let site = Site::open().await;
    let answer = decide(&site, &[("scope", "notes:read notes:write")], &[("decision", "agree")]).await;
    assert_eq!((answer.sent_back("state"), answer.sent_back("iss")), ("af0ifjsldkj".into(), site.origin.clone()));
    assert_eq!((answer.sent_back("error"), answer.header("cache-control")), (String::new(), "no-store"));
    let tokens = site.redeem(&answer.sent_back("code")).await.tokens();
    assert_eq!(tokens.all["scope"], "notes:read notes:write");
    assert_eq!(site.introspect(&tokens.access).await["tenant"], "acme", "with the application's own claim");
}

/// spec: OAuth 2.1 §3.2.3 b
/// spec: OAuth 2.1 §7.1.4 a
#[tokio::test]
async fn consent_to_less_grants_less_and_to_nothing_denies() {
    let site = Site::open().await;
    let asked = [("scope", "notes:read notes:write")];
    let less = decide(&site, &asked, &[("decision", "agree"), ("scope", "notes:read notes:admin")]).await;
    assert_eq!(
        site.redeem(&less.sent_back("code")).await.tokens().all["scope"],
        "notes:read",
        "and no more than asked"
    );
    let nothing = decide(&site, &asked, &[("decision", "agree"), ("scope", "")]).await;
    assert_eq!(told(&nothing, &site), "access_denied");
    assert_eq!(told(&decide(&site, &asked, &[("decision", "deny")]).await, &site), "access_denied");
}

#[tokio::test]
async fn authorize_with_consent_redirects_with_code() {
    let site = Site::open().await;
    let answer = site.authorize(&[]).await;
    assert!(answer.header("location").starts_with(&format!("{CALLBACK}?code=mcpac_")));
}

/// spec: MCP authorization §Security: Open Redirection b
/// spec: OAuth 2.1 §4.1.2.1
#[tokio::test]
async fn authorize_does_not_redirect_for_an_unknown_client() {
    let site = Site::open().await;
    for changes in
        [[("client_id", "")], [("client_id", "unknown")], [("client_id", "https://unknown.example/client.json")]]
    {
        let refused = site.authorize(&changes).await;
        assert_eq!(
            (refused.refusal(), refused.header("location")),
            ((400, "invalid_request".into()), ""),
            "{changes:?}"
        );
    }
    // Nor for a resource server, which takes no codes, no matter what it says.
    let refused = site.authorize(&[("client_id", GUARD)]).await;
    assert_eq!((refused.status, refused.header("location")), (400, ""));
}

#[tokio::test]
async fn authorize_does_not_redirect_for_a_repeated_parameter() {
    let site = Site::open().await;
    for twice in [("client_id", CLIENT), ("state", "x"), ("redirect_uri", CALLBACK), ("scope", "")] {
        let path = format!("{}&{}", site.authorize_path(&[("scope", "notes:read")]), form(&[twice]));
        let refused = site.get(&path).await;
        assert_eq!((refused.refusal(), refused.header("location")), ((400, "invalid_request".into()), ""), "{twice:?}");
    }
}

/// spec: MCP authorization §Authorization Response Validation a
/// spec: MCP authorization §Security: Code Protection
/// spec: OAuth 2.1 §4.1.1
/// spec: RFC 8707 §2 b
/// spec: RFC 9207 §2 a
#[tokio::test]
async fn authorize_error_redirects_with_state_and_iss() {
    let site = Site::open().await;
    for (change, error) in [
        (("response_type", "token"), "unsupported_response_type"),
        (("response_type", "code token"), "unsupported_response_type"),
        (("response_type", ""), "invalid_request"),
        (("code_challenge", ""), "invalid_request"),
        (("code_challenge", "short"), "invalid_request"),
        (("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM="), "invalid_request"),
        (("code_challenge_method", "plain"), "invalid_request"),
        (("code_challenge_method", ""), "invalid_request"),
        (("scope", "calendar"), "invalid_scope"),
        (("scope", "notes:\"read\""), "invalid_scope"),
        (("resource", "https://elsewhere.example"), "invalid_target"),
        (("resource", "mcp"), "invalid_target"),
    ] {
        assert_eq!(told(&site.authorize(&[change]).await, &site), error, "{change:?}");
    }
    let (one, other) = (format!("{}/mcp", site.origin), format!("{}/other", site.origin));
    let path = format!("{}&{}", site.authorize_path(&[]), form(&[("resource", &one), ("resource", &other)]));
    assert_eq!(told(&site.get(&path).await, &site), "invalid_target", "two resources, one of them unknown");
}

/// spec: MCP authorization §Security: Open Redirection b
/// spec: OAuth 2.1 §7.12.2
#[tokio::test]
async fn authorize_error_of_registered_web_client_is_no_redirect() {
    let site = Site::open().await;
    let client = site.register("https://phish.example/").await;
    let at_client = [("client_id", client.as_str()), ("redirect_uri", "https://phish.example/")];
    let refused = site.authorize(&[&at_client[..], &[("scope", "calendar")]].concat()).await;
    assert_eq!((refused.refusal(), refused.header("location")), ((400, "invalid_scope".into()), ""));
    let denied = decide(&site, &at_client, &[("decision", "deny")]).await;
    assert_eq!(denied.sent_back("error"), "access_denied", "once the user has been asked there is nothing against it");
    let client = site.register("http://localhost/callback").await;
    let at_home = [("client_id", client.as_str()), ("redirect_uri", "http://localhost:3000/callback")];
    let answer = site.authorize(&[&at_home[..], &[("scope", "calendar")]].concat()).await;
    assert_eq!(answer.sent_back("error"), "invalid_scope", "the user's own machine");
}

/// spec: MCP authorization §Canonical Server URI a
/// spec: RFC 8707 §3
#[tokio::test]
async fn authorize_resource_in_capitals_twice_or_absent_is_one() {
    let site = Site::open().await;
    let spellings = [format!("{}/mcp", site.origin), format!("{}/mcp", site.origin.to_uppercase())];
    let named = form(&[("resource", &spellings[0]), ("resource", &spellings[1])]);
    let request = site.request("GET", &format!("{}&{named}", site.authorize_path(&[]))).header("cookie", "user=user-1");
    let code = send(request.body(Body::empty()).unwrap()).await.sent_back("code");
    for code in [code, site.code(&[]).await] {
        let tokens = site.redeem(&code).await.tokens();
        assert_eq!(site.introspect(&tokens.access).await["aud"], spellings[0]);
    }
}

/// spec: RFC 3986 §6.2.2, §6.2.3
/// spec: MCP authorization §Canonical Server URI b
#[tokio::test]
async fn equivalent_spellings_of_a_resource_are_one_resource() {
    let site = Site::open_with(|server| {
        let resource = ProtectedResource::new("https://H.example:443/mc%70", "notes:read").unwrap();
        let clients = MemoryClients::new().with(client());
        AuthorizationServer::new("http://localhost", server.issuer().clone(), resource, clients, Pages)
            .unwrap()
            .with_tls(TlsPolicy::Loopback)
    })
    .await;
    let here = Resource::parse("https://h.example/mcp").unwrap();
    let spellings =
        ["https://h.example/mcp", "https://h.example:443/mcp", "HTTPS://H.EXAMPLE/./mcp", "https://h.example/%6Dcp"];
    for asked in spellings {
        let code = site.code(&[("resource", asked)]).await;
        let pairs =
            [("grant_type", "authorization_code"), ("client_id", CLIENT), ("code", &code), ("code_verifier", VERIFIER)];
        let mut tokens = site.post("/token", &[&pairs[..], &[("resource", asked)]].concat()).await.tokens();
        for again in spellings {
            tokens = site.refresh(&tokens.refresh, &[("resource", again), ("resource", asked)]).await.tokens();
            let claims = site.server.issuer().verify(&tokens.access, &Expectation::resource(&here)).unwrap();
            assert_eq!(claims.audience(), std::slice::from_ref(&here));
        }
    }
    for other in
        ["https://h.example/mcp/", "https://h.example/MCP", "http://h.example/mcp", "https://h.example:444/mcp"]
    {
        assert_eq!(site.authorize(&[("resource", other)]).await.sent_back("error"), "invalid_target", "{other}");
    }
    let metadata = site.get("/.well-known/oauth-protected-resource/mcp").await.json();
    assert_eq!(metadata["resource"], "https://h.example/mcp");
}

/// spec: OAuth 2.1 §7.1.4 a
/// spec: RFC 8707 §2.1
#[tokio::test]
async fn where_there_are_two_resources_the_client_names_one() {
    let site = Site::open_with(|server| {
        server.with_resource(ProtectedResource::new("https://second.example/mcp", "files:read").unwrap())
    })
    .await;
    assert_eq!(told(&site.authorize(&[]).await, &site), "invalid_target");
    let answer = site.authorize(&[("resource", "https://second.example/mcp"), ("scope", "")]).await;
    let tokens = site.redeem(&answer.sent_back("code")).await.tokens();
    assert_eq!(tokens.all["scope"], "files:read");
    assert_eq!(site.call("/mcp", &tokens.access).await.status, 401, "for another resource");
    let foreign = site.authorize(&[("resource", "https://second.example/mcp"), ("scope", "notes:read")]).await;
    assert_eq!(told(&foreign, &site), "invalid_scope", "a scope of the other resource");
}

/// spec: MCP authorization §Refresh Tokens b
/// spec: OAuth 2.1 §3.2.3 b
#[tokio::test]
async fn scopes_that_do_not_exist_are_left_out_and_none_means_all() {
    let site = Site::open().await;
    for (asked, granted) in [
        ("notes:read calendar offline_access", "notes:read"),
        ("", "notes:admin notes:read notes:write"),
        ("offline_access", "notes:admin notes:read notes:write"),
    ] {
        assert_eq!(site.login_for(asked).await.all["scope"], granted, "{asked}");
    }
}

/// spec: OAuth 2.1 §7.11
#[tokio::test]
async fn state_comes_back_as_it_was_and_what_is_not_there_stays_away() {
    let site = Site::open().await;
    for state in ["a b&c=d+e%20f", "ü#?/\"<", "\u{1F980}"] {
        assert_eq!(site.authorize(&[("state", state)]).await.sent_back("state"), state);
    }
    assert!(!site.authorize(&[("state", "")]).await.header("location").contains("state"));
}

#[tokio::test]
async fn authorize_grant_too_large_redirects_with_server_error() {
    let site = Site::open().await;
    let request = site.request("GET", &site.authorize_path(&[])).header("cookie", format!("user={}", "x".repeat(3000)));
    let answer = send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(told(&answer, &site), "server_error");
    assert_eq!((fault(&site), site.faults()), ((Some(CLIENT.into()), Reason::Fault(ErrorKind::Grant)), 1));
}

#[tokio::test]
async fn authorize_refuses_oversized_client_before_consent() {
    let id = "c".repeat(2000);
    let site = Site::open_with(|server| {
        let client = RegisteredClient::public(id.clone(), ClientMetadata::new([CALLBACK]).unwrap());
        let resource = ProtectedResource::new("http://localhost/mcp", "notes:read").unwrap();
        let (issuer, clients) = (server.issuer().clone(), MemoryClients::new().with(client));
        AuthorizationServer::new("http://localhost", issuer, resource, clients, Pages)
            .unwrap()
            .with_tls(TlsPolicy::Loopback)
    })
    .await;
    let answer = site.get(&site.authorize_path(&[("client_id", &id)])).await;
    assert_eq!(answer.sent_back("error"), "server_error");
    assert_eq!(fault(&site), (Some(id), Reason::Fault(ErrorKind::Grant)));
}

#[tokio::test]
async fn authorize_with_maximal_scopes_grants_them_all() {
    // 8 bytes and a space each, up to the last byte but 8 of what a resource may have.
    let here = "http://localhost/mcp";
    let scopes: Vec<_> = (0..(ProtectedResource::MAX_BYTES - here.len() + 1) / 9).map(|n| format!("s{n:07}")).collect();
    assert!(scopes.len() > 100);
    let site = Site::open_with(|server| {
        let resource = ProtectedResource::new(here, &scopes.join(" ")).unwrap();
        let (issuer, clients) = (server.issuer().clone(), MemoryClients::new().with(client()));
        AuthorizationServer::new("http://localhost", issuer, resource, clients, Pages)
            .unwrap()
            .with_tls(TlsPolicy::Loopback)
    })
    .await;
    let cookie = format!("user={}", "u".repeat(256));
    let request = site.request("GET", &site.authorize_path(&[])).header("cookie", cookie);
    let code = send(request.body(Body::empty()).unwrap()).await.sent_back("code");
    assert_eq!(site.redeem(&code).await.tokens().all["scope"], scopes.join(" "));
}

#[tokio::test]
async fn reply_and_consent_debug_show_no_code_or_cookie() {
    let site = Site::open().await;
    let request = site.request("GET", &site.authorize_path(&[])).header("cookie", "user=user-1");
    let (parts, ()) = request.body(()).unwrap().into_parts();
    let reply = site.server.handle(&parts, &[]).await;
    let location = reply.headers()["location"].to_str().unwrap();
    let code = location.split("code=").nth(1).unwrap().split('&').next().unwrap();
    assert!(code.starts_with("mcpac_"));
    let shown = format!("{reply:?}");
    assert!(!shown.contains(code) && !shown.contains("mcpac_") && !shown.contains("af0ifjsldkj"), "{shown}");
    let page = || axum::http::Response::builder().header("set-cookie", "session=s3cret");
    let page = ConsentDecision::Show(page().body(ResponseBody::default()).unwrap());
    assert!(!format!("{page:?}").contains("s3cret"));
}

#[tokio::test]
async fn authorize_outage_is_503_or_redirect_once_client_is_known() {
    let site = Site::open().await;
    site.store.fail_every(Op::Get, Fault::Unavailable);
    site.authorize(&[("client_id", "mcpc_unknown")]).await.assert_unavailable();
    site.store.heal();
    site.store.fail_every(Op::Commit, Fault::Unavailable);
    assert_eq!(fault(&site), (None, Reason::Fault(ErrorKind::StoreUnavailable)));
    assert_eq!(told(&site.authorize(&[]).await, &site), "temporarily_unavailable");
    assert_eq!(fault(&site), (Some(CLIENT.into()), Reason::Fault(ErrorKind::StoreUnavailable)));
    assert_eq!(site.faults(), 2);
}

#[tokio::test]
async fn authorize_refuses_methods_but_get_and_post() {
    let site = Site::open().await;
    for method in ["HEAD", "PUT", "DELETE", "OPTIONS"] {
        let refused = send(site.request(method, &site.authorize_path(&[])).body(Body::empty()).unwrap()).await;
        assert_eq!((refused.status, refused.header("allow")), (405, "GET, POST"), "{method}");
    }
}

/// A browser shows a page, and a program gets JSON.
#[tokio::test]
async fn authorize_error_is_a_page_in_a_browser() {
    let site = Site::open().await;
    let path = site.authorize_path(&[("client_id", "<script>")]);
    let ask = |accept: &'static str| {
        let request = site.request("GET", &path).header("accept", accept).body(Body::empty()).unwrap();
        send(request)
    };
    let page = ask("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8").await;
    let text = String::from_utf8(page.body.clone()).unwrap();
    assert_eq!((page.status, page.header("content-type")), (400, "text/html; charset=utf-8"));
    assert!(text.contains("<h1>This request cannot be completed</h1>") && !text.contains("<script"), "{text}");
    assert_eq!((page.header("x-frame-options"), page.header("cache-control")), ("DENY", "no-store"));
    for accept in ["*/*", "application/json, text/html", "text/html;q=0.1, application/json", "text/html;q=0"] {
        let answer = ask(accept).await;
        assert_eq!((answer.status, answer.header("content-type")), (400, "application/json"));
        assert_eq!(answer.header("vary"), "accept");
    }
    // The token endpoint answers in JSON, for each Accept header (RFC 6749 §5.2).
    let request = site.request("POST", "/token").header("accept", "text/html").body(Body::empty()).unwrap();
    assert_eq!(send(request).await.header("content-type"), "application/json");
    site.store.fail_every(Op::Get, Fault::Unavailable);
    let down = ask("text/html").await;
    assert_eq!((down.status, down.header("retry-after")), (503, "1"));
    assert!(String::from_utf8(down.body).unwrap().contains("Reload this page in a moment."));
}
