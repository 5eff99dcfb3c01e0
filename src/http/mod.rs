//! The HTTP side: the OAuth endpoints, and the check in front of the MCP server.
//!
//! Requests and responses are those of the `http` crate, services and layers those of tower. So it works with axum,
//! hyper, rmcp and all other servers with those types. Nothing here does network I/O: [`AuthorizationServer::handle`]
//! takes a request's parts and body and returns the response.
//!
//! ```text
//! client ──► /.well-known/…  metadata     who issues tokens for this resource, and how
//!            /register       clients/     RFC 7591; or clients known beforehand, or by a document
//!            /authorize      authorize    checked; then the application decides; then back with a code
//!            /token          token        code or refresh token ──► tokens
//!            /revoke         revoke
//!        ──► the MCP server  bearer/      token ──► claims, and the request goes in without the token
//! ```
//!
//! The application implements [`Consent`], which decides who the user is and whether they agree:
//!
//! ```
//! # use std::sync::Arc;
//! use http::request::Parts;
//! use mcp_token_lifecycle::http::*;
//! use mcp_token_lifecycle::{BoxFuture, KeyId, Keyring, MasterKey, MemoryStore, TokenIssuer};
//! use tower_layer::Layer;
//!
//! struct Pages;
//!
//! impl Consent for Pages {
//!     fn decide<'a>(
//!         &'a self,
//!         request: &'a AuthorizationRequest,
//!         parts: &'a Parts,
//!         body: &'a [u8],
//!     ) -> BoxFuture<'a, ConsentDecision> {
//!         // Read the user from the cookie in `parts`. If `body` is the consent form, approve or deny; otherwise show a page.
//!         Box::pin(async { ConsentDecision::Deny })
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let store = MemoryStore::new();
//! # let keyring = Keyring::new(KeyId::new(1), MasterKey::generate()?);
//! let issuer = Arc::new(TokenIssuer::new(store, keyring));
//! let resource = ProtectedResource::new("https://mcp.example.com/mcp", "notes:read notes:write")?;
//! let clients = StoredClients::new(Arc::clone(&issuer));
//! let server = AuthorizationServer::new("https://mcp.example.com", issuer, resource, clients, Pages)?
//!     .with_registration(|_, _| true)
//!     .with_tls(TlsPolicy::TrustProxy);
//!
//! let oauth = server.service();                                           // the fallback of the router
//! # let mcp = server.service();
//! let bearer = server.bearer_live().require_scope("notes:read")?;
//! let tools = bearer.tools([("delete_note", "notes:write")])?;
//! let mcp = bearer.layer(tools.layer(mcp));                               // at /mcp
//! # drop((oauth, mcp));
//! # Ok(()) }
//! ```

mod address;
mod bearer;
mod clients;
mod config_error;
#[cfg(feature = "vault")]
mod connect;
mod consent;
mod endpoints;
mod resource;
mod server;
mod service;
mod wire;

pub use self::address::{RedirectUri, SchemeError};
pub use self::bearer::{
    Bearer, BearerFuture, BearerGuard, BearerLayer, ProtectedBody, TokenWatch, ToolScopeLayer, ToolScopes,
};
pub use self::clients::{
    AuthMethod, ClientMetadata, ClientRegistry, ClientSecret, DocumentError, FetchDocument, MemoryClients,
    MetadataError, RegisteredClient, StoredClients, WithDocuments,
};
pub use self::config_error::ConfigError;
#[cfg(feature = "vault")]
pub use self::connect::{ConnectLogin, ConnectPrompt, ConnectServer, ConnectService};
pub use self::consent::{Approval, AuthorizationRequest, Consent, ConsentDecision};
pub use self::resource::ProtectedResource;
pub use self::server::AuthorizationServer;
pub use self::service::AuthorizationService;
pub use self::wire::body::ResponseBody;
pub use self::wire::cors::Cors;
pub use self::wire::tls::{Connection, ProxyHeader, TlsPolicy, TrustedProxies};
