//! Shows an authorization server on axum whose endpoints are written by hand, without the feature `http`.
//!
//! Run it with `cargo run -p token_server -- [--demo] [--port PORT] [--file FILE]`.
//!
//! `app.rs` is the code that an application writes around the issuer. `client.rs` is a client based on the `oauth2` crate.
//!
//! The server prints its URL, two `curl` commands to try, and one line for each audit event. With `--demo` a client logs in,
//! refreshes and revokes its session, and the program exits. With `--file` the server stores its sessions in that file. They
//! survive a restart if the keys stay the same. Set the keys with `TOKEN_KEYS=1:$(openssl rand -base64 32)`.

mod app;
mod client;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use mcp_token_lifecycle::audit_from_fn;
use mcp_token_lifecycle::{AuditEvent, DynTokenStore, KeyId, Keyring, MasterKey, MemoryStore, RedbStore, TokenIssuer};
use oauth2::{StandardRevocableToken, TokenResponse, http::Request};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (mut demo, mut port, mut file) = (false, 0, None);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--demo" => demo = true,
            "--port" => port = args.next().ok_or("--port needs a number")?.parse()?,
            "--file" => file = Some(args.next().ok_or("--file needs a path")?),
            other => return Err(format!("unknown option {other}").into()),
        }
    }

    let (store, keyring): (Arc<dyn DynTokenStore>, _) = match file {
        Some(file) => (Arc::new(RedbStore::open(file)?), Keyring::from_env("TOKEN_KEYS")?),
        None => (Arc::new(MemoryStore::new()), Keyring::new(KeyId::new(1), MasterKey::generate()?)),
    };
    let issuer = Arc::new(TokenIssuer::new(store, keyring).with_audit(audit_from_fn(|event: &AuditEvent| {
        println!(
            "{} {} {}",
            event.at,
            event.action.as_str(),
            event.reason.map(|r| format!("{r:?}")).unwrap_or_default()
        );
    })));
    let purge = Arc::clone(&issuer);
    tokio::spawn(async move { purge.purge_every(Duration::from_secs(3600), tokio::time::sleep).await });

    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let host = listener.local_addr()?.to_string();
    let router = app::router(issuer, &format!("http://{host}"))?;
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    if demo {
        return run_demo(&host).await;
    }
    println!("listening on http://{host}; try:");
    println!("  curl -s http://{host}/.well-known/oauth-authorization-server");
    println!("  curl -si http://{host}/whoami -H 'authorization: Bearer none'");
    Ok(server.await??)
}

async fn run_demo(host: &str) -> Result<(), Box<dyn Error>> {
    let client = client::oauth_client(host)?;
    let first = client::log_in(&client).await?;
    let request = Request::get(format!("http://{host}/whoami"));
    let request = request.header("authorization", format!("Bearer {}", first.access_token().secret()));
    let answer = client::send(request.body(Vec::new())?).await?;
    println!("GET /whoami got: {} {}", answer.status(), String::from_utf8_lossy(answer.body()));

    let refresh_token = first.refresh_token().ok_or("there is no refresh token")?;
    let second = client.exchange_refresh_token(refresh_token).request_async(&client::send).await?;
    let refresh_token = second.refresh_token().ok_or("there is no refresh token")?;
    let revocable = StandardRevocableToken::RefreshToken(refresh_token.clone());
    client.revoke_token(revocable)?.request_async(&client::send).await?;
    match client.exchange_refresh_token(refresh_token).request_async(&client::send).await {
        Err(error) => println!("The refresh after the revocation got: {error}"),
        Ok(_) => return Err("a revoked session was refreshed".into()),
    }
    Ok(())
}
