//! The configuration that all processes share: one store, one key, and the same services. Any number of vaults can share them
//! without further coordination.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use mcp_token_lifecycle::http::ProtectedResource;
use mcp_token_lifecycle::vault::{
    CredentialVault, Endpoint, OAuthProvider, ReqwestClient, Runtime, SecretText, Service, TokenRequest,
};
use mcp_token_lifecycle::{Keyring, RedisStore};
use reqwest::redirect::Policy;
use serde::{Deserialize, Serialize};

use super::clock::AdjustableClock;
use super::github::{CLIENT_ID, CLIENT_SECRET};

pub type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;
pub type Vault = CredentialVault<Arc<RedisStore>>;

/// The names of the services in the vault.
pub const GITHUB: &str = "github";
pub const TRACKER: &str = "tracker";

/// The configuration, in the form in which a server process reads it.
#[derive(Serialize, Deserialize)]
pub struct Setup {
    pub redis: String,
    pub prefix: String,
    pub key: String,
    pub github: String,
    pub tracker: String,
}

impl Setup {
    pub async fn store(&self) -> Result<Arc<RedisStore>> {
        Ok(Arc::new(RedisStore::connect(&self.redis).await?.with_prefix(&self.prefix)))
    }

    pub fn keyring(&self) -> Result<Keyring> {
        Ok(Keyring::parse(&format!("1:{}", self.key))?)
    }

    pub fn vault(&self, store: Arc<RedisStore>, clock: AdjustableClock) -> Result<Vault> {
        let runtime = Runtime::new(tokio::time::sleep, |task| {
            tokio::spawn(task);
        });
        let provider = OAuthProvider::new(self.github()?, ReqwestClient::new()?);
        Ok(CredentialVault::new(store, self.keyring()?, runtime).with_provider(GITHUB, provider).with_clock(clock))
    }

    /// The service description of GitHub, with the URLs of the simulated server.
    fn github(&self) -> Result<Service> {
        let mut service = Service::github(CLIENT_ID, SecretText::new(CLIENT_SECRET))?;
        let grant = format!("{}/applications/{CLIENT_ID}/grant", self.github);
        service.token_endpoint = Endpoint::parse(&format!("{}/login/oauth/access_token", self.github))?;
        service.revocation = Some((Endpoint::parse(&grant)?, TokenRequest::GitHub));
        Ok(service)
    }
}

/// The protected resource. Both processes serve the same one.
pub fn resource() -> Result<ProtectedResource> {
    Ok(ProtectedResource::new("https://mcp.example.com/mcp", "mcp:use")?)
}

/// Builds an HTTP client for requests with secrets. It follows no redirects, and each request has a timeout.
pub fn http() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder().redirect(Policy::none()).timeout(Duration::from_secs(10)).build()
}
