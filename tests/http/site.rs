//! A whole deployment on a port of its own, and a client that knows nothing of it but HTTP.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Request, Response};
use hyper_util::rt::TokioIo;
use mcp_token_lifecycle::http::*;
use mcp_token_lifecycle::{AccessClaims, AuditEvent, BoxFuture, MemoryStore, RotationPolicy, Scope, TokenIssuer};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tower::{Layer, service_fn};

use crate::support::{FlakyStore, TestAudit, TestClock, VERIFIER, keyring};

pub const CLIENT: &str = "client-1";
pub const CALLBACK: &str = "http://127.0.0.1:7777/callback";
pub const WEB_CLIENT: &str = "web-1";
pub const WEB_CALLBACK: &str = "https://app.example.com/callback";
pub const WEB_SECRET: &str = "mcpcs_n2Vd1kQ8bX4tZs0Lr7Yw5uHc9Ge3Ja6MfPoTqNiEvBx";
pub const GUARD: &str = "resource-1";
pub const GUARD_SECRET: &str = "mcpcs_f7Kp3RmWz9Xc1Vb5Nq8Lt2Hy6Jd4Gs0Ao_UeIwQxCvB";
/// The S256 challenge of [`VERIFIER`].
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

pub type Store = Arc<FlakyStore<MemoryStore>>;
pub type Server = AuthorizationServer<Store>;

pub struct Site {
    pub origin: String,
    pub server: Server,
    pub store: Store,
    pub clock: TestClock,
    pub audit: TestAudit,
    /// What the application was told of.
    pub faults: Arc<Mutex<Vec<String>>>,
    reached: Arc<AtomicUsize>,
}

impl Site {
    pub async fn open() -> Self {
        Self::open_with(|server| server).await
    }

    pub async fn open_with(change: impl FnOnce(Server) -> Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let store = Store::default();
        let (clock, audit, faults) = (TestClock::default(), TestAudit::default(), Arc::<Mutex<Vec<String>>>::default());
        let issuer = TokenIssuer::new(Arc::clone(&store), keyring())
            .with_policies(RotationPolicy::standard())
            .with_clock(clock.clone())
            .with_audit(audit.clone());
        let issuer = Arc::new(issuer);
        let mcp = ProtectedResource::new(&format!("{origin}/mcp"), "notes:admin notes:read notes:write").unwrap();
        let mcp = mcp.with_broad_scope("notes:admin", "notes:read notes:write").unwrap();
        let (report, resource) = (Arc::clone(&faults), mcp.resource().clone());
        let clients = StoredClients::new(Arc::clone(&issuer)).with(client()).with(web_client()).with(guard());
        let server = AuthorizationServer::new(&origin, issuer, mcp, clients, Pages)
            .unwrap()
            .with_tls(TlsPolicy::Loopback)
            .with_registration(|parts, _| !parts.headers.contains_key("x-unwanted"))
            .with_introspection(GUARD, resource)
            .with_fault_report(move |fault| report.lock().unwrap().push(fault.to_string()));
        let server = change(server);
        let reached = Arc::default();
        let router = router(&server, &origin, &reached);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { origin, server, store, clock, audit, faults, reached }
    }

    pub fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// How many requests have got to a protected service since the last call.
    pub fn reached(&self) -> usize {
        self.reached.swap(0, Ordering::SeqCst)
    }

    /// The audit events since the last call.
    pub fn audit(&self) -> Vec<AuditEvent> {
        self.audit.take()
    }

    /// The faults that were reported since the last call.
    pub fn faults(&self) -> usize {
        std::mem::take(&mut *self.faults.lock().unwrap()).len()
    }

    pub fn request(&self, method: &str, path: &str) -> axum::http::request::Builder {
        Request::builder().method(method).uri(format!("{}{path}", self.origin))
    }

    pub async fn get(&self, path: &str) -> Answer {
        send(self.request("GET", path).body(Body::empty()).unwrap()).await
    }

    pub async fn post(&self, path: &str, pairs: &[(&str, &str)]) -> Answer {
        self.post_as(path, "application/x-www-form-urlencoded", &form(pairs)).await
    }

    pub async fn post_as(&self, path: &str, content_type: &str, body: &str) -> Answer {
        let request = self.request("POST", path).header("content-type", content_type);
        send(request.body(Body::from(body.to_owned())).unwrap()).await
    }

    /// A form with an `Authorization` header.
    pub async fn post_with(&self, path: &str, authorization: &str, pairs: &[(&str, &str)]) -> Answer {
        let request = self.request("POST", path).header("content-type", "application/x-www-form-urlencoded");
        send(request.header("authorization", authorization).body(Body::from(form(pairs))).unwrap()).await
    }

    /// The address of a good authorization request with `changes`: an empty value leaves a parameter out.
    pub fn authorize_path(&self, changes: &[(&str, &str)]) -> String {
        let mut params = BTreeMap::from([
            ("client_id", CLIENT),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
            ("redirect_uri", CALLBACK),
            ("response_type", "code"),
            ("state", "af0ifjsldkj"),
        ]);
        params.extend(changes.iter().copied());
        let params: Vec<_> = params.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        format!("/authorize?{}", form(&params))
    }

    /// Register a public client.
    pub async fn register(&self, redirect_uri: &str) -> String {
        let metadata = json!({ "redirect_uris": [redirect_uri], "token_endpoint_auth_method": "none" });
        let answer = self.post_as("/register", "application/json", &metadata.to_string()).await;
        assert_eq!(answer.status, 201);
        answer.json()["client_id"].as_str().unwrap().to_owned()
    }

    /// What the browser of a user who agreed before is answered.
    pub async fn authorize(&self, changes: &[(&str, &str)]) -> Answer {
        let request = self.request("GET", &self.authorize_path(changes)).header("cookie", "user=user-1");
        send(request.body(Body::empty()).unwrap()).await
    }

    pub async fn code(&self, changes: &[(&str, &str)]) -> String {
        self.authorize(changes).await.sent_back("code")
    }

    /// The token request for a code of the public client.
    pub async fn redeem(&self, code: &str) -> Answer {
        let pairs = [("grant_type", "authorization_code"), ("client_id", CLIENT), ("code", code)];
        self.post("/token", &[&pairs[..], &[("code_verifier", VERIFIER), ("redirect_uri", CALLBACK)]].concat()).await
    }

    pub async fn login(&self) -> Tokens {
        self.login_for("").await
    }

    pub async fn login_for(&self, scope: &str) -> Tokens {
        self.redeem(&self.code(&[("scope", scope)]).await).await.tokens()
    }

    pub async fn refresh(&self, token: &str, more: &[(&str, &str)]) -> Answer {
        let pairs = [("grant_type", "refresh_token"), ("client_id", CLIENT), ("refresh_token", token)];
        self.post("/token", &[&pairs[..], more].concat()).await
    }

    /// A request to a protected service.
    pub async fn call(&self, path: &str, token: &str) -> Answer {
        let request = self.request("GET", path).header("authorization", format!("Bearer {token}"));
        send(request.body(Body::empty()).unwrap()).await
    }

    /// What introspection says of an access token, asked by a client that may.
    pub async fn introspect(&self, token: &str) -> Value {
        let answer = self.post_with("/introspect", &basic(GUARD, GUARD_SECRET), &[("token", token)]).await;
        assert_eq!(answer.status, 200);
        answer.json()
    }
}

pub fn client() -> RegisteredClient {
    RegisteredClient::public(CLIENT, ClientMetadata::new([CALLBACK]).unwrap())
}

pub fn web_client() -> RegisteredClient {
    let metadata = ClientMetadata::new([WEB_CALLBACK, "https://app.example.com/other?tenant=1"]).unwrap();
    RegisteredClient::confidential(WEB_CLIENT, &ClientSecret::from_text(WEB_SECRET), metadata)
}

pub fn guard() -> RegisteredClient {
    RegisteredClient::resource_server(GUARD, &ClientSecret::from_text(GUARD_SECRET))
}

/// The protected services: each says what it sees.
fn router(server: &Server, origin: &str, reached: &Arc<AtomicUsize>) -> Router {
    let reached = Arc::clone(reached);
    let echo = service_fn(move |request| echo(request, Arc::clone(&reached)));
    let live = server.bearer_live().require_scope("notes:read").unwrap();
    let offline = server.bearer().require_scope("notes:read").unwrap();
    let tools = live.tools([("delete_note", "notes:write"), ("drop_all", "notes:admin notes:write")]);
    let tools = tools.unwrap().with_limit(1024);
    let elsewhere = ProtectedResource::new(&format!("{origin}/elsewhere"), "notes:read").unwrap();
    Router::new()
        .route_service("/mcp", live.layer(echo.clone()))
        .route_service("/offline", offline.layer(echo.clone()))
        .route_service("/tools", live.layer(tools.layer(echo.clone())))
        .route_service("/unguarded", tools.layer(echo.clone()))
        .route_service("/write", server.bearer().require_scope("notes:write notes:read").unwrap().layer(echo.clone()))
        .route_service("/elsewhere", live.for_resource(elsewhere).layer(echo))
        .fallback_service(server.service())
}

async fn echo(request: Request<Body>, reached: Arc<AtomicUsize>) -> Result<Response<Body>, std::convert::Infallible> {
    reached.fetch_add(1, Ordering::SeqCst);
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let claims = parts.extensions.get::<AccessClaims>();
    let seen = json!({
        "request": format!("{} {} {:?}", parts.method, parts.uri, parts.headers),
        "subject": claims.map_or("", AccessClaims::subject),
        "scope": claims.map_or("", |claims| claims.scope().as_str()),
        "body": String::from_utf8_lossy(&body),
    });
    Ok(Response::new(Body::from(seen.to_string())))
}

/// Who is the user, by a cookie; do they agree, by a form.
pub struct Pages;

impl Consent for Pages {
    fn decide<'a>(
        &'a self,
        request: &'a AuthorizationRequest,
        parts: &'a Parts,
        body: &'a [u8],
    ) -> BoxFuture<'a, ConsentDecision> {
        let cookie = parts.headers.get("cookie").and_then(|cookie| cookie.to_str().ok()).unwrap_or_default();
        let form: BTreeMap<String, String> = form_urlencoded::parse(body).into_owned().collect();
        let field = |name| form.get(name).map(String::as_str);
        let decision = match (field("decision"), cookie.strip_prefix("user=")) {
            (Some("deny"), _) => ConsentDecision::Deny,
            (Some("agree"), user) => {
                let approval = Approval::new(user.unwrap_or("user-1")).claim("tenant", "acme");
                ConsentDecision::Approve(match field("scope") {
                    Some(scope) => approval.scope(Scope::parse(scope).unwrap_or_default()),
                    None => approval,
                })
            }
            (_, Some(user)) => ConsentDecision::Approve(Approval::new(user)),
            _ => {
                let page = Response::builder().header("referrer-policy", "strict-origin");
                ConsentDecision::Show(page.body(ResponseBody::from(page_text(request))).unwrap())
            }
        };
        Box::pin(async move { decision })
    }
}

fn page_text(request: &AuthorizationRequest) -> String {
    let (client, to) = (request.client().id(), request.redirect_uri().origin());
    format!("{client} asks for {} at {} and returns to {to}", request.scope(), request.resource())
}

pub struct Tokens {
    pub access: String,
    pub refresh: String,
    pub all: Value,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

/// Whether a `null` is anywhere in `value`. A token may contain these letters by chance.
fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(values) => values.iter().any(has_null),
        Value::Object(members) => members.values().any(has_null),
        _ => false,
    }
}

impl Answer {
    /// The value of a header that must not be there twice; empty if it is not there.
    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next().map_or("", |value| value.to_str().unwrap());
        assert!(values.next().is_none(), "{name} is there twice");
        value
    }

    /// The JSON of an answer that no cache keeps, without any `null`.
    #[track_caller]
    pub fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), "application/json", "{self:?}");
        assert_eq!((self.header("cache-control"), self.header("pragma")), ("no-store", "no-cache"));
        let value: Value = serde_json::from_slice(&self.body).unwrap();
        assert!(!has_null(&value), "{value}");
        value
    }

    #[track_caller]
    pub fn tokens(&self) -> Tokens {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        let all = self.json();
        let text = |name: &str| all[name].as_str().unwrap().to_owned();
        Tokens { access: text("access_token"), refresh: text("refresh_token"), all }
    }

    /// Status and `error` of a refusal, which has nothing beside it but at most a description.
    #[track_caller]
    pub fn refusal(&self) -> (u16, String) {
        let body = self.json();
        let members: Vec<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
        assert!(members == ["error"] || members == ["error", "error_description"], "{body}");
        (self.status, body["error"].as_str().unwrap().to_owned())
    }

    /// A parameter of the address that the browser is sent to.
    #[track_caller]
    pub fn sent_back(&self, name: &str) -> String {
        assert_eq!(self.status, 303, "{}", String::from_utf8_lossy(&self.body));
        let (_, query) = self.header("location").split_once('?').expect("a query");
        let mut values = form_urlencoded::parse(query.as_bytes()).filter(|(other, _)| other == name);
        let value = values.next().map(|(_, value)| value.into_owned()).unwrap_or_default();
        assert!(values.next().is_none(), "{name} is there twice");
        value
    }

    /// Whether this is the answer of a store that is in trouble.
    #[track_caller]
    pub fn assert_unavailable(&self) {
        assert_eq!(self.refusal(), (503, "temporarily_unavailable".into()));
        assert_eq!(self.header("retry-after"), "1");
    }
}

/// One request over a connection of its own.
pub async fn send(request: Request<Body>) -> Answer {
    let (mut head, body) = request.into_parts();
    let host = head.uri.authority().unwrap().to_string();
    let stream = TokioIo::new(TcpStream::connect(&host).await.unwrap());
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    head.headers.entry("host").or_insert(host.parse().unwrap());
    head.uri = head.uri.path_and_query().unwrap().as_str().parse().unwrap();
    let response = sender.send_request(Request::from_parts(head, body)).await.unwrap();
    let (head, body) = response.into_parts();
    let body = to_bytes(Body::new(body), usize::MAX).await.unwrap().to_vec();
    Answer { status: head.status.as_u16(), headers: head.headers, body }
}

/// Bytes as they are, and the status line that they are answered with.
pub async fn send_raw(origin: &str, request: String) -> String {
    let host = origin.trim_start_matches("http://").to_owned();
    let exchange = move || {
        let mut stream = std::net::TcpStream::connect(host).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8(answer).unwrap()
    };
    tokio::task::spawn_blocking(exchange).await.unwrap()
}

/// A body in chunks, which does not say beforehand how long it is.
pub fn streamed(text: &str) -> Body {
    let chunks: Vec<_> = text.as_bytes().chunks(500).map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec())).collect();
    Body::from_stream(futures_util::stream::iter(chunks))
}

pub fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

pub fn form(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// Basic credentials, each part encoded as RFC 6749 §2.3.1 says.
pub fn basic(id: &str, secret: &str) -> String {
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    raw_basic(&format!("{}:{}", encode(id), encode(secret)))
}

pub fn raw_basic(credentials: &str) -> String {
    use base64ct::{Base64, Encoding};
    format!("Basic {}", Base64::encode_string(credentials.as_bytes()))
}
