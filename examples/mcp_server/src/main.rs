//! An MCP server with all that belongs to it: login, consent, tools that know their user, and a page to end sessions.
//!
//! `cargo run -p mcp_server [-- OPTION…]`
//!
//! | option | |
//! |---|---|
//! | `--demo` | meet a client: login, expiry, refresh, a restart, theft; then exit |
//! | `--port PORT` | instead of 8000 |
//! | `--file FILE` | where tokens and clients are stored |
//! | `--keys FILE` | where the keys are; made if there are none |
//! | `--access-lifetime SECONDS` | of access tokens, instead of half an hour |
//!
//! `app.rs` is the place to begin reading.

mod app;
mod consent;
mod demo;
mod login;
mod pages;
mod server;
mod session;
mod tools;
mod users;
mod your_sessions;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mcp_token_lifecycle::audit_from_fn;
use mcp_token_lifecycle::{AuditEvent, Reason, RedbStore, RotationPolicy, TokenIssuer};
use server::{Result, Server, keyring};
use tokio::net::TcpListener;

/// Where the state is by default, so that it is still there the next time.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/mcp_server");

struct Options {
    demo: bool,
    port: u16,
    file: PathBuf,
    keys: PathBuf,
    access_lifetime: Option<Duration>,
}

fn options() -> Result<Options> {
    let folder = Path::new(FOLDER);
    let mut options = Options {
        demo: false,
        port: 8000,
        file: folder.join("tokens.redb"),
        keys: folder.join("keys"),
        access_lifetime: None,
    };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("{arg} needs a value"));
        match arg.as_str() {
            "--demo" => options.demo = true,
            "--port" => options.port = value()?.parse()?,
            "--file" => options.file = value()?.into(),
            "--keys" => options.keys = value()?.into(),
            "--access-lifetime" => options.access_lifetime = Some(Duration::from_secs(value()?.parse()?)),
            other => return Err(format!("what is {other}?").into()),
        }
    }
    Ok(options)
}

/// The standard policy, or a shorter access lifetime for those who do not want to wait for an expiry.
fn policy(access_lifetime: Option<Duration>) -> Result<RotationPolicy> {
    let standard = RotationPolicy::standard();
    let lifetime = access_lifetime.unwrap_or(standard.lifetimes().access);
    let least = lifetime.min(Duration::from_secs(5));
    Ok(standard.to_builder().access_lifetime(lifetime).min_access_lifetime(least).build()?)
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = options()?;
    if options.demo {
        return demo::demo().await;
    }
    std::fs::create_dir_all(FOLDER)?;
    let issuer = TokenIssuer::new(RedbStore::open(&options.file)?, keyring(&options.keys)?)
        .with_policies(policy(options.access_lifetime)?)
        .with_audit(audit_from_fn(print));
    let listener = TcpListener::bind(("127.0.0.1", options.port)).await?;
    let url = format!("http://{}", listener.local_addr()?);
    println!("listening on {url}");
    println!("  an MCP client connects to   {url}/mcp");
    println!("  your browser will ask for   alice / wonderland, or bob / builder");
    println!("  whom you have let in        {url}/sessions");
    println!("  tokens and clients are in   {}", options.file.display());
    std::io::stdout().flush()?;
    let server = Server::start(listener, issuer)?;
    tokio::signal::ctrl_c().await?;
    server.stop().await
}

fn print(event: &AuditEvent) {
    let (reason, client) =
        (event.reason.as_ref().map_or("-", Reason::as_str), event.client_id.as_deref().unwrap_or("-"));
    println!("{} {} {reason} {client}", event.at, event.action.as_str());
}
