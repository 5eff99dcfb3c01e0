//! Shows two server processes that issue tokens from one PostgreSQL table.
//!
//! Run it with `cargo run -p postgres -- postgres://user@host/database`. Without an argument the program reads the connection
//! string from `POSTGRES_URL`.
//!
//! A client refreshes through both servers in turn. It then sends the same token to both servers at once and gets the same
//! successor from both. After a revocation both servers refuse the token. The program prints each step and ends with an error
//! if a check fails.

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use axum::extract::{Form, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use base64::Engine;
use mcp_token_lifecycle::{
    Answer, Client, ErrorResponse, Grant, Keyring, PostgresStore, RefreshRequest, Resource, Scope, TokenIssuer,
};
use tokio::net::TcpListener;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;
type Issuer = TokenIssuer<PostgresStore>;

const URL: &str = "POSTGRES_URL";
const KEYS: &str = "TOKEN_KEYS";
const SERVE: &str = "--serve";

#[tokio::main]
async fn main() -> Outcome {
    let argument = std::env::args().nth(1).filter(|argument| argument != "--demo");
    if argument.as_deref() == Some(SERVE) {
        return serve().await;
    }
    let Some(url) = argument.or_else(|| std::env::var(URL).ok()) else {
        return Err(format!(
            "give a connection string as an argument or in {URL}, for example postgres://user@host/database"
        )
        .into());
    };
    let mut key = [0; 32];
    getrandom::fill(&mut key)?;
    let keys = format!("1:{}", base64::engine::general_purpose::STANDARD.encode(key));
    let issuer = TokenIssuer::new(open(&url).await?, Keyring::parse(&keys)?);
    let servers = [Server::start(&url, &keys)?, Server::start(&url, &keys)?];

    let (scope, resource) = (Scope::parse("notes:read")?, Resource::parse("https://notes.example/mcp")?);
    let mut token =
        issuer.issue(Grant::new("alice", "cli", scope, resource)?, None).await?.refresh_token.expose().to_owned();
    println!("Alice is logged in.");
    for server in servers.iter().cycle().take(4) {
        token = server.refresh(&token).await?;
        println!("The server at {} refreshed the session.", server.address);
    }
    let both = tokio::join!(servers[0].refresh(&token), servers[1].refresh(&token));
    let (one, other) = (both.0?, both.1?);
    if one != other {
        return Err("the two servers returned different successors".into());
    }
    println!("Both servers refreshed at once and returned the same successor.");
    issuer.revoke_subject("alice").await?;
    for server in &servers {
        match server.refresh(&one).await {
            Ok(_) => return Err("a revoked session was refreshed".into()),
            Err(refusal) => println!("After the revocation the server at {} answered: {refusal}", server.address),
        }
    }
    Ok(())
}

/// Connects to the store and creates its table.
async fn open(url: &str) -> Outcome<PostgresStore> {
    let store = PostgresStore::connect(url).await?;
    store.create_schema().await?;
    Ok(store)
}

/// Runs one server process. It prints its address, which the first process reads.
async fn serve() -> Outcome {
    let issuer = Arc::new(TokenIssuer::new(open(&std::env::var(URL)?).await?, Keyring::from_env(KEYS)?));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    Ok(axum::serve(listener, Router::new().route("/token", post(token)).with_state(issuer)).await?)
}

async fn token(State(issuer): State<Arc<Issuer>>, Form(form): Form<Vec<(String, String)>>) -> Response {
    let parameter = |name| form.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value);
    let client = Client::public(parameter("client_id"));
    let request = RefreshRequest::new(&client, parameter("refresh_token"));
    let no_store = [(header::CACHE_CONTROL, "no-store")];
    match issuer.refresh(&request).await {
        Ok(Answer::Issue(tokens)) => (no_store, Json(tokens)).into_response(),
        Ok(Answer::Deny(refusal)) => (StatusCode::BAD_REQUEST, no_store, Json(refusal)).into_response(),
        // The store is unavailable. The client keeps its token and repeats the request later.
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, no_store, Json(ErrorResponse::unavailable())).into_response(),
    }
}

/// A handle to a server process.
struct Server {
    process: Child,
    address: String,
}

impl Server {
    fn start(url: &str, keys: &str) -> Outcome<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut process = command.arg(SERVE).env(URL, url).env(KEYS, keys).stdout(Stdio::piped()).spawn()?;
        let mut address = String::new();
        BufReader::new(process.stdout.take().ok_or("no output")?).read_line(&mut address)?;
        Ok(Self { process, address: address.trim_end().to_owned() })
    }

    /// Refreshes at this server and returns the next refresh token.
    async fn refresh(&self, token: &str) -> Outcome<String> {
        let form = [("grant_type", "refresh_token"), ("client_id", "cli"), ("refresh_token", token)];
        let answer = reqwest::Client::new().post(format!("http://{}/token", self.address)).form(&form).send().await?;
        let (status, body) = (answer.status(), answer.json::<serde_json::Value>().await?);
        match body["refresh_token"].as_str() {
            Some(token) => Ok(token.to_owned()),
            None => Err(format!("{status}: {}", body["error"]).into()),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
