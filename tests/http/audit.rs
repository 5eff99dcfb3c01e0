//! Each refusal of an endpoint leaves one event with its reason, as `docs/audit.md` says.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::{Request, Response};
use mcp_token_lifecycle::http::*;
use mcp_token_lifecycle::{
    Action, AuditEvent, Binding, Grant, HttpEndpoint, MemoryStore, Reason, RotationPolicy, TokenIssuer,
};
use serde_json::json;
use tower::{Layer, ServiceExt, service_fn};

use crate::site::*;
use crate::support::rows::rows;
use crate::support::{TestAudit, VERIFIER, keyring, seconds};

/// What a refusal has written down, in short; none of it may be one of these secrets.
#[track_caller]
fn one_event(site: &Site) -> (&'static str, &'static str, String) {
    let events = site.audit.take();
    let [event] = &events[..] else { panic!("one event: {events:#?}") };
    short(event)
}

fn short(event: &AuditEvent) -> (&'static str, &'static str, String) {
    assert_eq!(event.action, Action::Deny);
    let endpoint = event.endpoint.as_ref().map_or("", HttpEndpoint::as_str);
    let reason = event.reason.as_ref().map_or("", Reason::as_str);
    let who = [event.client_id.as_deref(), event.subject.as_deref(), event.family.map(|_| "family")];
    (endpoint, reason, who.into_iter().flatten().collect::<Vec<_>>().join(" "))
}

/// The rows that a test has made.
#[derive(Default)]
struct Seen(BTreeSet<(&'static str, &'static str)>);

impl Seen {
    #[track_caller]
    fn check(&mut self, site: &Site, reason: &'static str, who: &str) {
        let (endpoint, found, of) = one_event(site);
        assert_eq!((found, &*of), (reason, who), "at {endpoint}");
        self.0.insert((endpoint, reason));
    }

    /// Whether they are those of the documentation, with the one that another test makes.
    #[track_caller]
    fn assert_complete_but(mut self, endpoints: &[&str], other: (&'static str, &'static str)) {
        self.0.insert(other);
        self.assert_complete(endpoints);
    }

    /// Whether they are those of the documentation.
    #[track_caller]
    fn assert_complete(&self, endpoints: &[&str]) {
        let documented: BTreeSet<_> = rows("docs/audit.md")
            .into_iter()
            .map(|row| (row[0].trim_matches('`').to_owned(), row[3].trim_matches('`').to_owned()))
            .filter(|(endpoint, _)| endpoints.contains(&&**endpoint))
            .collect();
        let seen: BTreeSet<_> =
            self.0.iter().map(|(endpoint, reason)| ((*endpoint).to_owned(), (*reason).to_owned())).collect();
        assert_eq!(seen, documented);
    }
}

/// A post that did not come over TLS.
async fn post_plain(site: &Site, path: &str) -> Answer {
    let request = site.request("POST", path).header("host", "mcp.example.com");
    send(request.body(Body::from("refresh_token=secret")).unwrap()).await
}

#[tokio::test]
async fn refusals_of_the_authorization_endpoint_are_reported() {
    let (site, mut seen) = (Site::open().await, Seen::default());
    let own = site.register("https://elsewhere.example/callback").await;
    for (changes, reason, who) in [
        (&[("client_id", "unknown")][..], "unknown_client", ""),
        (&[("client_id", WEB_SECRET)], "unknown_client", ""),
        (&[("client_id", "")], "bad_request", ""),
        (&[("redirect_uri", "https://evil.example/")], "wrong_redirect", CLIENT),
        (&[("response_type", "token")], "unsupported_response_type", CLIENT),
        (&[("response_type", "")], "bad_request", CLIENT),
        (&[("code_challenge", "short")], "bad_request", CLIENT),
        (&[("resource", "https://evil.example/mcp")], "unknown_resource", CLIENT),
        (&[("scope", "root")], "unsupported_scope", CLIENT),
        // One that registered itself is answered on the spot, and not redirected.
        (&[("client_id", &own), ("redirect_uri", ""), ("scope", "root")], "unsupported_scope", &own),
    ] {
        site.audit.take();
        assert!(matches!(site.authorize(changes).await.status, 303 | 400));
        seen.check(&site, reason, who);
    }
    for (decision, who) in
        [("decision=deny", CLIENT.to_owned()), ("decision=agree&scope=other", format!("{CLIENT} user-1"))]
    {
        let request = site.request("POST", &site.authorize_path(&[])).body(Body::from(decision)).unwrap();
        assert_eq!(send(request).await.sent_back("error"), "access_denied");
        seen.check(&site, "consent_denied", &who);
    }
    let twice = site.get(&format!("{}&state=b&state=c", site.authorize_path(&[]))).await;
    assert_eq!(twice.status, 400);
    seen.check(&site, "bad_request", "");
    assert_eq!(post_plain(&site, "/authorize").await.status, 400);
    seen.check(&site, "insecure", "");
    seen.assert_complete(&["authorize"]);
}

#[tokio::test]
async fn refusals_of_the_endpoints_for_clients_are_reported() {
    let (site, mut seen) = (Site::open().await, Seen::default());
    let tokens = site.login().await;
    for path in ["/token", "/revoke", "/introspect"] {
        let token = ("token", &*tokens.access);
        let grant = [("grant_type", "refresh_token"), ("refresh_token", &*tokens.refresh), token];
        for (who, reason, of) in [
            (&[("client_id", "unknown")][..], "unknown_client", ""),
            (&[("client_id", "unknown"), ("client_secret", WEB_SECRET)], "unknown_client", ""),
            (&[("client_id", WEB_CLIENT)], "wrong_client_secret", WEB_CLIENT),
            (&[("client_id", WEB_CLIENT), ("client_secret", "guess")], "wrong_client_secret", WEB_CLIENT),
            (&[("client_id", CLIENT), ("client_secret", WEB_SECRET)], "wrong_client_secret", CLIENT),
            (&[], "bad_request", ""),
        ] {
            site.audit.take();
            assert!(matches!(site.post(path, &[who, &grant].concat()).await.status, 400 | 401));
            seen.check(&site, reason, of);
        }
        // What is put in the wrong place may be a secret.
        assert_eq!(site.post_with(path, &basic(WEB_SECRET, WEB_CLIENT), &grant).await.status, 401);
        seen.check(&site, "unknown_client", "");
        assert_eq!(site.post_with(path, "Basic !", &grant).await.status, 401);
        seen.check(&site, "bad_request", "");
        let both = site.post_with(path, &basic(WEB_CLIENT, WEB_SECRET), &[("client_secret", WEB_SECRET)]).await;
        assert!(matches!(both.status, 400));
        seen.check(&site, "bad_request", "");
        let form = "application/x-www-form-urlencoded";
        assert_eq!(site.post_as(path, "text/plain", "").await.status, 415);
        seen.check(&site, "bad_request", "");
        assert_eq!(site.post_as(path, form, &"a".repeat(17 * 1024)).await.status, 413);
        seen.check(&site, "bad_request", "");
        assert_eq!(site.post_as(path, form, "client_id=a&client_id=b&grant_type=refresh_token").await.status, 400);
        seen.check(&site, "bad_request", "");
        assert_eq!(post_plain(&site, path).await.status, 400);
        seen.check(&site, "insecure", "");
    }
    assert_eq!(site.post("/token", &[("grant_type", "password"), ("client_id", CLIENT)]).await.status, 400);
    seen.check(&site, "unsupported_grant_type", "");
    for (client, secret) in [(CLIENT, None), (WEB_CLIENT, Some(WEB_SECRET))] {
        let secret: Vec<_> = secret.into_iter().map(|secret| ("client_secret", secret)).collect();
        let form = [&[("client_id", client), ("token", &*tokens.access)], &secret[..]].concat();
        assert_eq!(site.post("/introspect", &form).await.status, 401);
        seen.check(&site, "not_allowed", client);
    }
    seen.assert_complete_but(&["token", "revoke", "introspect"], ("introspect", "wrong_audience"));
}

#[tokio::test]
async fn introspection_for_another_resource_is_reported() {
    let site = Site::open_with(|server| {
        server.with_resource(ProtectedResource::new("https://second.example/mcp", "files:read").unwrap())
    })
    .await;
    let code = site.code(&[("resource", "https://second.example/mcp")]).await;
    let tokens = site.redeem(&code).await.tokens();
    site.audit.take();
    assert_eq!(site.introspect(&tokens.access).await["active"], false);
    assert_eq!(one_event(&site), ("introspect", "wrong_audience", format!("{GUARD} family")));
}

#[tokio::test]
async fn introspection_of_what_is_no_live_token_is_reported_once() {
    let site = Site::open().await;
    let (first, mut seen) = (site.login().await, Vec::new());
    site.refresh(&first.refresh, &[]).await;
    // Within the leeway it is as good as the current one.
    site.pass(60);
    for token in ["garbage", &first.refresh] {
        site.audit.take();
        assert_eq!(site.introspect(token).await["active"], false);
        seen.push(one_event(&site).1);
    }
    site.post("/revoke", &[("client_id", CLIENT), ("token", &first.refresh)]).await;
    site.audit.take();
    assert_eq!(site.introspect(&first.access).await["active"], false);
    seen.push(one_event(&site).1);
    assert_eq!(seen, ["malformed", "spent_token", "revoked_token"]);
}

#[tokio::test]
async fn refusals_of_the_registration_endpoint_are_reported() {
    let (site, mut seen) = (Site::open().await, Seen::default());
    let json = "application/json";
    for body in ["{", r#"{"redirect_uris":["http://app.example.com/"]}"#, r#"{"redirect_uris":[]}"#] {
        assert_eq!(site.post_as("/register", json, body).await.status, 400);
        seen.check(&site, "client_metadata", "");
    }
    let metadata = json!({ "redirect_uris": [WEB_CALLBACK] }).to_string();
    let unwanted = site.request("POST", "/register").header("content-type", json).header("x-unwanted", "1");
    assert_eq!(send(unwanted.body(metadata.into()).unwrap()).await.status, 400);
    seen.check(&site, "registration_refused", "");
    assert_eq!(site.post_as("/register", "text/plain", "{}").await.status, 415);
    seen.check(&site, "bad_request", "");
    assert_eq!(post_plain(&site, "/register").await.status, 400);
    seen.check(&site, "insecure", "");
    seen.assert_complete(&["register"]);
}

#[tokio::test]
async fn refusals_of_a_protected_resource_are_reported() {
    let site = Site::open_with(|server| {
        server.with_binding(|parts| {
            let key = parts.headers.get("x-verified-key")?.as_bytes().first()?;
            Some(Binding::Certificate([*key; 32]))
        })
    })
    .await;
    let mut seen = Seen::default();
    let code = site.code(&[]).await;
    let pairs =
        [("grant_type", "authorization_code"), ("client_id", CLIENT), ("code", &code), ("code_verifier", VERIFIER)];
    let request = site.request("POST", "/token").header("content-type", "application/x-www-form-urlencoded");
    let request = request.header("x-verified-key", "k").body(form(&pairs).into()).unwrap();
    let bound = send(request).await.tokens().access;
    let tokens = site.login_for("notes:read").await;
    let whose = format!("{CLIENT} user-1 family");
    site.audit.take();
    let post = async |path: &str, body: &str| {
        let request = site.request("POST", path).header("authorization", format!("Bearer {}", tokens.access));
        send(request.body(Body::from(body.to_owned())).unwrap()).await.status
    };
    for path in ["/mcp", "/offline"] {
        assert_eq!(site.get(path).await.status, 401);
        assert_eq!(site.audit.take(), [], "that is how every client begins");
        for garbage in ["garbage", &tokens.refresh, "\""] {
            assert_eq!(site.call(path, garbage).await.status, 401);
            seen.check(&site, "malformed", "");
        }
        assert_eq!(site.call(path, &bound).await.status, 401);
        seen.check(&site, "wrong_binding", &whose);
        assert_eq!(site.call(&format!("{path}?access_token={}", tokens.access), &tokens.access).await.status, 400);
        seen.check(&site, "misplaced_token", "");
        let plain = site.request("GET", path).header("authorization", format!("Bearer {}", tokens.access));
        assert_eq!(send(plain.header("host", "mcp.example.com").body(Body::empty()).unwrap()).await.status, 400);
        seen.check(&site, "insecure", "");
    }
    assert_eq!(site.call("/elsewhere", &tokens.access).await.status, 401);
    seen.check(&site, "wrong_audience", &whose);
    assert_eq!(site.call("/write", &tokens.access).await.status, 403);
    seen.check(&site, "missing_scope", &whose);
    assert_eq!(post("/tools", r#"{"method":"tools/call","params":{"name":"delete_note"}}"#).await, 403);
    seen.check(&site, "missing_scope", &whose);
    assert_eq!(post("/tools", "garbage").await, 400);
    seen.check(&site, "bad_request", &whose);
    assert_eq!(post("/tools", &" ".repeat(2_000)).await, 413);
    seen.check(&site, "bad_request", &whose);
    let bearer = site.server.bearer();
    let tools = bearer.tools([("read_note", "notes:read")]).unwrap().with_unlisted_refused();
    let unlisted = site.request("POST", "/mcp").header("authorization", format!("Bearer {}", tokens.access));
    let unlisted = unlisted.body(Body::from(r#"{"method":"tools/call","params":{"name":"drop_all"}}"#)).unwrap();
    let answer = bearer.layer(tools.layer(service_fn(empty))).oneshot(unlisted).await.unwrap();
    assert_eq!(answer.status(), 403);
    seen.check(&site, "not_allowed", &whose);
    let session = site.request("GET", "/mcp").header("authorization", format!("Bearer {}", tokens.access));
    assert_eq!(send(session.header("mcp-session-id", "x").body(Body::empty()).unwrap()).await.status, 404);
    seen.check(&site, "wrong_session", &whose);
    site.pass(1_900);
    for path in ["/mcp", "/offline"] {
        assert_eq!(site.call(path, &tokens.access).await.status, 401);
        seen.check(&site, "access_expired", &whose);
    }
    seen.assert_complete_but(&["resource"], ("resource", "live_check_required"));
}

async fn empty(_: Request<Body>) -> Result<Response<Body>, std::convert::Infallible> {
    Ok(Response::new(Body::empty()))
}

#[tokio::test]
async fn live_check_required_is_reported_by_offline_layer() {
    let audit = TestAudit::default();
    let policy = RotationPolicy::builder().lost_response_window(Some(seconds(600))).build().unwrap();
    let issuer = TokenIssuer::new(MemoryStore::new(), keyring()).with_policies(policy).with_audit(audit.clone());
    let mcp = ProtectedResource::new("http://localhost/mcp", "notes:read").unwrap();
    let grant = Grant::new("user-1", CLIENT, mcp.scopes().clone(), mcp.resource().clone()).unwrap();
    let token = issuer.issue(grant, None).await.unwrap().access_token;
    let clients = MemoryClients::new().with(client());
    let server = AuthorizationServer::new("http://localhost", issuer.into(), mcp, clients, Pages).unwrap();
    let service = server.with_tls(TlsPolicy::Loopback).bearer().layer(service_fn(empty));
    let request = Request::get("http://localhost/mcp").header("authorization", format!("Bearer {}", token.expose()));
    audit.take();
    assert_eq!(service.oneshot(request.body(Body::empty()).unwrap()).await.unwrap().status(), 401);
    let events = audit.take();
    let whose = format!("{CLIENT} user-1 family");
    assert_eq!(events.iter().map(short).collect::<Vec<_>>(), [("resource", "live_check_required", whose)]);
}

#[tokio::test]
async fn revoked_token_is_reported_once_by_the_issuer() {
    let site = Site::open().await;
    let tokens = site.login().await;
    site.post("/revoke", &[("client_id", CLIENT), ("token", &tokens.refresh)]).await;
    site.audit.take();
    assert_eq!(site.call("/mcp", &tokens.access).await.status, 401);
    assert_eq!(one_event(&site), ("", "revoked_token", format!("{CLIENT} user-1 family")));
}

#[tokio::test]
async fn deny_events_are_absent_after_success_and_fault() {
    let site = Site::open().await;
    let tokens = site.login().await;
    site.call("/mcp", &tokens.access).await;
    site.get("/token").await;
    site.get("/nowhere").await;
    site.get("/.well-known/oauth-authorization-server").await;
    site.store.fail_every(crate::support::Op::Get, crate::support::Fault::Unavailable);
    site.refresh(&tokens.refresh, &[]).await.assert_unavailable();
    let events = site.audit.events();
    assert!(events.iter().all(|event| event.action != Action::Deny), "{events:?}");
    let faults: Vec<_> = events.iter().filter(|event| event.action == Action::Fault).collect();
    let [fault] = &faults[..] else { panic!("one fault: {faults:?}") };
    let endpoint = fault.endpoint.as_ref().map(HttpEndpoint::as_str);
    assert_eq!((endpoint, fault.reason.as_ref().map(Reason::as_str)), (Some("token"), Some("store_unavailable")));
}
