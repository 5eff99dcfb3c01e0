//! The vault: its configuration and its audit events.
//!
//! | file | what it holds |
//! |---|---|
//! | `state` | the slot of one account: the secret that is leased, and those that are still to be revoked |
//! | `event`, `decision/`, `outcome` | what happens to a slot, and what that leads to: a pure function |
//! | `runner` | reads, decides, writes, reports, and sends the requests that follow |
//! | `entry` | a slot as it was read from the store |
//! | `leasing`, `keeping`, `revoking`, `upkeep` | what the application does with the vault |
//! | `in_flight` | what runs in the background |

pub(crate) mod decision;
mod entry;
pub(crate) mod event;
mod in_flight;
mod keeping;
mod leasing;
pub(crate) mod outcome;
pub(crate) mod revoking;
mod runner;
pub(crate) mod state;
mod upkeep;

use rand_core::TryCryptoRng;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use futures_channel::oneshot::Receiver;

use self::in_flight::InFlight;
use self::outcome::Report;
use self::state::{Held, OperationId};
use super::keys::DataKeys;
use super::record::Root;
use super::{Account, KeyWrapper, RefreshPolicy, Runtime, UpstreamAct, UpstreamProvider, UpstreamReason, VaultError};
use crate::audit::{Action, AuditEvent, AuditSink, NoAudit, Reason};
use crate::crypto::random::RandomSource;
use crate::grant::AccessClaims;
use crate::issuer::StoreWatch;
use crate::store::TokenStore;
use crate::time::{Clock, SystemClock, Timestamp};

/// Holds the credentials of a server's users at other services, in a store that the application chooses.
///
/// A vault keeps no state except its configuration and cached keys. Any number of vaults, in any number of processes,
/// may share one store, also with a [`TokenIssuer`](crate::TokenIssuer). A clone is another handle to the same vault.
///
/// Each method may be cancelled at any point by dropping its future: the store then holds the old state or the new
/// state. A refresh or a revocation that has begun continues in the background, because the service may have replaced
/// the refresh token; [`drain`](Self::drain) waits for it at shutdown. If the process crashes,
/// [`retry_revocations`](Self::retry_revocations) completes the revocation.
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
    pub(crate) watch: Arc<StoreWatch>,
    in_flight: InFlight,
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
            watch: Arc::new(StoreWatch::patient()),
            in_flight: InFlight::default(),
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

    /// Draws data keys and nonces from `rng` instead of the operating system's generator (`getrandom::SysRng`). A key
    /// wrapper has a source of its own: [`Keyring`](crate::Keyring) uses the operating system's.
    ///
    /// # Security
    ///
    /// A generator that repeats itself repeats nonces, which exposes what was sealed under them. A userspace generator
    /// does that when `fork` or a snapshot of a virtual machine copies its state. Use another generator in tests only.
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

    /// Waits until no refresh and no revocation runs in the background. Call it at shutdown, after the last request.
    ///
    /// It takes at most the policy's [`claim`](crate::vault::RefreshPolicyBuilder::claim) while the store answers, and
    /// five minutes more while it does not.
    pub async fn drain(&self) {
        self.in_flight.drained().await;
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

    /// A name for a new operation.
    pub(crate) fn operation(&self) -> Result<OperationId, VaultError> {
        Ok(OperationId(self.random()?))
    }

    /// Runs `task` in the background, where it also ends if the receiver is dropped.
    pub(crate) fn in_background<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> Receiver<T> {
        let flight = self.in_flight.begin();
        self.runtime.in_background(async move {
            let _flight = flight;
            task.await
        })
    }

    /// Reports an act on a secret of `account`.
    pub(crate) fn report(&self, act: UpstreamAct, reason: Option<UpstreamReason>, account: &Account, held: &Held) {
        self.audit.record(&AuditEvent {
            family: held.bound_to.session,
            generation: Some(held.generation),
            client_id: held.bound_to.client_id.clone(),
            ..self.event(act, reason, account)
        });
    }

    pub(crate) fn report_all(&self, reports: &[Report], account: &Account) {
        reports.iter().for_each(|report| self.report(report.act, report.reason, account, &report.held));
    }

    /// An event about `account`.
    pub(crate) fn event(&self, act: UpstreamAct, reason: Option<UpstreamReason>, account: &Account) -> AuditEvent {
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
            watch: self.watch.clone(),
            in_flight: self.in_flight.clone(),
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
