//! Shows a complete MCP server: a login page, a consent page, tools that know their user, and a page on which users revoke
//! sessions.
//!
//! Run it with `cargo run -p mcp_server [-- OPTION…]`.
//!
//! | option | effect |
//! |---|---|
//! | `--demo` | run a client against the server (login, expiry, refresh, restart, theft), then exit |
//! | `--port PORT` | listen on this port instead of 8000 |
//! | `--file FILE` | store tokens and clients in this file |
//! | `--keys FILE` | read the keys from this file, and create it if it does not exist |
//! | `--access-lifetime SECONDS` | set the lifetime of access tokens, which is half an hour by default |
//!
//! The server prints its URLs, the users of the demonstration, and one line for each audit event. It runs until Ctrl-C.
//!
//! Begin reading at `app.rs`.

mod app;
mod consent;
mod demo;
mod login;
mod pages;
mod relative_time;
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

/// The default folder of the store and the keys. It persists between runs.
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
            other => return Err(format!("unknown option {other}").into()),
        }
    }
    Ok(options)
}

/// Returns the standard policy, with another access lifetime if one is given. A short lifetime shows an expiry soon.
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
    println!("  URL for MCP clients:     {url}/mcp");
    println!("  users and passwords:     alice / wonderland, bob / builder");
    println!("  page of your sessions:   {url}/sessions");
    println!("  file of the store:       {}", options.file.display());
    std::io::stdout().flush()?;
    let server = Server::start(listener, issuer)?;
    tokio::signal::ctrl_c().await?;
    server.stop().await
}

/// Prints an audit event as four words: time, action, reason, client.
fn print(event: &AuditEvent) {
    let (reason, client) =
        (event.reason.as_ref().map_or("-", Reason::as_str), event.client_id.as_deref().unwrap_or("-"));
    println!("{} {} {reason} {client}", event.at, event.action.as_str());
}
