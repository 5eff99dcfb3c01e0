//! A service on loopback that rotates refresh tokens strictly and counts what it is asked.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::http::header::{AUTHORIZATION, HeaderMap};
use axum::http::{Request, Response, StatusCode};
use axum::routing::{get, post};
use axum::{Form, Json, Router};
use mcp_token_lifecycle::Clock;
use mcp_token_lifecycle::vault::{
    ClientAuthentication, Credential, Endpoint, OAuthProvider, SecretText, Service, TokenSet, UpstreamError,
    UpstreamProvider,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::clock::SharedClock;
use crate::steps::Steps;
use crate::support::scope;
use crate::{HTTP, RUNTIME};

pub const LIFETIME: u64 = 1_000;
pub const SCOPE: &str = "repo:read";
pub const CLIENT_SECRET: &str = "client-secret-Jh7TgBnMkI";

/// What becomes of a refresh token that is presented again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// It ends the grant (RFC 9700 §4.14.2).
    Strict,
    /// As long as its successor is unspent, it is answered with that once more.
    Leeway,
}

#[derive(Clone)]
pub struct Provider {
    inner: Arc<Inner>,
    pub url: String,
}

struct Inner {
    clock: SharedClock,
    rotation: Rotation,
    grants: Mutex<Vec<Grant>>,
}

/// The expiries of its access tokens, the newest of which belongs to the refresh token that is unspent.
struct Grant {
    expiries: Vec<u64>,
    is_alive: bool,
}

pub fn access_token(grant: usize, number: usize) -> String {
    format!("access.{grant}.{number}.Zx9CvBnMqWeRtY")
}

pub fn refresh_token(grant: usize, number: usize) -> String {
    format!("refresh.{grant}.{number}.Ui3OpAsDfGhJkL")
}

/// The numbers in a token.
fn parse(token: &str, kind: fn(usize, usize) -> String) -> Option<(usize, usize)> {
    let mut parts = token.split('.').skip(1);
    let (grant, number) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    (kind(grant, number) == token).then_some((grant, number))
}

impl Provider {
    pub fn start(clock: &SharedClock, rotation: Rotation) -> Self {
        let inner = Arc::new(Inner { clock: clock.clone(), rotation, grants: Mutex::default() });
        let routes = Router::new()
            .route("/token", post(token))
            .route("/revoke", post(async || StatusCode::SERVICE_UNAVAILABLE))
            .route("/repos", get(repos))
            .with_state(inner.clone());
        let listener = RUNTIME.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        RUNTIME.spawn(async move { axum::serve(listener, routes).await });
        Self { inner, url }
    }

    /// A user authorizes: a new grant, with its first tokens.
    pub fn authorize(&self) -> Credential {
        let expires_at = self.inner.clock.now().saturating_add(Duration::from_secs(LIFETIME));
        let mut grants = self.inner.grants.lock().unwrap();
        let grant = grants.len();
        grants.push(Grant { expiries: vec![expires_at.as_unix()], is_alive: true });
        let tokens = TokenSet::new(SecretText::new(access_token(grant, 0)), scope(SCOPE)).expires_at(expires_at);
        Credential::OAuth(tokens.refresh_token(SecretText::new(refresh_token(grant, 0))))
    }

    /// How often refresh tokens were rotated.
    pub fn rotations(&self) -> usize {
        self.inner.grants.lock().unwrap().iter().map(|grant| grant.expiries.len() - 1).sum()
    }

    /// The grants that a spent refresh token has ended.
    pub fn dead(&self) -> usize {
        self.inner.grants.lock().unwrap().iter().filter(|grant| !grant.is_alive).count()
    }

    /// Every token there ever was.
    pub fn tokens(&self) -> Vec<String> {
        let grants = self.inner.grants.lock().unwrap();
        let numbers = grants.iter().enumerate().flat_map(|(grant, it)| (0..it.expiries.len()).map(move |n| (grant, n)));
        numbers.flat_map(|(grant, number)| [access_token(grant, number), refresh_token(grant, number)]).collect()
    }
}

async fn token(
    State(inner): State<Arc<Inner>>,
    Form(form): Form<HashMap<String, String>>,
) -> Result<Json<Value>, (StatusCode, Json<Value>)> {
    let refused = |code| (StatusCode::BAD_REQUEST, Json(json!({ "error": code })));
    if form.get("client_secret").map(String::as_str) != Some(CLIENT_SECRET) || form["grant_type"] != "refresh_token" {
        return Err(refused("invalid_client"));
    }
    let now = inner.clock.now().as_unix();
    let mut grants = inner.grants.lock().unwrap();
    let (grant, number) = parse(&form["refresh_token"], refresh_token).ok_or_else(|| refused("invalid_grant"))?;
    let Grant { expiries, is_alive } = &mut grants[grant];
    let newest = expiries.len() - 1;
    if number == newest && *is_alive {
        expiries.push(now + LIFETIME);
    } else if !(inner.rotation == Rotation::Leeway && number + 1 == newest && *is_alive) {
        *is_alive = false;
        return Err(refused("invalid_grant"));
    }
    let newest = expiries.len() - 1;
    Ok(Json(json!({
        "access_token": access_token(grant, newest),
        "refresh_token": refresh_token(grant, newest),
        "token_type": "bearer",
        "expires_in": expiries[newest].saturating_sub(now),
    })))
}

/// What the tokens are for.
async fn repos(State(inner): State<Arc<Inner>>, headers: HeaderMap) -> StatusCode {
    let token = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let grants = inner.grants.lock().unwrap();
    let expiry = token.and_then(|token| parse(token, access_token)).and_then(|(grant, number)| {
        let grant = grants.get(grant).filter(|grant| grant.is_alive)?;
        grant.expiries.get(number).copied()
    });
    let is_good = expiry.is_some_and(|expiry| inner.clock.now().as_unix() < expiry);
    if is_good { StatusCode::OK } else { StatusCode::UNAUTHORIZED }
}

/// The ready provider for the service at `url`, as an application would have it.
pub fn provider(url: &str, steps: Steps) -> impl UpstreamProvider + use<> {
    let endpoint = |path| Endpoint::parse(&format!("{url}/{path}")).unwrap();
    let authentication = ClientAuthentication::Body(SecretText::new(CLIENT_SECRET));
    let service =
        Service::new("client-of-the-server", authentication, endpoint("token")).revoked_at(endpoint("revoke"));
    OAuthProvider::new(service, move |request| send(steps.clone(), request))
}

async fn send(steps: Steps, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, UpstreamError> {
    steps.reach("before the request").await;
    let mut answer = HTTP.execute(request.try_into().unwrap()).await.map_err(UpstreamError::uncertain)?;
    let mut response = Response::new(Vec::new());
    (*response.status_mut(), *response.headers_mut()) = (answer.status(), std::mem::take(answer.headers_mut()));
    *response.body_mut() = answer.bytes().await.map_err(UpstreamError::uncertain)?.to_vec();
    steps.reach("after the answer").await;
    Ok(response)
}
