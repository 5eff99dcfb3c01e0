//! The example MCP server over real HTTP: its pages as a browser meets them, its tools as a client does.

#[path = "../src/app.rs"]
mod app;
#[path = "../src/consent.rs"]
mod consent;
#[path = "../src/demo/mod.rs"]
mod demo;
#[path = "../src/login.rs"]
mod login;
#[path = "../src/pages.rs"]
mod pages;
#[path = "../src/server.rs"]
mod server;
#[path = "../src/session.rs"]
mod session;
#[path = "../src/tools.rs"]
mod tools;
#[path = "../src/users.rs"]
mod users;
#[path = "../src/your_sessions.rs"]
mod your_sessions;

use std::sync::Arc;

use mcp_token_lifecycle::{RedbStore, TokenIssuer};
use oauth2::{PkceCodeChallenge, PkceCodeVerifier};
use reqwest::header::{HeaderMap, LOCATION, SET_COOKIE, WWW_AUTHENTICATE};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, Url};
use serde_json::{Value, json};
use server::{Server, keyring};
use tempfile::TempDir;
use tokio::net::TcpListener;

const REDIRECT: &str = "http://127.0.0.1:7777/callback";

/// A running server and a client that is registered with it.
struct Site {
    url: String,
    folder: TempDir,
    server: Server,
    client_id: String,
}

impl Site {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (url, server) = start("127.0.0.1:0", &folder).await;
        let metadata = json!({
            "redirect_uris": [REDIRECT],
            "client_name": "Notes <b>for</b> you",
            "token_endpoint_auth_method": "none",
        });
        let registered = Client::new().post(format!("{url}/register")).json(&metadata).send().await.unwrap();
        let registered: Value = registered.json().await.unwrap();
        let client_id = registered["client_id"].as_str().unwrap().to_owned();
        Self { url, folder, server, client_id }
    }

    async fn restart(self) -> Self {
        self.server.stop().await.unwrap();
        let (url, server) = start(self.url.trim_start_matches("http://"), &self.folder).await;
        Self { url, server, ..self }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// An authorization request, and the secret that goes with it.
    fn authorization(&self, scope: &str) -> (String, PkceCodeVerifier) {
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let query = [
            ("response_type", "code"),
            ("client_id", &self.client_id),
            ("redirect_uri", REDIRECT),
            ("scope", scope),
            ("state", "a b"),
            ("code_challenge", challenge.as_str()),
            ("code_challenge_method", "S256"),
        ];
        (Url::parse_with_params(&self.url("/authorize"), query).unwrap().into(), verifier)
    }

    async fn token(&self, form: &[(&str, &str)]) -> (StatusCode, Value) {
        let form = [form, &[("client_id", &*self.client_id)]].concat();
        let response = Client::new().post(self.url("/token")).form(&form).send().await.unwrap();
        (response.status(), response.json().await.unwrap())
    }

    async fn refresh(&self, tokens: &Value) -> (StatusCode, Value) {
        let refresh_token = tokens["refresh_token"].as_str().unwrap();
        self.token(&[("grant_type", "refresh_token"), ("refresh_token", refresh_token)]).await
    }

    /// Tokens for `scope`, to which the user of `browser` agrees.
    async fn tokens(&self, browser: &Browser, scope: &str) -> Value {
        let (url, verifier) = self.authorization(scope);
        browser.log_in(&url).await;
        let back = location(&browser.submit(&url, &[("consent", "approve")]).await);
        let code = parameter(&back, "code").unwrap();
        let form = [("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", REDIRECT)];
        let (status, tokens) = self.token(&[&form[..], &[("code_verifier", verifier.secret())]].concat()).await;
        assert_eq!(status, StatusCode::OK, "{tokens}");
        tokens
    }

    async fn call(&self, tokens: &Value, tool: &str, arguments: Value) -> Response {
        let params = json!({ "name": tool, "arguments": arguments });
        let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
        let request = Client::new().post(self.url("/mcp")).bearer_auth(tokens["access_token"].as_str().unwrap());
        request.header("accept", "application/json, text/event-stream").json(&message).send().await.unwrap()
    }

    async fn whoami(&self, tokens: &Value) -> String {
        said(self.call(tokens, "whoami", json!({})).await).await
    }
}

async fn start(address: &str, folder: &TempDir) -> (String, Server) {
    let listener = TcpListener::bind(address).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let store = RedbStore::open(folder.path().join("tokens.redb")).unwrap();
    let issuer = TokenIssuer::new(store, keyring(&folder.path().join("keys")).unwrap());
    (url, Server::start(listener, issuer).unwrap())
}

/// What a tool answered.
async fn said(response: Response) -> String {
    assert_eq!(response.status(), StatusCode::OK);
    let answer: Value = response.json().await.unwrap();
    answer["result"]["content"][0]["text"].as_str().unwrap().to_owned()
}

/// A browser without scripts.
struct Browser {
    http: Client,
    login: [(&'static str, &'static str); 2],
}

impl Browser {
    fn of(username: &'static str, password: &'static str) -> Self {
        let http = Client::builder().cookie_store(true).redirect(Policy::none()).build().unwrap();
        Self { http, login: [("username", username), ("password", password)] }
    }

    fn alice() -> Self {
        Self::of("alice", "wonderland")
    }

    async fn get(&self, url: &str) -> Response {
        self.http.get(url).send().await.unwrap()
    }

    async fn text(&self, url: &str) -> String {
        self.get(url).await.text().await.unwrap()
    }

    async fn post(&self, url: &str, form: &[(&str, &str)]) -> Response {
        self.http.post(url).form(form).send().await.unwrap()
    }

    /// Fill in the form of the page at `url`, and send it.
    async fn submit(&self, url: &str, fields: &[(&str, &str)]) -> Response {
        let csrf = between(&self.text(url).await, "name=\"csrf\" value=\"").unwrap();
        self.post(url, &[&[("csrf", &*csrf)], fields].concat()).await
    }

    async fn log_in(&self, url: &str) -> Response {
        self.submit(url, &self.login).await
    }
}

fn between(page: &str, start: &str) -> Option<String> {
    let (_, rest) = page.split_once(start)?;
    rest.split('"').next().map(str::to_owned)
}

fn header(headers: &HeaderMap, name: impl reqwest::header::AsHeaderName) -> &str {
    headers.get(name).map_or("", |value| value.to_str().unwrap())
}

fn location(response: &Response) -> Url {
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    header(response.headers(), LOCATION).parse().unwrap()
}

fn parameter(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(other, _)| other == name).map(|(_, value)| value.into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn login_with_a_wrong_password_is_refused() {
    let (site, mallory) = (Site::open().await, Browser::of("alice", "builder"));
    let (url, _) = site.authorization("notes:read");
    let refused = mallory.log_in(&url).await;
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    assert!(refused.text().await.unwrap().contains("role=\"alert\""));
    for page in [url, site.url("/sessions")] {
        assert!(mallory.text(&page).await.contains("name=\"password\""));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_consent_page_says_who_asks_for_what_and_where_it_goes() {
    let (site, alice) = (Site::open().await, Browser::alice());
    let page = alice.log_in(&site.authorization("notes:read").0).await.text().await.unwrap();
    assert!(page.contains("Notes &lt;b&gt;for&lt;/b&gt; you"), "the client's words are words: {page}");
    assert!(page.contains("Alice") && page.contains("read your notes"));
    assert!(!page.contains("add notes"), "not asked for");
    assert!(page.contains("<code>http://127.0.0.1:7777</code>") && page.contains("a program on your own computer"));
    assert!(!page.contains("<b>"));
    for inline in ["<script", "style=", "onclick", "javascript:"] {
        assert!(!page.contains(inline), "the policy forbids {inline}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_without_the_token_of_its_page_does_nothing() {
    let (site, alice, bob) = (Site::open().await, Browser::alice(), Browser::of("bob", "builder"));
    let tokens = site.tokens(&alice, "notes:read").await;
    let (url, sessions) = (site.authorization("notes:read").0, site.url("/sessions"));
    let family = between(&alice.text(&sessions).await, "name=\"family\" value=\"").unwrap();
    let others = between(&bob.text(&url).await, "name=\"csrf\" value=\"").unwrap();

    let stranger = Browser::alice();
    for csrf in [&[][..], &[("csrf", "")], &[("csrf", "x")], &[("csrf", &*others)]] {
        let login = stranger.post(&url, &[csrf, &stranger.login].concat()).await;
        assert_eq!(login.status(), StatusCode::FORBIDDEN);
        assert!(stranger.text(&url).await.contains("name=\"password\""), "a forged login");
        let consent = alice.post(&url, &[csrf, &[("consent", "approve")]].concat()).await;
        assert_eq!((consent.status(), header(consent.headers(), LOCATION)), (StatusCode::FORBIDDEN, ""));
        for field in [("family", &*family), ("logout", "yes")] {
            assert_eq!(alice.post(&sessions, &[csrf, &[field]].concat()).await.status(), StatusCode::FORBIDDEN);
        }
    }
    assert!(alice.text(&sessions).await.contains(&family));
    assert!(site.whoami(&tokens).await.contains("Alice"));
}

#[tokio::test(flavor = "multi_thread")]
async fn authorize_returns_access_denied_on_refusal() {
    let (site, alice) = (Site::open().await, Browser::alice());
    let (url, _) = site.authorization("notes:read");
    alice.log_in(&url).await;
    let back = location(&alice.submit(&url, &[("consent", "deny")]).await);
    assert!(back.as_str().starts_with(REDIRECT));
    let parameters = ["error", "state", "iss", "code"].map(|name| parameter(&back, name));
    let expected = [Some("access_denied".into()), Some("a b".into()), Some(site.url.clone()), None];
    assert_eq!(parameters, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cookie_is_out_of_reach_and_changes_at_login() {
    let (site, alice) = (Site::open().await, Browser::alice());
    let (url, _) = site.authorization("notes:read");
    let first = header(alice.get(&url).await.headers(), SET_COOKIE).to_owned();
    let login = alice.log_in(&url).await;
    let second = header(login.headers(), SET_COOKIE);
    for cookie in [&first, second] {
        assert!(cookie.starts_with("session=") && cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax"), "{cookie}");
    }
    assert_ne!(first, second, "or an attacker who planted the first id would be logged in now");
    assert!(alice.get(&url).await.headers().get(SET_COOKIE).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn over_https_the_cookie_belongs_to_its_host() {
    let folder = tempfile::tempdir().unwrap();
    let store = RedbStore::open(folder.path().join("tokens.redb")).unwrap();
    let issuer = TokenIssuer::new(store, keyring(&folder.path().join("keys")).unwrap());
    let router = app::router(Arc::new(issuer), "https://notes.example").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/sessions", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let page = Browser::alice().get(&url).await;
    let cookie = header(page.headers(), SET_COOKIE);
    assert!(cookie.starts_with("__Host-session=") && cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax; Secure"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_kept_to_itself() {
    let (site, alice) = (Site::open().await, Browser::alice());
    let (url, _) = site.authorization("notes:read");
    let (login, consent) = (alice.get(&url).await, alice.log_in(&url).await);
    let sessions = alice.get(&site.url("/sessions")).await;
    // Chromium holds each redirect to the client, and on from there, to `form-action`.
    for (page, more) in [(login, ""), (consent, ""), (sessions, "; form-action 'self'")] {
        let headers = page.headers();
        let policy = format!("default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'{more}");
        assert_eq!(header(headers, "content-security-policy"), policy);
        assert_eq!(header(headers, "cache-control"), "no-store");
        assert_eq!(header(headers, "x-content-type-options"), "nosniff");
        assert_eq!(header(headers, "referrer-policy"), "same-origin");
    }
    let style = alice.get(&site.url("/style.css")).await;
    assert_eq!(header(style.headers(), "content-type"), "text/css");
}

#[tokio::test(flavor = "multi_thread")]
async fn web_page_reaches_the_mcp_server_past_its_preflight() {
    let site = Site::open().await;
    let ask = |method, path: &str| {
        let request = Client::new().request(method, site.url(path)).header("origin", "https://app.example.com");
        request.header("access-control-request-method", "POST").send()
    };
    let preflight = ask(reqwest::Method::OPTIONS, "/mcp").await.unwrap();
    let allowed =
        ["access-control-allow-origin", "access-control-allow-methods"].map(|name| header(preflight.headers(), name));
    assert_eq!((preflight.status(), allowed), (StatusCode::NO_CONTENT, ["*", "POST"]));
    let refused = ask(reqwest::Method::POST, "/mcp").await.unwrap();
    assert_eq!(
        (refused.status(), header(refused.headers(), "access-control-allow-origin")),
        (StatusCode::UNAUTHORIZED, "*")
    );
    assert!(header(refused.headers(), "access-control-expose-headers").contains("www-authenticate"));
    let page = ask(reqwest::Method::OPTIONS, "/sessions").await.unwrap();
    assert!(!page.headers().contains_key("access-control-allow-origin"), "what reads a cookie is for no other site");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_sees_and_revokes_what_has_access() {
    let (site, alice) = (Site::open().await, Browser::alice());
    let sessions = site.url("/sessions");
    alice.log_in(&sessions).await;
    assert!(alice.text(&sessions).await.contains("No program has access to your notes."));
    let kept = site.tokens(&alice, "notes:read").await;
    let before = between(&alice.text(&sessions).await, "name=\"family\" value=\"").unwrap();
    let revoked = site.tokens(&alice, "notes:read notes:write").await;
    let page = alice.text(&sessions).await;
    assert!(page.contains("Notes &lt;b&gt;for&lt;/b&gt; you") && !page.contains(&site.client_id));
    assert!(page.contains("see your name and read your notes; add notes in your name"));
    assert!(page.contains("<dt>Generation</dt><dd>1</dd>") && page.contains("<time datetime=\"20"));

    let mut families = page.split("name=\"family\" value=\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    let other = families.find(|family| *family != before).unwrap();
    let answer = alice.submit(&sessions, &[("family", other)]).await;
    assert_eq!((answer.status(), header(answer.headers(), LOCATION)), (StatusCode::SEE_OTHER, "/sessions"));
    let page = alice.text(&sessions).await;
    assert!(page.contains(&before) && !page.contains(other));
    assert_eq!(site.call(&revoked, "whoami", json!({})).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(site.refresh(&revoked).await.1["error"], "invalid_grant");
    assert_eq!(site.refresh(&kept).await.0, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_another_user_is_out_of_reach() {
    let (site, alice, bob) = (Site::open().await, Browser::alice(), Browser::of("bob", "builder"));
    let sessions = site.url("/sessions");
    let tokens = site.tokens(&alice, "notes:read").await;
    let family = between(&alice.text(&sessions).await, "name=\"family\" value=\"").unwrap();
    bob.log_in(&sessions).await;
    assert!(!bob.text(&sessions).await.contains(&family));
    bob.submit(&sessions, &[("family", &family)]).await;
    assert!(site.whoami(&tokens).await.contains("Alice"));
}

#[tokio::test(flavor = "multi_thread")]
async fn logout_ends_the_login_and_keeps_the_clients() {
    let (site, alice) = (Site::open().await, Browser::alice());
    let sessions = site.url("/sessions");
    let tokens = site.tokens(&alice, "notes:read").await;
    alice.submit(&sessions, &[("logout", "yes")]).await;
    assert!(alice.text(&sessions).await.contains("name=\"password\""));
    assert!(site.whoami(&tokens).await.contains("Alice"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_needs_more_says_all_that_it_needs() {
    let (site, alice) = (Site::open().await, Browser::alice());
    let tokens = site.tokens(&alice, "notes:read").await;
    let refused = site.call(&tokens, "add_note", json!({ "text": "Buy milk" })).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    let challenge = header(refused.headers(), WWW_AUTHENTICATE);
    let start = "Bearer error=\"insufficient_scope\", scope=\"notes:read notes:write\", resource_metadata=\"";
    assert!(challenge.starts_with(start), "{challenge}");

    let tokens = site.tokens(&alice, "notes:read notes:write").await;
    for count in 1..=2 {
        let answer = said(site.call(&tokens, "add_note", json!({ "text": "Buy milk" })).await).await;
        assert!(answer.contains("Alice") && answer.ends_with(&format!("{count}.")), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_logs_out_no_client() {
    let (site, alice) = (Site::open().await, Browser::alice());
    let tokens = site.tokens(&alice, "notes:read").await;
    let site = site.restart().await;
    assert!(site.whoami(&tokens).await.contains("Alice"));
    let (status, next) = site.refresh(&tokens).await;
    assert_eq!(status, StatusCode::OK, "client, keys and family are still known");
    assert!(site.whoami(&next).await.contains("Alice"));
    let sessions = site.url("/sessions");
    alice.log_in(&sessions).await;
    assert!(alice.text(&sessions).await.contains("<dt>Generation</dt><dd>2</dd>"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_goes_as_told() {
    demo::demo().await.unwrap();
}

#[cfg(unix)]
#[test]
fn the_key_file_is_for_its_owner_alone_and_stays_the_same() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys");
    keyring(&file).unwrap();
    let first = std::fs::read(&file).unwrap();
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    keyring(&file).unwrap();
    assert_eq!(std::fs::read(&file).unwrap(), first);
}
