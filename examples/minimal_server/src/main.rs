//! Shows a complete protected MCP server on rmcp and axum. Run it with `cargo run -p minimal_server [-- --demo | PORT]`.
//!
//! `AlwaysApprove` approves each authorization request as the same user. A real server shows a login page and a consent page
//! there, as `examples/mcp_server` does. The server prints its URL and runs until it is stopped. With `--demo` it sends itself
//! a request without a token, prints the refusal (401), and exits.

use std::error::Error;
use std::sync::Arc;

use axum::Router;
use axum::http::request::Parts;
use mcp_token_lifecycle::http::*;
use mcp_token_lifecycle::{AccessClaims, BoxFuture, KeyId, Keyring, MasterKey, MemoryStore, TokenIssuer};
use rmcp::handler::server::tool::Extension;
use rmcp::transport::streamable_http_server::{
    StreamableHttpServerConfig, StreamableHttpService, session::never::NeverSessionManager,
};
use rmcp::{tool, tool_router};
use tower::Layer;

#[derive(Clone)]
struct Tools;

#[tool_router(server_handler)]
impl Tools {
    #[tool(description = "Returns the logged-in user")]
    async fn whoami(&self, Extension(parts): Extension<Parts>) -> String {
        let user = parts.extensions.get::<AccessClaims>().map_or("an unknown user", AccessClaims::subject);
        format!("You are {user}.")
    }
}

struct AlwaysApprove;

impl Consent for AlwaysApprove {
    fn decide<'a>(&'a self, _: &'a AuthorizationRequest, _: &'a Parts, _: &'a [u8]) -> BoxFuture<'a, ConsentDecision> {
        Box::pin(async { ConsentDecision::Approve(Approval::new("user-1")) })
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arg = std::env::args().nth(1).unwrap_or_default();
    let demo = arg == "--demo";
    let port = if demo { 0 } else { arg.parse().unwrap_or(8000) };
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    let url = format!("http://{}", listener.local_addr()?);

    let issuer = Arc::new(TokenIssuer::new(MemoryStore::new(), Keyring::new(KeyId::new(1), MasterKey::generate()?)));
    let resource = ProtectedResource::new(&format!("{url}/mcp"), "mcp:use")?;
    let server = AuthorizationServer::new(&url, issuer, resource, MemoryClients::new(), AlwaysApprove)?
        .with_registration(|_, _| true)
        .with_tls(TlsPolicy::for_listener(listener.local_addr()?));
    let config = StreamableHttpServerConfig::default().with_legacy_session_mode(false);
    let mcp = StreamableHttpService::new(|| Ok(Tools), Arc::new(NeverSessionManager::default()), config);
    let mcp = server.bearer_live().require_scope("mcp:use")?.layer(mcp);

    println!("The MCP server listens on {url}/mcp");
    let router = Router::new().route_service("/mcp", mcp).fallback_service(server.service());
    let serving = tokio::spawn(async move { axum::serve(listener, router).await });
    if !demo {
        return Ok(serving.await??);
    }
    let refused = reqwest::Client::new().post(format!("{url}/mcp")).send().await?;
    println!("A request without a token got: {} {:?}", refused.status(), refused.headers().get("www-authenticate"));
    if refused.status() == 401 { Ok(()) } else { Err("the server accepted a request without a token".into()) }
}
