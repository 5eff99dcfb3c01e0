//! Shows an authorization server and a protected route on actix-web.
//!
//! Run it with `cargo run -p actix_server [-- --demo]`.
//!
//! actix-web has its own request types, so a tower layer cannot wrap its handlers. The handler calls
//! `guard.check_live(&mut parts)` instead. `src/adapter.rs` converts the request and response types.
//!
//! The server prints its URL and runs until it is stopped. With `--demo` it requests its own metadata and the protected route,
//! prints both results (200, then 401 with a challenge), and exits.

mod adapter;

use std::error::Error;
use std::sync::Arc;

use actix_web::dev::ServerHandle;
use actix_web::web::{Bytes, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, Responder, web};
use http::request::Parts;
use mcp_token_lifecycle::http::*;
use mcp_token_lifecycle::{BoxFuture, KeyId, Keyring, MasterKey, MemoryStore, TokenIssuer};

/// Approves each request as `user-1`. A real server shows a login page and a consent page here.
struct AlwaysApprove;

impl Consent for AlwaysApprove {
    fn decide<'a>(&'a self, _: &'a AuthorizationRequest, _: &'a Parts, _: &'a [u8]) -> BoxFuture<'a, ConsentDecision> {
        Box::pin(async { ConsentDecision::Approve(Approval::new("user-1")) })
    }
}

/// The authorization server, and the guard of the protected route.
struct Site {
    server: AuthorizationServer<MemoryStore>,
    guard: BearerGuard,
}

impl Site {
    fn new(url: &str) -> Result<Self, Box<dyn Error>> {
        let keyring = Keyring::new(KeyId::new(1), MasterKey::generate()?);
        let issuer = Arc::new(TokenIssuer::new(MemoryStore::new(), keyring));
        let resource = ProtectedResource::new(&format!("{url}/hello"), "hello:say")?;
        // The listener has a loopback address, so plain HTTP does not leave the machine.
        let server = AuthorizationServer::new(url, issuer, resource, MemoryClients::new(), AlwaysApprove)?
            .with_registration(|_, _| true)
            .with_tls(TlsPolicy::for_listener(std::net::SocketAddr::from(([127, 0, 0, 1], 0))));
        let guard = server.bearer_live().require_scope("hello:say")?.guard();
        Ok(Self { server, guard })
    }
}

/// The protected route.
async fn hello(site: Data<Site>, request: HttpRequest) -> impl Responder {
    let Ok(mut parts) = adapter::parts(&request) else { return HttpResponse::BadRequest().finish() };
    match site.guard.check_live(&mut parts).await {
        Ok(claims) => HttpResponse::Ok().body(format!("hello, {}", claims.subject())),
        Err(refusal) => adapter::response(refusal).await,
    }
}

/// Passes each other path to the authorization server.
async fn oauth(site: Data<Site>, request: HttpRequest, body: Bytes) -> impl Responder {
    let Ok(parts) = adapter::parts(&request) else { return HttpResponse::BadRequest().finish() };
    adapter::response(site.server.handle(&parts, &body).await).await
}

async fn demo(url: &str) -> Result<(), Box<dyn Error>> {
    let metadata = reqwest::get(format!("{url}/.well-known/oauth-authorization-server")).await?;
    println!("The metadata request got: {}", metadata.status());
    let refused = reqwest::get(format!("{url}/hello")).await?;
    let challenge = refused.headers()["www-authenticate"].to_str()?.to_owned();
    println!("A request without a token got: {}, {challenge}", refused.status());
    if metadata.status() != 200 || refused.status() != 401 || !challenge.contains("resource_metadata") {
        return Err("the server answered with an unexpected status or challenge".into());
    }
    Ok(())
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
    let url = format!("http://{}", listener.local_addr()?);
    let site = Data::new(Site::new(&url)?);
    let app = move || App::new().app_data(site.clone()).route("/hello", web::to(hello)).default_service(web::to(oauth));
    let server = HttpServer::new(app).workers(1).listen(listener)?.run();
    println!("The server listens on {url}");
    if !std::env::args().any(|argument| argument == "--demo") {
        return Ok(server.await?);
    }
    let handle: ServerHandle = server.handle();
    let serving = actix_web::rt::spawn(server);
    let outcome = demo(&url).await;
    handle.stop(true).await;
    serving.await??;
    outcome
}
