//! A vault with everything that a test wants to turn or look at, and users with verified tokens.

use std::sync::Arc;
use std::time::Duration;

use mcp_token_lifecycle::vault::{
    Account, BoundTo, Credential, CredentialVault, Lease, LeaseError, LeaseRequest, RefreshPolicy,
    RefreshPolicyBuilder, Secret, SecretText, StaticSecret, TokenSet,
};
use mcp_token_lifecycle::{AccessClaims, Clock, MemoryStore, RotationPolicy, Timestamp, TokenStore};

use crate::service::{LIFETIME, Service, access_token, refresh_token};
use crate::sim::Sim;
use crate::support::{Bench, FlakyStore, TestAudit, bench, grant_of, keyring, scope};

pub const SERVICE: &str = "github";

pub type Flaky = Arc<FlakyStore<MemoryStore>>;

pub struct World<S> {
    pub sim: Sim,
    pub store: S,
    pub service: Service,
    pub audit: TestAudit,
    pub vault: CredentialVault<S>,
}

/// Without jitter, so that a token is refreshed at 800 of its 1,000 seconds.
pub fn policy() -> RefreshPolicy {
    builder().build().unwrap()
}

/// The same, for a test that changes something; with clocks that agree, so that a claim ends when its 30 seconds are over.
pub fn builder() -> RefreshPolicyBuilder {
    RefreshPolicy::builder().jitter_percent(0).clock_skew(Duration::ZERO)
}

pub fn world() -> World<Flaky> {
    world_with(Service::default())
}

pub fn world_with(service: Service) -> World<Flaky> {
    world_on(Arc::new(FlakyStore::new(MemoryStore::new())), service)
}

pub fn world_on<S: TokenStore + Clone + 'static>(store: S, service: Service) -> World<S> {
    let (sim, audit) = (Sim::default(), TestAudit::default());
    let service = service.on(&sim);
    let vault = vault_on(&store, &service, &sim, &audit);
    World { sim, store, service, audit, vault }
}

fn vault_on<S: TokenStore + Clone>(store: &S, service: &Service, sim: &Sim, audit: &TestAudit) -> CredentialVault<S> {
    CredentialVault::new(store.clone(), keyring(), sim.runtime())
        .with_provider(SERVICE, service.clone())
        .with_policy(policy())
        .with_clock(sim.clone())
        .with_audit(audit.clone())
}

impl<S: TokenStore + Clone + 'static> World<S> {
    /// The vault of another process on the same store.
    pub fn twin(&self) -> CredentialVault<S> {
        vault_on(&self.store, &self.service, &self.sim, &self.audit)
    }

    pub fn pass(&self, seconds: u64) {
        self.sim.pass(seconds);
    }

    /// The first tokens of user-1, good for 1,000 seconds.
    pub fn put(&self) {
        self.put_for(BoundTo::subject());
    }

    pub fn put_for(&self, owner: BoundTo) {
        self.sim.run(self.vault.put(&account(), self.tokens(), owner)).expect("no fault");
    }

    pub fn tokens(&self) -> Credential {
        tokens(self.sim.now())
    }

    /// What user-1 is leased, as the secret in it.
    pub fn lease(&self) -> Result<String, LeaseError> {
        self.sim.run(self.vault.lease(&user(), &need())).map(|lease| secret(&lease))
    }

    /// A lease, what it sets off, and a second lease: a good token is leased at once, and refreshed in the background.
    pub fn renewed(&self) -> Result<String, LeaseError> {
        let _ = self.lease();
        self.sim.settle();
        self.lease()
    }

    /// What was reported since the last call, in short.
    pub fn told(&self) -> Vec<(&'static str, Option<&'static str>)> {
        let events = self.audit.take();
        events
            .iter()
            .map(|event| (event.action.as_str(), event.reason.as_ref().map(|reason| reason.as_str())))
            .collect()
    }
}

pub fn secret(lease: &Lease) -> String {
    lease.secret().expose().to_owned()
}

pub fn account() -> Account {
    Account::new("user-1", SERVICE)
}

pub fn need() -> LeaseRequest {
    LeaseRequest::new(SERVICE, scope("repo:read"))
}

/// The claims of user-1 in one session.
pub fn user() -> AccessClaims {
    claims_of("user-1", "client-1")
}

/// The claims of a new session.
pub fn claims_of(subject: &str, client_id: &str) -> AccessClaims {
    let issuer: Bench<MemoryStore> = bench(RotationPolicy::standard());
    issuer.lasting_claims(grant_of(subject, client_id))
}

/// The claims of user-1 with a token that was issued just now, for half an hour.
pub fn claims_for_now() -> AccessClaims {
    let issuer: Bench<MemoryStore> = bench(RotationPolicy::standard());
    issuer.claims(&issuer.begin(grant_of("user-1", "client-1")))
}

pub fn secret_text(text: &str) -> SecretText {
    SecretText::new(text)
}

/// The first tokens, good for 1,000 seconds from `now` on.
pub fn tokens(now: Timestamp) -> Credential {
    let end = now.saturating_add(Duration::from_secs(LIFETIME));
    let tokens = TokenSet::new(secret_text(&access_token(0)), scope("repo:read")).expires_at(end);
    Credential::OAuth(tokens.refresh_token(secret_text(&refresh_token(0))))
}

/// A key that allows what `need` needs.
pub fn api_key(text: &str) -> Credential {
    Credential::Static(StaticSecret::new(Secret::ApiKey(secret_text(text)), scope("repo:read")))
}
