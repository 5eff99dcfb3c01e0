//! The MCP client of rmcp, with rmcp's own authorization. It does not use this crate.

use std::error::Error;

use rmcp::model::CallToolRequestParams;
use rmcp::service::{ClientInitializeError, RunningService, ServiceError};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::auth::*;
use rmcp::transport::streamable_http_client::{StreamableHttpClientTransportConfig, StreamableHttpError};
use rmcp::{RoleClient, ServiceExt};
use serde_json::json;

use super::browser::Browser;
use crate::server::Result;

const REDIRECT: &str = "http://127.0.0.1:7777/callback";

type HttpError = StreamableHttpError<reqwest::Error>;
type Mcp = RunningService<RoleClient, ()>;

pub struct Client {
    url: String,
    auth: AuthClient<reqwest::Client>,
    credentials: InMemoryCredentialStore,
    mcp: Mcp,
}

/// Connects without a token and returns the challenge of the refusal.
pub async fn request_challenge(url: &str) -> Result<String> {
    let auth = AuthClient::new(reqwest::Client::new(), AuthorizationManager::new(url).await?);
    match connect(url, &auth).await {
        Ok(_) => Err("the server accepted a request without a token".into()),
        Err(error) => Ok(error.auth_challenge().ok_or("there is no challenge")?.to_owned()),
    }
}

impl Client {
    /// Discovers the authorization server, registers, gets the approval of the user, and connects.
    pub async fn log_in(url: &str, challenge: &str, browser: &Browser) -> Result<Self> {
        let credentials = InMemoryCredentialStore::new();
        let mut manager = AuthorizationManager::new(url).await?;
        manager.set_credential_store(credentials.clone());
        let mut state = OAuthState::Unauthorized(manager);
        let request = AuthorizationRequest::new(REDIRECT).with_client_name("Demo client");
        state.start_authorization(request.with_challenge(challenge).with_initial_scope_selection()).await?;
        let callback = browser.approve(&state.get_authorization_url().await?).await?;
        state.handle_callback_url(&callback).await?;
        let manager = state.into_authorization_manager().ok_or("the client is not authorized")?;
        Self::connect(url, manager, credentials).await
    }

    /// Returns the same client as another process sees it, with a copy of the credentials.
    pub async fn copy(&self) -> Result<Self> {
        let credentials = InMemoryCredentialStore::new();
        credentials.save(self.stored().await?).await?;
        let mut manager = AuthorizationManager::new(&self.url).await?;
        manager.set_credential_store(credentials.clone());
        manager.initialize_from_store().await?;
        Self::connect(&self.url, manager, credentials).await
    }

    async fn connect(url: &str, manager: AuthorizationManager, credentials: InMemoryCredentialStore) -> Result<Self> {
        let auth = AuthClient::new(reqwest::Client::new(), manager);
        let mcp = connect(url, &auth).await?;
        Ok(Self { url: url.to_owned(), auth, credentials, mcp })
    }

    /// Requests the additional scope `scope` from the user.
    pub async fn authorize(&self, scope: &str, browser: &Browser) -> Result<()> {
        let manager = self.auth.auth_manager.lock().await;
        let url = manager.request_scope_upgrade(scope).await?;
        let back = AuthorizationCallback::from_redirect_url(&browser.approve(&url).await?)?;
        manager.exchange_code_for_token_with_issuer(&back.code, &back.csrf_token, back.issuer.as_deref()).await?;
        Ok(())
    }

    pub async fn whoami(&self) -> Result<String> {
        self.call(CallToolRequestParams::new("whoami")).await
    }

    pub async fn add_note(&self, text: &str) -> Result<String> {
        let arguments = json!({ "text": text }).as_object().cloned().unwrap_or_default();
        self.call(CallToolRequestParams::new("add_note").with_arguments(arguments)).await
    }

    async fn call(&self, params: CallToolRequestParams) -> Result<String> {
        let result = self.mcp.call_tool(params).await?;
        let text = result.content.first().and_then(|content| content.as_text()).ok_or("the tool returned no text")?;
        Ok(text.text.clone())
    }

    pub async fn scopes(&self) -> Vec<String> {
        self.auth.auth_manager.lock().await.get_current_scopes().await
    }

    pub async fn id(&self) -> Result<String> {
        Ok(self.stored().await?.client_id)
    }

    pub async fn refresh_token(&self) -> Result<String> {
        let tokens = self.stored().await?.token_response.ok_or("there are no tokens")?;
        let tokens = serde_json::to_value(tokens)?;
        Ok(tokens["refresh_token"].as_str().ok_or("there is no refresh token")?.to_owned())
    }

    async fn stored(&self) -> Result<StoredCredentials> {
        Ok(self.credentials.load().await?.ok_or("there are no credentials")?)
    }
}

async fn connect(url: &str, auth: &AuthClient<reqwest::Client>) -> std::result::Result<Mcp, ClientInitializeError> {
    let config = StreamableHttpClientTransportConfig::with_uri(url);
    ().serve(StreamableHttpClientTransport::with_client(auth.clone(), config)).await
}

/// Returns the scope that a refused call needs.
pub fn needed_scope<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a str> {
    match http_error(error)? {
        HttpError::InsufficientScope(refusal) => refusal.get_required_scope(),
        _ => None,
    }
}

/// Returns whether a call was refused because the user must log in.
pub fn requires_login(error: &(dyn Error + 'static)) -> bool {
    matches!(http_error(error), Some(HttpError::AuthRequired(_)))
}

fn http_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a HttpError> {
    match error.downcast_ref()? {
        ServiceError::TransportSend(error) => error.error.downcast_ref(),
        _ => None,
    }
}
