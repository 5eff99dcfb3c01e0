//! The complete way over real HTTP: a browser, the server with its pages, and a service that checks what it gets.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Redirect;
use axum::routing::{get, post};
use axum::{Form, Json, Router};
use base64ct::{Base64UrlUnpadded, Encoding};
use http::request::Parts;
use mcp_token_lifecycle::http::*;
use mcp_token_lifecycle::vault::*;
use mcp_token_lifecycle::{BoxFuture, MemoryStore};
use reqwest::cookie::Jar;
use reqwest::redirect::Policy;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;

use crate::support::{keyring, scope};
use crate::world::claims;

type Params = HashMap<String, String>;

/// The codes that the service has issued, with the parameters of their requests.
type Codes = Arc<Mutex<HashMap<String, Params>>>;

/// Consents at once, as a user would, and sends the browser back.
async fn authorize(State(codes): State<Codes>, Query(params): Query<Params>) -> Redirect {
    let code = format!("code-{}", codes.lock().unwrap().len());
    let back = format!("{}?code={code}&state={}&iss=http%3A%2F%2Fservice", params["redirect_uri"], params["state"]);
    codes.lock().unwrap().insert(code, params);
    Redirect::to(&back)
}

/// Checks client, code, redirect URI and verifier as RFC 6749 §4.1.3 and RFC 7636 §4.6 require.
async fn token(State(codes): State<Codes>, Form(form): Form<Params>) -> (StatusCode, Json<Value>) {
    let asked = form.get("code").and_then(|code| codes.lock().unwrap().remove(code));
    let challenge = Base64UrlUnpadded::encode_string(&Sha256::digest(&form["code_verifier"]));
    let is_good = asked.is_some_and(|asked| {
        asked["code_challenge"] == challenge
            && asked["code_challenge_method"] == "S256"
            && asked["redirect_uri"] == form["redirect_uri"]
            && form["client_secret"] == "client-secret"
    });
    match is_good {
        true => {
            (StatusCode::OK, Json(json!({ "access_token": "over-http", "token_type": "Bearer", "expires_in": 3600 })))
        }
        false => (StatusCode::BAD_REQUEST, Json(json!({ "error": "invalid_grant" }))),
    }
}

async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

struct Cookie;

impl ConnectLogin for Cookie {
    fn user<'a>(&'a self, parts: &'a Parts) -> BoxFuture<'a, Result<BrowserUser, http::Response<ResponseBody>>> {
        let cookie = parts.headers.get("cookie").and_then(|cookie| cookie.to_str().ok()?.strip_prefix("session="));
        let user = cookie.map(|session| BrowserUser::new("alice", session));
        Box::pin(async { user.ok_or_else(|| http::Response::new(ResponseBody::from("log in"))) })
    }
}

/// The server, the vault behind it, and the URL of the service.
async fn site() -> (String, CredentialVault<MemoryStore>) {
    let service = Router::new().route("/authorize", get(authorize)).route("/token", post(token));
    let service_url = serve(service.with_state(Codes::default())).await;
    let at = |path: &str| Endpoint::parse(&format!("{service_url}{path}")).unwrap();
    let mut service = Service::new("me", ClientAuthentication::Body(SecretText::new("client-secret")), at("/token"))
        .authorized_at(at("/authorize"));
    service.authorization.as_mut().unwrap().issuer = Some("http://service".to_owned());
    let runtime = Runtime::new(tokio::time::sleep, |task| drop(tokio::spawn(task)));
    let vault = CredentialVault::new(MemoryStore::new(), keyring(), runtime)
        .with_provider("git", OAuthProvider::new(service, ReqwestClient::new().unwrap()));
    // The base is known once the listener is.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let pages = ConnectServer::new(&base, vault.clone(), Cookie).unwrap();
    let pages = pages.with_service("git", scope("read")).with_tls(TlsPolicy::Loopback);
    let router = Router::new().route("/", get(async || "home")).fallback_service(pages.service());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (base, vault)
}

fn browser(base: &str, session: &str, policy: Policy) -> reqwest::Client {
    let cookies = Jar::default();
    cookies.add_cookie_str(&format!("session={session}"), &base.parse().unwrap());
    reqwest::Client::builder().redirect(policy).cookie_provider(Arc::new(cookies)).build().unwrap()
}

#[tokio::test]
async fn connect_over_http_leases_what_the_service_issued() {
    let (base, vault) = site().await;
    let refused = vault.lease(&claims("alice"), &LeaseRequest::new("git", scope("read"))).await.unwrap_err();
    let link = refused.connect_url(&base).unwrap();
    let browser = browser(&base, "s-1", Policy::limited(5));
    let page = browser.get(&link).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("Connect git"), "{page}");
    // The form: to the service, back with the code, and home.
    let end = browser.post(&link).header("origin", &base).send().await.unwrap();
    assert_eq!(end.url().as_str(), format!("{base}/?connect=connected&service=git"));
    assert_eq!(end.text().await.unwrap(), "home");
    let lease = vault.lease(&claims("alice"), &LeaseRequest::new("git", scope("read"))).await.unwrap();
    assert_eq!(lease.secret().expose(), "over-http");
}

#[tokio::test]
async fn callback_url_over_http_is_useless_to_another_browser() {
    let (base, vault) = site().await;
    let (mine, theirs) = (browser(&base, "s-1", Policy::none()), browser(&base, "s-2", Policy::none()));
    let step = |reply: reqwest::Response| reply.headers()["location"].to_str().unwrap().to_owned();
    let begun = mine.post(format!("{base}/connect/git")).header("origin", &base).send().await.unwrap();
    let callback = step(mine.get(step(begun)).send().await.unwrap());
    assert!(callback.starts_with(&format!("{base}/callback/git?code=")));
    assert_eq!(theirs.get(&callback).send().await.unwrap().status(), 403);
    assert_eq!(mine.get(&callback).send().await.unwrap().status(), 303);
    assert_eq!(mine.get(&callback).send().await.unwrap().status(), 400);
    assert_eq!(vault.list("alice").await.unwrap().len(), 1);
}
