//! The MCP server. Each tool reads the user from the claims of the access token and leases the credential of that user for one
//! call. The tools never receive the access token itself.

use axum::Router;
use axum::http::request::Parts;
use mcp_token_lifecycle::http::{BearerLayer, TlsPolicy};
use mcp_token_lifecycle::vault::{LeaseRequest, LeasedSecret};
use mcp_token_lifecycle::{AccessClaims, AccessVerifier, Scope};
use rmcp::handler::server::tool::Extension;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::transport::streamable_http_server::{
    StreamableHttpServerConfig, StreamableHttpService, session::never::NeverSessionManager,
};
use rmcp::{tool, tool_router};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use tower::Layer;

use super::clock::AdjustableClock;
use super::setup::{self, GITHUB, Setup, TRACKER, Vault, http, resource};

/// The text of a tool, or the reason of a refusal.
type ToolResult = Result<String, String>;

#[derive(Clone)]
struct Proxy {
    vault: Vault,
    http: reqwest::Client,
    github: String,
    tracker: String,
}

#[derive(Deserialize, JsonSchema)]
struct At {
    /// Which of your accounts, if you have several.
    account: Option<String>,
}

#[tool_router(server_handler)]
impl Proxy {
    #[tool(description = "Lists your repositories")]
    async fn repositories(&self, Extension(parts): Extension<Parts>, Parameters(at): Parameters<At>) -> ToolResult {
        let need = need(GITHUB, "repo:read", at)?;
        self.ask(&parts, need, &format!("{}/user/repos", self.github)).await
    }

    /// Lists the repositories like `repositories`, but also accepts a credential with more access than needed.
    #[tool(description = "Lists your repositories, also through an account with more access than needed")]
    async fn repositories_with_broad_access(
        &self,
        Extension(parts): Extension<Parts>,
        Parameters(at): Parameters<At>,
    ) -> ToolResult {
        let need = need(GITHUB, "repo:read", at)?.allow_broader();
        self.ask(&parts, need, &format!("{}/user/repos", self.github)).await
    }

    #[tool(description = "Lists your tickets")]
    async fn tickets(&self, Extension(parts): Extension<Parts>, Parameters(at): Parameters<At>) -> ToolResult {
        let need = need(TRACKER, "tickets:read", at)?;
        self.ask(&parts, need, &format!("{}/tickets", self.tracker)).await
    }
}

impl Proxy {
    /// Requests a list of names from a service with the credential of the caller. Responses and errors of the service are never
    /// passed to the client unchanged, because they could contain a secret.
    async fn ask(&self, parts: &Parts, need: LeaseRequest, url: &str) -> ToolResult {
        let claims: &AccessClaims = parts.extensions.get().ok_or("the bearer layer is missing")?;
        let lease = self.vault.lease(claims, &need).await.map_err(|refusal| refusal.to_string())?;
        let request = match lease.secret() {
            LeasedSecret::Bearer(token) => self.http.get(url).bearer_auth(token),
            secret => self.http.get(url).header("x-api-key", secret.expose()),
        };
        let answer = request.send().await.and_then(|answer| answer.error_for_status());
        let names: Vec<Value> = answer
            .map_err(|_| "the service refused the request")?
            .json()
            .await
            .map_err(|_| "the service sent an invalid response")?;
        let names = names.iter().filter_map(|item| item["name"].as_str()).collect::<Vec<_>>();
        Ok(names.join(", "))
    }
}

fn need(service: &str, scope: &str, at: At) -> Result<LeaseRequest, String> {
    let need = LeaseRequest::new(service, Scope::parse(scope).map_err(|error| error.to_string())?);
    Ok(match at.account {
        Some(account) => need.account(account),
        None => need,
    })
}

/// Builds the routes. The server verifies access tokens offline, so a revoked token reaches the tools until it expires. Its
/// leases fail, because the revocation also removes the credentials from the vault.
pub async fn router(setup: &Setup, clock: AdjustableClock) -> setup::Result<Router> {
    let vault = setup.vault(setup.store().await?, clock.clone())?;
    let proxy = Proxy { vault, http: http()?, github: setup.github.clone(), tracker: setup.tracker.clone() };
    let config = StreamableHttpServerConfig::default().with_legacy_session_mode(false).with_json_response(true);
    let mcp = StreamableHttpService::new(move || Ok(proxy.clone()), NeverSessionManager::default().into(), config);
    let bearer = BearerLayer::offline(AccessVerifier::from(&setup.keyring()?), resource()?).with_clock(clock);
    let bearer = bearer.require_scope("mcp:use")?.with_tls(TlsPolicy::Loopback);
    Ok(Router::new().route_service("/mcp", bearer.layer(mcp)))
}
