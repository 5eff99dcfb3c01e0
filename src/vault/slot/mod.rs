//! The vault: how it is set up, and how it reports.
//!
//! | file | concept |
//! |---|---|
//! | `lease`, `leasing`, `lease_error` | what a tool asks for, how it gets it, why it does not |
//! | `decision` | serve, refresh, wait or refuse: a pure function |
//! | `refresh`, `settle` | one refresh for all, and what becomes of the record after it: a pure function |
//! | `keeping`, `owner`, `info` | put, rotate, introspect, list |
//! | `revoke`, `withdrawal`, `renewal` | the end of a credential: here, at the service, and what that may take |
//! | `aside` | where that is when something new was put in its place |
//! | `cascade` | whose end brings it about |
//! | `upkeep` | revocations that are to be retried, new wrappings, the purge |
//! | `held`, `content`, `record`, `root`, `storage` | a credential as it stands, as bytes, as a sealed record, and where that is |
//! | `outage` | when the store was out of reach |
//! | `error` | faults of the vault's own side |

mod aside;
mod bound_to;
mod content;
mod decision;
mod error;
mod held;
mod info;
mod keeping;
mod lease;
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

/// The credentials that a server holds for its users at other services, in a store of the application's choice.
///
/// It holds no state but its configuration and what it has read of keys: any number of vaults, in any number of processes, may
/// share one store, also with a [`TokenIssuer`](crate::TokenIssuer). A clone is another handle to the same vault.
///
/// Every method may be cancelled at any point by dropping its future: what the store holds is whole. A refresh that was sent goes
/// on without its caller, because the service may have replaced the refresh token, and so does a revocation; what a crash cuts
/// off, [`retry_revocations`](Self::retry_revocations) finishes.
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
/// Every credential is sealed with a data key of its own, which is wrapped by the [`KeyWrapper`]. Whoever has the store alone
/// learns how many credentials there are, of which size, which ones belong together, and when they change; not whose they are.
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
    /// A vault with the [standard](RefreshPolicy::standard) policy, the system's clock and random source, and no audit; each
    /// can be replaced.
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

    /// With a provider for `service`. Every process that shares the store should have the same ones.
    #[must_use]
    pub fn with_provider(mut self, service: impl Into<Arc<str>>, provider: impl UpstreamProvider + 'static) -> Self {
        self.providers.insert(service.into(), Arc::new(provider));
        self
    }

    /// With this policy.
    #[must_use]
    pub fn with_policy(self, policy: RefreshPolicy) -> Self {
        let keys = Arc::new(DataKeys::new(self.wrapper.clone(), policy.data_key_lifetime));
        Self { policy, keys, ..self }
    }

    /// With this clock.
    #[must_use]
    pub fn with_clock(self, clock: impl Clock + 'static) -> Self {
        Self { clock: Arc::new(clock), ..self }
    }

    /// Draws identifiers, secrets and nonces from `rng` instead of the operating system's generator (`getrandom::SysRng`).
    ///
    /// # Security
    ///
    /// A generator that repeats itself repeats nonces, which exposes what was sealed under them. A userspace generator does
    /// that when `fork` or a snapshot of a virtual machine copies its state. Use another generator in tests only.
    #[must_use]
    pub fn with_rng(self, rng: impl TryCryptoRng + Send + 'static) -> Self {
        Self { rng: RandomSource::new(rng), ..self }
    }

    /// With audit events going to `sink`.
    #[must_use]
    pub fn with_audit(self, sink: impl AuditSink + 'static) -> Self {
        Self { audit: Arc::new(sink), ..self }
    }

    /// The store.
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

    /// Report that the holder of `claims` was refused what `account` has.
    pub(crate) fn report_refusal(&self, reason: UpstreamReason, claims: &AccessClaims, account: &Account) {
        self.audit.record(&AuditEvent {
            family: Some(claims.family),
            client_id: Some(claims.client_id().into()),
            ..self.event(UpstreamAct::Refuse, Some(reason), account)
        });
    }

    /// Report an act on `held`.
    pub(crate) fn report(&self, act: UpstreamAct, reason: Option<UpstreamReason>, held: &Held) {
        self.audit.record(&AuditEvent {
            family: held.owner.session,
            generation: Some(held.generation),
            client_id: held.owner.client_id.clone(),
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

// Written out, because a derived one would ask for `S: Clone`.
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
