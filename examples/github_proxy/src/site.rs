//! All that the demonstration takes: the two services, two processes of the MCP server, and whoever administers it.

use std::sync::Arc;
use std::time::Duration;

use mcp_token_lifecycle::vault::{Account, BoundTo, Credential, Secret, SecretText, StaticSecret};
use mcp_token_lifecycle::{Clock, Grant, MasterKey, NoAudit, RedisStore, RefreshRequest, Scope, Select};
use mcp_token_lifecycle::{SystemClock, Timestamp, TokenIssuer, TokenStore};

use super::client::Client;
use super::clock::TurnedClock;
use super::process::Process;
use super::services::Services;
use super::setup::{GITHUB, Result, Setup, TRACKER, Vault, resource};

pub struct Site {
    pub services: Services,
    pub processes: [Process; 2],
    pub issuer: TokenIssuer<Arc<RedisStore>>,
    pub vault: Vault,
    store: Arc<RedisStore>,
    clock: TurnedClock,
}

impl Site {
    pub async fn open(redis: &str) -> Result<Self> {
        let clock = TurnedClock::default();
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
        // What ends here ends upstream.
        let issuer = TokenIssuer::new(store.clone(), setup.keyring()?).with_audit(vault.revocation_sink(NoAudit));
        let issuer = issuer.with_clock(clock.clone());
        let processes = [Process::start(&setup)?, Process::start(&setup)?];
        Ok(Self { services, processes, issuer, vault, store, clock })
    }

    /// The user lets an MCP client in: the token is good at either process.
    pub async fn log_in(&self, user: &'static str) -> Result<Client> {
        let grant = Grant::new(user, Client::ID, Scope::parse("mcp:use")?, resource()?.resource().clone())?;
        Ok(Client::new(user, self.issuer.issue(grant, None).await?))
    }

    /// The client refreshes its own tokens.
    pub async fn refresh(&self, client: &mut Client) -> Result<()> {
        let (identity, refresh_token) = (Client::identity(), client.tokens.refresh_token.expose());
        let answer = self.issuer.refresh(&RefreshRequest::new(&identity, refresh_token)).await?;
        client.tokens = answer.into_result()?;
        Ok(())
    }

    /// The user agrees at GitHub, and what comes of it goes into the vault.
    pub async fn connect_github(&self, user: &'static str, account: Option<&str>, scope: &'static str) -> Result<()> {
        let tokens = self.services.github.authorize(user, scope)?;
        let unnamed = Account::new(user, GITHUB);
        let account = account.map_or(unnamed.clone(), |name| unnamed.named(name));
        Ok(self.vault.put(&account, Credential::OAuth(tokens), BoundTo::subject()).await?)
    }

    /// The user pastes a key.
    pub async fn connect_tracker(&self, user: &'static str) -> Result<()> {
        let key = SecretText::new(self.services.tracker.make_key(user));
        let key = StaticSecret::new(Secret::ApiKey(key), Scope::parse("tickets:read")?);
        Ok(self.vault.put(&Account::new(user, TRACKER), Credential::Static(key), BoundTo::subject()).await?)
    }

    /// So many seconds go by, everywhere.
    pub fn pass(&mut self, seconds: u64) -> Result<()> {
        self.clock.pass(seconds);
        self.processes.iter_mut().try_for_each(|process| process.pass(seconds))
    }

    /// Wait for the cascade, which runs in the background.
    pub async fn nothing_is_left_of(&self, user: &str) -> Result<()> {
        let gone = async {
            while !self.vault.list(user).await?.is_empty() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Ok(())
        };
        tokio::time::timeout(Duration::from_secs(30), gone).await?
    }

    /// How many records the store has.
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

    /// End the processes, and leave nothing in the store that does not end by itself.
    pub async fn close(self) -> Result<()> {
        self.processes.into_iter().try_for_each(Process::stop)?;
        self.vault.revoke_subject("bob").await?;
        while self.store.purge(Timestamp::from_unix(u64::MAX), 100).await? > 0 {}
        Ok(())
    }
}
