//! A running server, its client, and a browser without scripts.

use mcp_token_lifecycle::{RedbStore, TokenIssuer};
use oauth2::{PkceCodeChallenge, PkceCodeVerifier};
use reqwest::header::{AsHeaderName, HeaderMap, LOCATION};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, Url};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

use super::server::{Server, keyring};

pub const REDIRECT: &str = "http://127.0.0.1:7777/callback";

/// A running server and a client that is registered with it.
pub struct Site {
    pub url: String,
    folder: TempDir,
    server: Server,
    pub client_id: String,
}

impl Site {
    pub async fn open() -> Self {
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

    pub async fn restart(self) -> Self {
        self.server.stop().await.unwrap();
        let (url, server) = start(self.url.trim_start_matches("http://"), &self.folder).await;
        Self { url, server, ..self }
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// An authorization request, and the secret that goes with it.
    pub fn authorization(&self, scope: &str) -> (String, PkceCodeVerifier) {
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

    pub async fn token(&self, form: &[(&str, &str)]) -> (StatusCode, Value) {
        let form = [form, &[("client_id", &*self.client_id)]].concat();
        let response = Client::new().post(self.url("/token")).form(&form).send().await.unwrap();
        (response.status(), response.json().await.unwrap())
    }

    pub async fn refresh(&self, tokens: &Value) -> (StatusCode, Value) {
        let refresh_token = tokens["refresh_token"].as_str().unwrap();
        self.token(&[("grant_type", "refresh_token"), ("refresh_token", refresh_token)]).await
    }

    /// Tokens for `scope`, to which the user of `browser` agrees.
    pub async fn tokens(&self, browser: &Browser, scope: &str) -> Value {
        let (url, verifier) = self.authorization(scope);
        browser.log_in(&url).await;
        let back = location(&browser.submit(&url, &[("consent", "approve")]).await);
        let code = parameter(&back, "code").unwrap();
        let form = [("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", REDIRECT)];
        let (status, tokens) = self.token(&[&form[..], &[("code_verifier", verifier.secret())]].concat()).await;
        assert_eq!(status, StatusCode::OK, "{tokens}");
        tokens
    }

    pub async fn call(&self, tokens: &Value, tool: &str, arguments: Value) -> Response {
        let params = json!({ "name": tool, "arguments": arguments });
        let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
        let request = Client::new().post(self.url("/mcp")).bearer_auth(tokens["access_token"].as_str().unwrap());
        request.header("accept", "application/json, text/event-stream").json(&message).send().await.unwrap()
    }

    pub async fn whoami(&self, tokens: &Value) -> String {
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
pub async fn said(response: Response) -> String {
    assert_eq!(response.status(), StatusCode::OK);
    let answer: Value = response.json().await.unwrap();
    answer["result"]["content"][0]["text"].as_str().unwrap().to_owned()
}

/// A browser without scripts.
pub struct Browser {
    http: Client,
    pub login: [(&'static str, &'static str); 2],
}

impl Browser {
    pub fn of(username: &'static str, password: &'static str) -> Self {
        let http = Client::builder().cookie_store(true).redirect(Policy::none()).build().unwrap();
        Self { http, login: [("username", username), ("password", password)] }
    }

    pub fn alice() -> Self {
        Self::of("alice", "wonderland")
    }

    pub async fn get(&self, url: &str) -> Response {
        self.http.get(url).send().await.unwrap()
    }

    pub async fn text(&self, url: &str) -> String {
        self.get(url).await.text().await.unwrap()
    }

    pub async fn post(&self, url: &str, form: &[(&str, &str)]) -> Response {
        self.http.post(url).form(form).send().await.unwrap()
    }

    /// Fill in the form of the page at `url`, and send it.
    pub async fn submit(&self, url: &str, fields: &[(&str, &str)]) -> Response {
        let csrf = between(&self.text(url).await, "name=\"csrf\" value=\"").unwrap();
        self.post(url, &[&[("csrf", &*csrf)], fields].concat()).await
    }

    pub async fn log_in(&self, url: &str) -> Response {
        self.submit(url, &self.login).await
    }
}

pub fn between(page: &str, start: &str) -> Option<String> {
    let (_, rest) = page.split_once(start)?;
    rest.split('"').next().map(str::to_owned)
}

pub fn header(headers: &HeaderMap, name: impl AsHeaderName) -> &str {
    headers.get(name).map_or("", |value| value.to_str().unwrap())
}

pub fn location(response: &Response) -> Url {
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    header(response.headers(), LOCATION).parse().unwrap()
}

pub fn parameter(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(other, _)| other == name).map(|(_, value)| value.into_owned())
}
