//! Builds the routes of the server with rmcp and axum, around an issuer on a `RedbStore`.

use std::error::Error;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use mcp_token_lifecycle::http::{AuthorizationServer, ProtectedResource, StoredClients, TlsPolicy};
use mcp_token_lifecycle::{RedbStore, TokenIssuer};
use rmcp::transport::streamable_http_server::{
    StreamableHttpServerConfig, StreamableHttpService, session::never::NeverSessionManager,
};
use tower::Layer;

use super::consent::ConsentPage;
use super::pages;
use super::session::Sessions;
use super::tools::Notes;
use super::your_sessions::{YourSessions, your_sessions};

/// Builds the routes of a server that its users reach at `url`. With an `https` URL the server expects a TLS proxy in front of
/// it. With an `http` URL it serves only this machine.
pub fn router(issuer: Arc<TokenIssuer<RedbStore>>, url: &str) -> Result<Router, Box<dyn Error + Send + Sync>> {
    let sessions = Arc::new(Sessions::new(url.starts_with("https:")));
    let resource = ProtectedResource::new(&format!("{url}/mcp"), "notes:read notes:write")?.with_name("Notes");
    let clients = StoredClients::new(Arc::clone(&issuer));
    let server =
        AuthorizationServer::new(url, Arc::clone(&issuer), resource, clients, ConsentPage(Arc::clone(&sessions)))?
            // Registration is open to all clients. A real server limits its rate, for example in a proxy.
            .with_registration(|_, _| true)
            .with_tls(if url.starts_with("https:") { TlsPolicy::TrustProxy } else { TlsPolicy::Loopback })
            .with_fault_report(|fault| eprintln!("{fault:?}"));

    // Without MCP sessions a restart loses no state, and clients of each protocol version can connect. A server on another host
    // than loopback must also name its hosts with `with_allowed_hosts`.
    let config = StreamableHttpServerConfig::default().with_legacy_session_mode(false).with_json_response(true);
    let notes = Notes::default();
    let mcp = StreamableHttpService::new(move || Ok(notes.clone()), Arc::new(NeverSessionManager::default()), config);

    // Each request needs the scope `notes:read`. The tool `add_note` also needs `notes:write`.
    let bearer = server.bearer_live().require_scope("notes:read")?;
    let tools = bearer.tools([("add_note", "notes:write")])?;
    let mcp = bearer.layer(tools.layer(mcp));

    let clients = Arc::new(StoredClients::new(Arc::clone(&issuer)));
    let page = get(your_sessions).post(your_sessions).layer(DefaultBodyLimit::max(16 * 1024));
    Ok(Router::new()
        .route("/sessions", page)
        .with_state(YourSessions { issuer, clients, sessions })
        .route("/style.css", get(([(CONTENT_TYPE, "text/css")], pages::STYLE)))
        .route_service("/mcp", mcp)
        .fallback_service(server.service()))
}
