//! The environment of the demonstration: the two services, two processes of the MCP server, and its administration.

use std::sync::Arc;
use std::time::Duration;

use mcp_token_lifecycle::vault::{Account, BoundTo, Credential, Secret, SecretText, StaticSecret};
use mcp_token_lifecycle::{Clock, Grant, MasterKey, NoAudit, RedisStore, RefreshRequest, Scope, Select};
use mcp_token_lifecycle::{SystemClock, Timestamp, TokenIssuer, TokenStore};

use super::client::Client;
use super::clock::AdjustableClock;
use super::process::Process;
use super::services::Services;
use super::setup::{GITHUB, Result, Setup, TRACKER, Vault, resource};

pub struct Site {
    pub services: Services,
    pub processes: [Process; 2],
    pub issuer: TokenIssuer<Arc<RedisStore>>,
    pub vault: Vault,
    store: Arc<RedisStore>,
    clock: AdjustableClock,
}

impl Site {
    pub async fn open(redis: &str) -> Result<Self> {
        let clock = AdjustableClock::default();
        let services = Services::start(clock.clone()).await?;
        let setup = Setup {
            redis: redis.to_owned(),
            prefix: format!("example-proxy-{}-{}", SystemClock.now().as_unix(), std::process::id()),
            key: MasterKey::generate()?.to_base64().as_str().to_owned(),
            github: services.github_url.clone(),
            tracker: services.tracker_url.clone(),
        };
        let store = setup.store().await?;
        let vault = setup.vault(store.clone(), clock.clone())?;
        // When a session is revoked, the sink also revokes the credentials of its user at the services.
        let issuer = TokenIssuer::new(store.clone(), setup.keyring()?).with_audit(vault.revocation_sink(NoAudit));
        let issuer = issuer.with_clock(clock.clone());
        let processes = [Process::start(&setup)?, Process::start(&setup)?];
        Ok(Self { services, processes, issuer, vault, store, clock })
    }

    /// Logs a user in with an MCP client. Both processes accept the tokens.
    pub async fn log_in(&self, user: &'static str) -> Result<Client> {
        let grant = Grant::new(user, Client::ID, Scope::parse("mcp:use")?, resource()?.resource().clone())?;
        Ok(Client::new(user, self.issuer.issue(grant, None).await?))
    }

    /// Refreshes the tokens of the client.
    pub async fn refresh(&self, client: &mut Client) -> Result<()> {
        let (identity, refresh_token) = (Client::identity(), client.tokens.refresh_token.expose());
        let answer = self.issuer.refresh(&RefreshRequest::new(&identity, refresh_token)).await?;
        client.tokens = answer.into_result()?;
        Ok(())
    }

    /// Authorizes the proxy at GitHub and stores the tokens in the vault.
    pub async fn connect_github(&self, user: &'static str, account: Option<&str>, scope: &'static str) -> Result<()> {
        let tokens = self.services.github.authorize(user, scope)?;
        let unnamed = Account::new(user, GITHUB);
        let account = account.map_or(unnamed.clone(), |name| unnamed.named(name));
        Ok(self.vault.put(&account, Credential::OAuth(tokens), BoundTo::subject()).await?)
    }

    /// Creates a key for the ticket system and stores it in the vault.
    pub async fn connect_tracker(&self, user: &'static str) -> Result<()> {
        let key = SecretText::new(self.services.tracker.make_key(user));
        let key = StaticSecret::new(Secret::ApiKey(key), Scope::parse("tickets:read")?);
        Ok(self.vault.put(&Account::new(user, TRACKER), Credential::Static(key), BoundTo::subject()).await?)
    }

    /// Advances the clocks of all processes.
    pub fn pass(&mut self, seconds: u64) -> Result<()> {
        self.clock.pass(seconds);
        self.processes.iter_mut().try_for_each(|process| process.pass(seconds))
    }

    /// Waits until the background revocation has removed all credentials of the user.
    pub async fn wait_until_removed(&self, user: &str) -> Result<()> {
        let gone = async {
            while !self.vault.list(user).await?.is_empty() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Ok(())
        };
        tokio::time::timeout(Duration::from_secs(30), gone).await?
    }

    /// The number of records in the store.
    pub async fn records(&self) -> Result<usize> {
        let (mut count, mut after) = (0, None);
        loop {
            let page = self.store.list(Select::All, after, 100).await?;
            count += page.records.len();
            after = page.next;
            if after.is_none() {
                return Ok(count);
            }
        }
    }

    /// Stops the processes and removes all records of the demonstration from the store.
    pub async fn close(self) -> Result<()> {
        self.processes.into_iter().try_for_each(Process::stop)?;
        self.vault.revoke_subject("bob").await?;
        while self.store.purge(Timestamp::from_unix(u64::MAX), 100).await? > 0 {}
        Ok(())
    }
}
