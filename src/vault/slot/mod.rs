//! The vault: its configuration and its audit events.
//!
//! | file | what it holds |
//! |---|---|
//! | `lease`, `leasing`, `lease_error` | what a tool asks for, how it gets a lease, why it gets none |
//! | `decision` | serve, refresh, wait or refuse: a pure function |
//! | `refresh`, `settle` | one refresh for all callers, and what it writes to the record: a pure function |
//! | `keeping`, `bound_to`, `info` | put, rotate, introspect and list credentials |
//! | `revoke`, `revocation_progress`, `renewal` | a revocation: in the vault, at the service, and the refresh that it may need |
//! | `aside` | where a pending revocation is stored when a new credential took its place |
//! | `revocation_listener` | revocations that follow the end of a subject, session or client |
//! | `upkeep` | retries of revocations, rewrapping of data keys, the purge |
//! | `held`, `content`, `record`, `root`, `storage` | a credential and its state, as bytes, as a sealed record, and where it is stored |
//! | `outage` | when the store was unreachable |
//! | `error` | faults of the vault |

mod aside;
mod bound_to;
mod content;
pub(crate) mod decision;
mod error;
mod held;
mod info;
mod keeping;
mod lease;
mod lease_decision;
mod lease_error;
mod leasing;
mod outage;
mod record;
mod refresh;
mod renewal;
mod revocation_listener;
mod revocation_progress;
mod revoke;
mod root;
mod settle;
pub(crate) mod state;
mod storage;
mod upkeep;

use rand_core::TryCryptoRng;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

pub use self::bound_to::BoundTo;
pub use self::error::{VaultError, VaultErrorKind};
use self::held::Held;
pub use self::info::{CredentialInfo, CredentialKind, CredentialState};
pub use self::lease::{Lease, LeaseRequest, LeasedSecret};
pub use self::lease_error::LeaseError;
use self::outage::Reach;
pub use self::revocation_listener::RevocationListener;
use self::root::Root;
use super::keys::DataKeys;
use super::{Account, KeyWrapper, RefreshPolicy, Runtime, UpstreamAct, UpstreamProvider, UpstreamReason};
use crate::audit::{Action, AuditEvent, AuditSink, NoAudit, Reason};
use crate::crypto::random::RandomSource;
use crate::grant::AccessClaims;
use crate::store::TokenStore;
use crate::time::{Clock, SystemClock, Timestamp};

/// Holds the credentials of a server's users at other services, in a store that the application chooses.
///
/// A vault keeps no state except its configuration and cached keys. Any number of vaults, in any number of processes,
/// may share one store, also with a [`TokenIssuer`](crate::TokenIssuer). A clone is another handle to the same vault.
///
/// Each method may be cancelled at any point by dropping its future: the store then holds the old state or the new
/// state. A refresh or a revocation that has begun continues in the background, because the service may have replaced
/// the refresh token. If the process crashes, [`retry_revocations`](Self::retry_revocations) completes the revocation.
///
/// ```
/// use mcp_token_lifecycle::vault::*;
/// use mcp_token_lifecycle::{AccessClaims, KeyId, Keyring, MasterKey, MemoryStore, Scope};
///
/// # async fn example(github: impl UpstreamProvider + 'static, claims: &AccessClaims) -> Result<(), Box<dyn std::error::Error>> {
/// let runtime = Runtime::new(tokio::time::sleep, |task| {
///     tokio::spawn(task);
/// });
/// let keyring = Keyring::new(KeyId::new(1), MasterKey::generate()?);
/// let vault = CredentialVault::new(MemoryStore::new(), keyring, runtime).with_provider("github", github);
///
/// // The user has authorized this server at the service.
/// let tokens = TokenSet::new(SecretText::new("gho_…"), Scope::parse("repo:read")?);
/// vault.put(&Account::new("user-1", "github"), Credential::OAuth(tokens), BoundTo::subject()).await?;
///
/// // A tool call, with the claims of a verified token.
/// let lease = vault.lease(claims, &LeaseRequest::new("github", Scope::parse("repo:read")?)).await?;
/// let authorization = format!("Bearer {}", lease.secret().expose());
///
/// // The user leaves.
/// vault.revoke_subject("user-1").await?;
/// # Ok(()) }
/// ```
///
/// # Security
///
/// Each credential is sealed with its own data key, which the [`KeyWrapper`] wraps. An attacker who has only the store
/// learns how many credentials there are, their sizes, which of them share a subject, session or client, and when they
/// change. The attacker learns no subject, service or secret.
pub struct CredentialVault<S> {
    pub(crate) store: Arc<S>,
    pub(crate) runtime: Runtime,
    pub(crate) policy: RefreshPolicy,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rng: RandomSource,
    pub(crate) audit: Arc<dyn AuditSink>,
    pub(crate) keys: Arc<DataKeys>,
    wrapper: Arc<dyn KeyWrapper>,
    providers: HashMap<Arc<str>, Arc<dyn UpstreamProvider>>,
    pub(crate) root: Arc<OnceLock<Root>>,
    pub(crate) reach: Arc<Reach>,
}

impl<S: TokenStore> CredentialVault<S> {
    /// Creates a vault with the [standard](RefreshPolicy::standard) policy, the system's clock and random source, and
    /// no audit sink.
    pub fn new(store: S, wrapper: impl KeyWrapper + 'static, runtime: Runtime) -> Self {
        let (wrapper, policy) = (Arc::new(wrapper), RefreshPolicy::standard());
        Self {
            store: Arc::new(store),
            runtime,
            policy,
            clock: Arc::new(SystemClock),
            rng: RandomSource::default(),
            audit: Arc::new(NoAudit),
            keys: Arc::new(DataKeys::new(wrapper.clone(), policy.data_key_lifetime)),
            wrapper,
            providers: HashMap::new(),
            root: Arc::default(),
            reach: Arc::default(),
        }
    }

    /// Sets the provider for `service`. All processes that share the store should have the same providers.
    #[must_use]
    pub fn with_provider(mut self, service: impl Into<Arc<str>>, provider: impl UpstreamProvider + 'static) -> Self {
        self.providers.insert(service.into(), Arc::new(provider));
        self
    }

    /// Sets the refresh policy.
    #[must_use]
    pub fn with_policy(self, policy: RefreshPolicy) -> Self {
        let keys = Arc::new(DataKeys::new(self.wrapper.clone(), policy.data_key_lifetime));
        Self { policy, keys, ..self }
    }

    /// Sets the clock.
    #[must_use]
    pub fn with_clock(self, clock: impl Clock + 'static) -> Self {
        Self { clock: Arc::new(clock), ..self }
    }

    /// Draws data keys and nonces from `rng` instead of the operating system's generator (`getrandom::SysRng`). A key wrapper has a
    /// source of its own: [`Keyring`](crate::Keyring) uses the operating system's.
    ///
    /// # Security
    ///
    /// A generator that repeats itself repeats nonces, which exposes what was sealed under them. A userspace generator does
    /// that when `fork` or a snapshot of a virtual machine copies its state. Use another generator in tests only.
    #[must_use]
    pub fn with_rng(self, rng: impl TryCryptoRng + Send + 'static) -> Self {
        Self { rng: RandomSource::new(rng), ..self }
    }

    /// Sends audit events to `sink`.
    #[must_use]
    pub fn with_audit(self, sink: impl AuditSink + 'static) -> Self {
        Self { audit: Arc::new(sink), ..self }
    }

    /// Returns the store, for example to run its own maintenance.
    pub fn store(&self) -> &S {
        &self.store
    }

    pub(crate) fn provider(&self, service: &str) -> Option<Arc<dyn UpstreamProvider>> {
        self.providers.get(service).cloned()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn random<const N: usize>(&self) -> Result<[u8; N], VaultError> {
        Ok(self.rng.bytes()?)
    }

    /// Reports that the holder of `claims` got no lease for `account`.
    pub(crate) fn report_refusal(&self, reason: UpstreamReason, claims: &AccessClaims, account: &Account) {
        self.audit.record(&AuditEvent {
            family: Some(claims.family),
            client_id: Some(claims.client_id().into()),
            ..self.event(UpstreamAct::Refuse, Some(reason), account)
        });
    }

    /// Reports an act on `held`.
    pub(crate) fn report(&self, act: UpstreamAct, reason: Option<UpstreamReason>, held: &Held) {
        self.audit.record(&AuditEvent {
            family: held.bound_to.session,
            generation: Some(held.generation),
            client_id: held.bound_to.client_id.clone(),
            ..self.event(act, reason, &held.account)
        });
    }

    fn event(&self, act: UpstreamAct, reason: Option<UpstreamReason>, account: &Account) -> AuditEvent {
        AuditEvent {
            reason: reason.map(Reason::Upstream),
            subject: Some(account.subject.clone()),
            service: Some(account.service.clone()),
            account: account.name.clone(),
            ..AuditEvent::new(self.now(), Action::Upstream(act))
        }
    }
}

// Written by hand, because a derived implementation would require `S: Clone`.
impl<S> Clone for CredentialVault<S> {
    fn clone(&self) -> Self {
        Self {
            store: self.store.clone(),
            runtime: self.runtime.clone(),
            policy: self.policy,
            clock: self.clock.clone(),
            rng: self.rng.clone(),
            audit: self.audit.clone(),
            keys: self.keys.clone(),
            wrapper: self.wrapper.clone(),
            providers: self.providers.clone(),
            root: self.root.clone(),
            reach: self.reach.clone(),
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for CredentialVault<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialVault")
            .field("store", &self.store)
            .field("policy", &self.policy)
            .field("services", &self.providers.keys())
            .finish_non_exhaustive()
    }
}
