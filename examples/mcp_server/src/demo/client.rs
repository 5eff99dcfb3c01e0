//! rmcp's client, with rmcp's way to authorize: nothing in it knows of this crate.

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

/// Connect without a token; returns the challenge that comes back.
pub async fn knock(url: &str) -> Result<String> {
    let auth = AuthClient::new(reqwest::Client::new(), AuthorizationManager::new(url).await?);
    match connect(url, &auth).await {
        Ok(_) => Err("the server is open to everybody".into()),
        Err(error) => Ok(error.auth_challenge().ok_or("there is no challenge")?.to_owned()),
    }
}

impl Client {
    /// Find the authorization server, register, let the user agree, connect.
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

    /// The same client in another process, with a copy of its credentials.
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

    /// Let the user agree to `scope` as well.
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
        let text = result.content.first().and_then(|content| content.as_text()).ok_or("the tool said nothing")?;
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

/// The scope that a refused call needs.
pub fn needed_scope<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a str> {
    match http_error(error)? {
        HttpError::InsufficientScope(refusal) => refusal.get_required_scope(),
        _ => None,
    }
}

/// Whether a call was refused because its user has to log in.
pub fn is_asked_to_log_in(error: &(dyn Error + 'static)) -> bool {
    matches!(http_error(error), Some(HttpError::AuthRequired(_)))
}

fn http_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a HttpError> {
    match error.downcast_ref()? {
        ServiceError::TransportSend(error) => error.error.downcast_ref(),
        _ => None,
    }
}
