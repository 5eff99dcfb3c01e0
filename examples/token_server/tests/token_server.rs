//! The example server over real HTTP, driven by a client that knows nothing of this crate.

#[path = "../src/app.rs"]
mod app;
#[path = "../src/client.rs"]
mod client;
#[path = "../../../tests/support/mod.rs"]
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use app::{CLIENT, REDIRECT};
use client::{OAuthClient, log_in, oauth_client, send, send_and_read_head};
use mcp_token_lifecycle::{
    Action, Commit, Cursor, DynTokenStore, MemoryStore, Page, Record, RecordKey, RotationPolicy, Select, StoreError,
    Timestamp, TokenIssuer, TokenStore,
};
use oauth2::basic::{BasicErrorResponseType, BasicRequestTokenError, BasicTokenResponse};
use oauth2::http::{Request, StatusCode};
use oauth2::{HttpRequest, HttpResponse, RefreshToken, StandardRevocableToken, TokenResponse};
use serde_json::Value;
use support::{TestAudit, TestClock, keyring};
use tokio::net::TcpListener;

/// A store that can be switched off.
#[derive(Clone, Default)]
struct Switchable {
    store: Arc<MemoryStore>,
    off: Arc<AtomicBool>,
}

impl Switchable {
    fn switch_off(&self, off: bool) {
        self.off.store(off, Ordering::SeqCst);
    }

    fn reach(&self) -> Result<&MemoryStore, StoreError> {
        if self.off.load(Ordering::SeqCst) { Err(StoreError::unavailable("switched off")) } else { Ok(&self.store) }
    }
}

impl TokenStore for Switchable {
    async fn get(&self, key: RecordKey) -> Result<Option<Record>, StoreError> {
        self.reach()?.get(key).await
    }

    async fn commit(&self, record: Record) -> Result<Commit, StoreError> {
        self.reach()?.commit(record).await
    }

    async fn list(&self, select: Select, after: Option<Cursor>, limit: usize) -> Result<Page, StoreError> {
        self.reach()?.list(select, after, limit).await
    }

    async fn purge(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.reach()?.purge(now, limit).await
    }
}

/// A running server, and a client of it.
struct Site {
    host: String,
    client: OAuthClient,
    clock: TestClock,
    audit: TestAudit,
    store: Switchable,
}

impl Site {
    async fn open() -> Self {
        let (store, clock, audit) = (Switchable::default(), TestClock::default(), TestAudit::default());
        let shared: Arc<dyn DynTokenStore> = Arc::new(store.clone());
        let issuer = TokenIssuer::new(shared, keyring())
            .with_policies(RotationPolicy::standard())
            .with_clock(clock.clone())
            .with_audit(audit.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let router = app::router(Arc::new(issuer), &format!("http://{host}")).unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { client: oauth_client(&host).unwrap(), host, clock, audit, store }
    }

    fn pass(&self, seconds: u64) {
        self.clock.advance(std::time::Duration::from_secs(seconds));
    }

    async fn refresh(
        &self,
        tokens: &BasicTokenResponse,
    ) -> Result<BasicTokenResponse, BasicRequestTokenError<std::io::Error>> {
        self.client.exchange_refresh_token(refresh_token(tokens)).request_async(&send).await
    }

    /// What the server has done since the last call, sorted.
    fn acts(&self) -> Vec<&'static str> {
        let mut acts: Vec<_> = self.audit.take().iter().map(|event| event.action.as_str()).collect();
        acts.sort_unstable();
        acts
    }

    async fn get(&self, path: &str) -> HttpResponse {
        send(Request::get(self.url(path)).body(Vec::new()).unwrap()).await.unwrap()
    }

    async fn post(&self, path: &str, body: &str) -> HttpResponse {
        send(self.form(path, body)).await.unwrap()
    }

    fn form(&self, path: &str, body: &str) -> HttpRequest {
        let request = Request::post(self.url(path)).header("content-type", "application/x-www-form-urlencoded");
        request.body(body.into()).unwrap()
    }

    /// A refresh as raw HTTP.
    fn refresh_form(&self, tokens: &BasicTokenResponse) -> HttpRequest {
        let token = refresh_token(tokens).secret();
        self.form("/token", &format!("grant_type=refresh_token&client_id={CLIENT}&refresh_token={token}"))
    }

    /// A request with the access token: to a route that checks it offline, and to one that checks it live.
    async fn use_token(&self, tokens: &BasicTokenResponse) -> (HttpResponse, HttpResponse) {
        let bearer = format!("Bearer {}", tokens.access_token().secret());
        let request = |method, path| {
            let request = Request::builder().method(method).uri(self.url(path)).header("authorization", &bearer);
            send(request.body(Vec::new()).unwrap())
        };
        (request("GET", "/whoami").await.unwrap(), request("DELETE", "/notes").await.unwrap())
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.host)
    }
}

fn refresh_token(tokens: &BasicTokenResponse) -> &RefreshToken {
    tokens.refresh_token().expect("every response has a refresh token")
}

fn header<'a>(response: &'a HttpResponse, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

fn json(response: &HttpResponse) -> Value {
    assert_eq!(header(response, "content-type"), "application/json");
    serde_json::from_slice(response.body()).unwrap()
}

/// The `error` of a refusal, which must not be cached and must say nothing more.
fn refusal(response: &HttpResponse) -> String {
    assert_eq!((header(response, "cache-control"), header(response, "pragma")), ("no-store", "no-cache"));
    let body = json(response);
    assert_eq!(body.as_object().unwrap().len(), 1, "{body}");
    body["error"].as_str().unwrap().to_owned()
}

#[track_caller]
fn assert_invalid_grant(answer: Result<BasicTokenResponse, BasicRequestTokenError<std::io::Error>>) {
    match answer {
        Err(BasicRequestTokenError::ServerResponse(refusal)) => {
            assert_eq!(refusal.error(), &BasicErrorResponseType::InvalidGrant);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn code_redeems_and_refresh_rotates_until_expiry() {
    let site = Site::open().await;
    let first = log_in(&site.client).await.unwrap();
    let (whoami, deleted) = site.use_token(&first).await;
    assert_eq!(json(&whoami)["sub"], "demo-user");
    assert_eq!(deleted.status(), StatusCode::NO_CONTENT);
    assert!((1530..=1800).contains(&first.expires_in().unwrap().as_secs()));

    site.pass(600);
    let second = site.refresh(&first).await.unwrap();
    assert_ne!(refresh_token(&first).secret(), refresh_token(&second).secret());
    assert_ne!(first.access_token().secret(), second.access_token().secret());
    assert_eq!(site.acts(), ["authorize", "redeem", "rotate"]);

    site.pass(1801);
    let (offline, live) = site.use_token(&second).await;
    assert_eq!((offline.status(), live.status()), (StatusCode::UNAUTHORIZED, StatusCode::UNAUTHORIZED));
    assert_eq!(header(&offline, "www-authenticate"), "Bearer error=\"invalid_token\"");
}

#[tokio::test(flavor = "multi_thread")]
async fn refresh_five_in_parallel_gets_one_successor() {
    let site = Arc::new(Site::open().await);
    let first = log_in(&site.client).await.unwrap();
    site.pass(600);
    site.acts();
    let tasks: Vec<_> = (0..5)
        .map(|_| {
            let (site, first) = (site.clone(), first.clone());
            tokio::spawn(async move { site.refresh(&first).await.unwrap() })
        })
        .collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    assert!(answers.iter().all(|tokens| refresh_token(tokens).secret() == refresh_token(&answers[0]).secret()));
    assert_eq!(site.acts(), ["retry", "retry", "retry", "retry", "rotate"]);
    site.pass(600);
    site.refresh(&answers[4]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn refresh_retry_after_lost_response_gets_same_successor() {
    let site = Site::open().await;
    let first = log_in(&site.client).await.unwrap();
    site.pass(600);
    // The server has committed, and the connection breaks before the tokens are read.
    let response = send_and_read_head(site.refresh_form(&first)).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    drop(response);
    site.acts();
    site.pass(29);
    let again = site.refresh(&first).await.unwrap();
    let and_again = site.refresh(&first).await.unwrap();
    assert_eq!(refresh_token(&again).secret(), refresh_token(&and_again).secret());
    assert_eq!(site.acts(), ["retry", "retry"]);
    site.refresh(&again).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn reuse_after_leeway_revokes_family() {
    let site = Site::open().await;
    let first = log_in(&site.client).await.unwrap();
    site.pass(600);
    let second = site.refresh(&first).await.unwrap();
    site.pass(30);
    assert_invalid_grant(site.refresh(&first).await);
    assert_invalid_grant(site.refresh(&second).await);
    let (offline, live) = site.use_token(&second).await;
    assert_eq!(offline.status(), StatusCode::OK, "an offline check does not see a revocation");
    assert_eq!(live.status(), StatusCode::UNAUTHORIZED);
    assert!(site.audit.events().iter().any(|event| matches!(event.action, Action::Reuse(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn revoke_by_either_token_ends_session() {
    let site = Site::open().await;
    let first = log_in(&site.client).await.unwrap();
    let revocable = StandardRevocableToken::RefreshToken(refresh_token(&first).clone());
    site.client.revoke_token(revocable).unwrap().request_async(&send).await.unwrap();
    assert_invalid_grant(site.refresh(&first).await);
    assert_eq!(site.use_token(&first).await.1.status(), StatusCode::UNAUTHORIZED);

    // By its access token too; and of any other token nothing is said (RFC 7009 §2.2).
    let second = log_in(&site.client).await.unwrap();
    let revocable = StandardRevocableToken::AccessToken(second.access_token().clone());
    site.client.revoke_token(revocable).unwrap().request_async(&send).await.unwrap();
    assert_invalid_grant(site.refresh(&second).await);
    let unknown = site.post("/revoke", &format!("client_id={CLIENT}&token=unknown&token_type_hint=what")).await;
    assert_eq!((unknown.status(), unknown.body().len()), (StatusCode::OK, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn store_outage_is_503_and_keeps_session() {
    let site = Site::open().await;
    let first = log_in(&site.client).await.unwrap();
    site.pass(600);
    site.store.switch_off(true);
    let response = send(site.refresh_form(&first)).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refusal(&response), "temporarily_unavailable");
    assert_eq!(header(&response, "retry-after"), "1");
    let (offline, live) = site.use_token(&first).await;
    assert_eq!((offline.status(), live.status()), (StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE));
    let revoked = site.post("/revoke", &format!("client_id={CLIENT}&token={}", refresh_token(&first).secret())).await;
    assert_eq!(revoked.status(), StatusCode::SERVICE_UNAVAILABLE, "200 would tell a client that it has logged out");

    site.store.switch_off(false);
    site.refresh(&first).await.unwrap();
    assert_eq!(site.acts(), ["authorize", "redeem", "rotate"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn token_response_has_rfc_members_and_no_store_headers() {
    let site = Site::open().await;
    let first = log_in(&site.client).await.unwrap();
    let response = send(site.refresh_form(&first)).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!((header(&response, "cache-control"), header(&response, "pragma")), ("no-store", "no-cache"));
    let body = json(&response);
    // Not by its text: a token may contain these letters by chance.
    assert!(
        !body.as_object().unwrap().values().any(|member| member.is_null() || member.is_object() || member.is_array())
    );
    assert!(body["expires_in"].is_u64());
    assert_eq!(body["token_type"], "Bearer");
    assert_eq!(body["scope"], "notes:read notes:write");
    assert!(body["access_token"].as_str().unwrap().starts_with("mcpat_"));
    assert!(body["refresh_token"].as_str().unwrap().starts_with("mcprt_"));
    assert!(body.get("retry").is_none(), "not for the wire");
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_requests_are_refused_and_consume_nothing() {
    let site = Site::open().await;
    let first = log_in(&site.client).await.unwrap();
    let token = refresh_token(&first).secret();
    let refresh = format!("grant_type=refresh_token&client_id={CLIENT}&refresh_token={token}");
    let long = "x".repeat(20_000);
    for (body, status, error) in [
        (format!("{refresh}&client_id={CLIENT}"), 400, "invalid_request"),
        (format!("{refresh}&scope=&scope=notes:read"), 400, "invalid_request"),
        (format!("{refresh}&state={long}"), 400, "invalid_request"),
        (format!("client_id={CLIENT}&refresh_token={token}"), 400, "invalid_request"),
        (format!("grant_type=refresh_token&client_id={CLIENT}&refresh_token="), 400, "invalid_request"),
        (format!("grant_type=password&client_id={CLIENT}"), 400, "unsupported_grant_type"),
        (format!("grant_type=refresh_token&refresh_token={token}"), 401, "invalid_client"),
        (format!("grant_type=refresh_token&client_id=other&refresh_token={token}"), 401, "invalid_client"),
        (format!("{refresh}&scope=admin"), 400, "invalid_scope"),
        (format!("{refresh}&resource=https://elsewhere.example"), 400, "invalid_target"),
        (format!("{refresh}x"), 400, "invalid_grant"),
    ] {
        let response = site.post("/token", &body).await;
        assert_eq!((response.status().as_u16(), refusal(&response).as_str()), (status, error), "{body:.100}");
    }
    let json = Request::post(site.url("/token")).header("content-type", "application/json");
    let response = send(json.body(refresh.into()).unwrap()).await.unwrap();
    assert_eq!((response.status(), refusal(&response).as_str()), (StatusCode::BAD_REQUEST, "invalid_request"));
    assert_eq!(site.get("/token").await.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(site.get("/revoke").await.status(), StatusCode::METHOD_NOT_ALLOWED);
    site.refresh(&first).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn authorize_redirects_to_registered_uris_only() {
    let site = Site::open().await;
    let query = |client: &str, redirect: &str, rest: &str| {
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("client_id", client), ("redirect_uri", redirect), ("state", "a b&c")])
            .finish();
        format!("/authorize?{query}&{rest}")
    };
    let challenge = "code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    let good = format!("response_type=code&{challenge}&code_challenge_method=S256");
    for (client, redirect, rest) in [
        ("other", REDIRECT, good.clone()),
        (CLIENT, "http://127.0.0.1:7777/callback/", good.clone()),
        (CLIENT, "https://evil.example/callback", good.clone()),
        (CLIENT, REDIRECT, format!("{good}&client_id={CLIENT}")),
    ] {
        let response = site.get(&query(client, redirect, &rest)).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        assert!(response.headers().get("location").is_none());
    }
    for (rest, error) in [
        (format!("response_type=token&{challenge}&code_challenge_method=S256"), "unsupported_response_type"),
        (format!("response_type=code&{challenge}"), "invalid_request"),
        (format!("response_type=code&{challenge}&code_challenge_method=plain"), "invalid_request"),
        ("response_type=code&code_challenge_method=S256".into(), "invalid_request"),
        (format!("{good}&scope=admin"), "invalid_scope"),
        (format!("{good}&resource=https://elsewhere.example"), "invalid_target"),
    ] {
        let response = site.get(&query(CLIENT, REDIRECT, &rest)).await;
        let location = header(&response, "location");
        assert!(location.starts_with(&format!("{REDIRECT}?error={error}&state=a+b%26c&iss=http")), "{location}");
    }
    site.store.switch_off(true);
    let response = site.get(&query(CLIENT, REDIRECT, &good)).await;
    assert!(header(&response, "location").contains("?error=temporarily_unavailable&"));
}

#[tokio::test(flavor = "multi_thread")]
async fn protected_route_challenges_missing_token_and_scope() {
    let site = Site::open().await;
    let response = site.get("/whoami").await;
    assert_eq!((response.status(), header(&response, "www-authenticate")), (StatusCode::UNAUTHORIZED, "Bearer"));
    let first = log_in(&site.client).await.unwrap();
    let narrow = format!("&scope={}", "notes:read");
    let mut request = site.refresh_form(&first);
    request.body_mut().extend_from_slice(narrow.as_bytes());
    let tokens: BasicTokenResponse = serde_json::from_slice(send(request).await.unwrap().body()).unwrap();
    let (read, write) = site.use_token(&tokens).await;
    assert_eq!((read.status(), write.status()), (StatusCode::OK, StatusCode::FORBIDDEN));
    assert_eq!(header(&write, "www-authenticate"), "Bearer error=\"insufficient_scope\"");
    let refresh_token = refresh_token(&tokens).secret();
    let request = Request::get(site.url("/whoami")).header("authorization", format!("Bearer {refresh_token}"));
    let response = send(request.body(Vec::new()).unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "a refresh token is no access token");
}

#[tokio::test(flavor = "multi_thread")]
async fn web_page_reads_the_challenge_of_a_protected_route() {
    let site = Site::open().await;
    let ask = async |method: &str, path: &str| {
        let request = Request::builder().method(method).uri(site.url(path)).header("origin", "https://app.example.com");
        let request = request.header("access-control-request-method", "GET");
        let request = request.header("access-control-request-headers", "authorization");
        send(request.body(Vec::new()).unwrap()).await.unwrap()
    };
    let preflight = ask("OPTIONS", "/whoami").await;
    assert_eq!(preflight.status(), StatusCode::NO_CONTENT);
    assert_eq!(header(&preflight, "access-control-allow-headers"), "authorization");
    let refused = ask("GET", "/whoami").await;
    assert_eq!((refused.status(), header(&refused, "access-control-allow-origin")), (StatusCode::UNAUTHORIZED, "*"));
    assert!(header(&refused, "access-control-expose-headers").contains("www-authenticate"));
    assert!(!ask("GET", "/authorize").await.headers().contains_key("access-control-allow-origin"));
}
