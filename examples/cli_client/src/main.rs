//! Shows a command-line client whose processes share one credential file.
//!
//! Run it with `cargo run -p cli_client`.
//!
//! The program starts a demo server, logs in once, and stores the tokens in a file. The access token is already expired. The
//! program then starts eight copies of itself at once, and each copy uses the same file. A lock file ensures that only
//! one copy refreshes. All eight copies then call the server with the new access token.
//!
//! The program prints the number of refreshes, then logs out. It ends with an error if a check fails.

use std::error::Error;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::{Form, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use mcp_token_lifecycle::client::{FileStorage, TokenManager};
use mcp_token_lifecycle::vault::{
    ClientAuthentication, Endpoint, OAuthProvider, ReqwestClient, Runtime, SecretText, Service, TokenSet,
};
use mcp_token_lifecycle::{
    Answer, Client, Clock, ErrorResponse, Expectation, Grant, KeyId, Keyring, MasterKey, MemoryStore, RefreshRequest,
    Resource, Scope, SystemClock, TokenIssuer,
};
use reqwest::redirect::Policy;
use tokio::net::TcpListener;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

const COPY: &str = "--copy";
const COPIES: usize = 8;

#[tokio::main]
async fn main() -> Outcome {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [COPY, url, file] => whoami(url, file.as_ref()).await,
        _ => demo().await,
    }
}

/// Opens the credentials in `file`. Each copy of the program opens the same file.
fn credentials(url: &str, file: &Path) -> Outcome<TokenManager> {
    let endpoint = |path| Endpoint::parse(&format!("{url}{path}"));
    let service = Service::new("cli", ClientAuthentication::None, endpoint("/token")?).revoked_at(endpoint("/revoke")?);
    let provider = OAuthProvider::new(service, ReqwestClient::new()?);
    let runtime = Runtime::new(tokio::time::sleep, |task| drop(tokio::spawn(task)));
    Ok(TokenManager::new(FileStorage::open(file)?, provider, runtime))
}

/// Builds an HTTP client that follows no redirects, because a redirect would send the tokens to another server.
fn http() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder().redirect(Policy::none()).timeout(Duration::from_secs(20)).build()
}

/// One copy of the program: it gets an access token, calls `/whoami`, and prints the answer.
async fn whoami(url: &str, file: &Path) -> Outcome {
    let token = credentials(url, file)?.access_token().await?;
    let answer = http()?.get(format!("{url}/whoami")).bearer_auth(token.expose()).send().await?;
    println!("{}", answer.error_for_status()?.text().await?);
    Ok(())
}

async fn demo() -> Outcome {
    let server = Server::start().await?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("credentials");
    let credentials = credentials(&server.url, &file)?;
    credentials.store(server.log_in().await?).await?;
    println!("Alice is logged in. The tokens are in a file that only its owner can read.");

    let start = |_| {
        let mut copy = Command::new(std::env::current_exe()?);
        copy.args([COPY, &server.url]).arg(&file).stdout(Stdio::piped()).spawn()
    };
    let copies = (0..COPIES).map(start).collect::<Result<Vec<_>, _>>()?;
    for copy in copies {
        let output = tokio::task::spawn_blocking(|| copy.wait_with_output()).await??;
        let printed = String::from_utf8(output.stdout)?;
        if printed.trim() != "alice" {
            return Err(format!("a copy did not get alice as its answer: {printed}").into());
        }
    }
    let refreshes = server.refreshes.load(Ordering::SeqCst);
    println!(
        "The access token was expired. {COPIES} copies ran at once. All calls succeeded after {refreshes} refresh."
    );
    if refreshes != 1 {
        return Err("the copies refreshed more than once".into());
    }
    credentials.forget().await?;
    println!(
        "Alice is logged out. A request for a token got: {}",
        credentials.access_token().await.err().ok_or("the credentials are still there after the logout")?
    );
    Ok(())
}

/// The demo server: an issuer behind three routes, with a count of the refreshes.
struct Server {
    url: String,
    issuer: TokenIssuer<MemoryStore>,
    resource: Resource,
    scope: Scope,
    refreshes: AtomicUsize,
}

impl Server {
    async fn start() -> Outcome<Arc<Self>> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let keyring = Keyring::new(KeyId::new(1), MasterKey::generate()?);
        let server = Arc::new(Self {
            issuer: TokenIssuer::new(MemoryStore::new(), keyring),
            resource: Resource::parse(&url)?,
            scope: Scope::parse("notes:read")?,
            refreshes: AtomicUsize::new(0),
            url,
        });
        let routes = Router::new()
            .route("/token", post(token))
            .route("/revoke", post(revoke))
            .route("/whoami", get(current_user))
            .with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Ok(server)
    }

    /// Returns the tokens that a real client gets from the authorization-code flow. The expiry is set to now, so that the
    /// demonstration does not have to wait half an hour for it.
    async fn log_in(&self) -> Outcome<TokenSet> {
        let grant = Grant::new("alice", "cli", self.scope.clone(), self.resource.clone())?;
        let tokens = self.issuer.issue(grant, None).await?;
        let refresh_token = SecretText::new(tokens.refresh_token.expose());
        let access_token = SecretText::new(tokens.access_token.expose());
        Ok(TokenSet::new(access_token, self.scope.clone()).refresh_token(refresh_token).expires_at(SystemClock.now()))
    }
}

type Fields = Form<Vec<(String, String)>>;

fn field<'a>(fields: &'a Fields, name: &str) -> &'a str {
    fields.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value)
}

async fn token(State(server): State<Arc<Server>>, fields: Fields) -> Response {
    server.refreshes.fetch_add(1, Ordering::SeqCst);
    let client = Client::public(field(&fields, "client_id"));
    match server.issuer.refresh(&RefreshRequest::new(&client, field(&fields, "refresh_token"))).await {
        Ok(Answer::Issue(tokens)) => Json(tokens).into_response(),
        Ok(Answer::Deny(refusal)) => (StatusCode::BAD_REQUEST, Json(refusal)).into_response(),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, Json(ErrorResponse::unavailable())).into_response(),
    }
}

async fn revoke(State(server): State<Arc<Server>>, fields: Fields) -> StatusCode {
    let client = Client::public(field(&fields, "client_id"));
    match server.issuer.revoke(&client, field(&fields, "token"), None).await {
        Ok(()) => StatusCode::OK,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

async fn current_user(State(server): State<Arc<Server>>, headers: HeaderMap) -> Result<String, StatusCode> {
    let header = headers.get("authorization").and_then(|value| value.to_str().ok());
    let token = header.and_then(|value| value.strip_prefix("Bearer ")).ok_or(StatusCode::UNAUTHORIZED)?;
    let claims = server.issuer.verify(token, &Expectation::resource(&server.resource));
    claims.map(|claims| claims.subject().to_owned()).map_err(|_| StatusCode::UNAUTHORIZED)
}
