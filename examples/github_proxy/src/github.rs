//! Simulates the part of GitHub that the example uses: access tokens that expire, refresh tokens for one use, and the
//! revocation of an authorization.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{delete, get, post};
use axum::{Form, Json, Router};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use mcp_token_lifecycle::vault::{SecretText, TokenSet};
use mcp_token_lifecycle::{Clock, Scope, Timestamp};
use serde_json::{Value, json};

use super::clock::AdjustableClock;
use super::services::{lock, secret};
use super::setup::Result;

pub const CLIENT_ID: &str = "Iv1.0123456789abcdef";
pub const CLIENT_SECRET: &str = "the-secret-of-the-proxy-at-github";

/// The lifetime of an access token in seconds. GitHub uses eight hours, which is longer than a token of the MCP server lives.
pub const LIFETIME: u64 = 15 * 60;
/// The duration of a refresh. It is long enough for all concurrent calls to arrive during one refresh.
const DELAY: Duration = Duration::from_millis(300);

type Refused = std::result::Result<Json<Value>, StatusCode>;

pub struct GitHub {
    clock: AdjustableClock,
    grants: Mutex<Vec<Grant>>,
    secrets: Mutex<Vec<String>>,
}

/// The authorization that a user gave to the proxy, with its current tokens.
struct Grant {
    user: &'static str,
    scope: &'static str,
    access_token: String,
    refresh_token: String,
    expires_at: Timestamp,
}

impl GitHub {
    pub fn new(clock: AdjustableClock) -> Arc<Self> {
        Arc::new(Self { clock, grants: Mutex::default(), secrets: Mutex::new(vec![CLIENT_SECRET.to_owned()]) })
    }

    /// Records that the user authorizes the proxy, and returns the tokens that the proxy gets.
    pub fn authorize(&self, user: &'static str, scope: &'static str) -> Result<TokenSet> {
        let (access_token, refresh_token) = self.tokens();
        let expires_at = self.expiry();
        let tokens = TokenSet::new(SecretText::new(access_token.clone()), Scope::parse(scope)?)
            .refresh_token(SecretText::new(refresh_token.clone()))
            .expires_at(expires_at);
        lock(&self.grants).push(Grant { user, scope, access_token, refresh_token, expires_at });
        Ok(tokens)
    }

    pub fn is_authorized(&self, user: &str) -> bool {
        lock(&self.grants).iter().any(|grant| grant.user == user)
    }

    pub fn secrets(&self) -> Vec<String> {
        lock(&self.secrets).clone()
    }

    pub fn router(self: Arc<Self>) -> Router {
        Router::new()
            .route("/login/oauth/access_token", post(refresh))
            .route("/user/repos", get(repositories))
            .route(&format!("/applications/{CLIENT_ID}/grant"), delete(delete_authorization))
            .with_state(self)
    }

    fn tokens(&self) -> (String, String) {
        let (access_token, refresh_token) = (secret("ghu"), secret("ghr"));
        lock(&self.secrets).extend([access_token.clone(), refresh_token.clone()]);
        (access_token, refresh_token)
    }

    fn expiry(&self) -> Timestamp {
        self.clock.now().saturating_add(Duration::from_secs(LIFETIME))
    }

    fn rotate(&self, refresh_token: Option<&String>) -> Value {
        let mut grants = lock(&self.grants);
        let Some(grant) = grants.iter_mut().find(|grant| Some(&grant.refresh_token) == refresh_token) else {
            return json!({ "error": "bad_refresh_token" });
        };
        (grant.access_token, grant.refresh_token) = self.tokens();
        grant.expires_at = self.expiry();
        json!({
            "access_token": grant.access_token,
            "expires_in": LIFETIME,
            "refresh_token": grant.refresh_token,
            "scope": grant.scope.replace(' ', ","),
            "token_type": "bearer",
        })
    }
}

async fn refresh(State(github): State<Arc<GitHub>>, Form(form): Form<HashMap<String, String>>) -> Json<Value> {
    let is = |name: &str, value: &str| form.get(name).is_some_and(|given| given == value);
    if !is("client_id", CLIENT_ID) || !is("client_secret", CLIENT_SECRET) || !is("grant_type", "refresh_token") {
        return Json(json!({ "error": "incorrect_client_credentials" }));
    }
    let answer = github.rotate(form.get("refresh_token"));
    tokio::time::sleep(DELAY).await;
    Json(answer)
}

async fn repositories(State(github): State<Arc<GitHub>>, headers: HeaderMap) -> Refused {
    let token = authorization(&headers, "Bearer ").ok_or(StatusCode::UNAUTHORIZED)?;
    let now = github.clock.now();
    let grants = lock(&github.grants);
    let grant = grants.iter().find(|grant| grant.access_token == token && now < grant.expires_at);
    let user = grant.ok_or(StatusCode::UNAUTHORIZED)?.user;
    Ok(Json(json!([{ "name": format!("{user}/notes") }, { "name": format!("{user}/website") }])))
}

/// GitHub's endpoint "Delete an app authorization". It deletes all authorizations of the token's user.
async fn delete_authorization(
    State(github): State<Arc<GitHub>>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> std::result::Result<StatusCode, StatusCode> {
    let proxy = BASE64_STANDARD.encode(format!("{CLIENT_ID}:{CLIENT_SECRET}"));
    if authorization(&headers, "Basic ") != Some(&proxy) {
        return Err(StatusCode::UNAUTHORIZED);
    }
    let mut grants = lock(&github.grants);
    let grant = grants.iter().find(|grant| body["access_token"] == grant.access_token);
    let user = grant.ok_or(StatusCode::NOT_FOUND)?.user;
    grants.retain(|grant| grant.user != user);
    Ok(StatusCode::NO_CONTENT)
}

fn authorization<'a>(headers: &'a HeaderMap, scheme: &str) -> Option<&'a str> {
    headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix(scheme)
}
