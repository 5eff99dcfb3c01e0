//! The vault: how it is set up, how a record is read and written.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, OnceLock};

use zeroize::Zeroizing;

use super::audit::{UpstreamAct, UpstreamReason};
use super::content;
use super::credential::Account;
use super::data_keys::DataKeys;
use super::held::Held;
use super::key_wrapper::KeyWrapper;
use super::policy::RefreshPolicy;
use super::provider::UpstreamProvider;
use super::record::{self, Envelope, context};
use super::root::Root;
use super::runtime::Runtime;
use super::vault_error::{VaultError, corrupt};
use crate::audit::{Action, AuditEvent, AuditSink, NoAudit, Reason};
use crate::claims::AccessClaims;
use crate::entropy::{Entropy, OsEntropy, random};
use crate::issuer::PAGE;
use crate::store::{Commit, IndexKey, Record, RecordKey, Select, TokenStore};
use crate::time::{Clock, SystemClock, Timestamp};

/// The credentials that a server holds for its users at other services, in a store of the application's choice.
///
/// It holds no state but its configuration and what it has read of keys: any number of vaults, in any number of processes, may
/// share one store, also with a [`TokenIssuer`](crate::TokenIssuer). A clone is another handle to the same vault.
///
/// Every method may be cancelled at any point by dropping its future: what the store holds is whole. A refresh that was sent goes
/// on without its caller, because the service may have replaced the refresh token; a revocation that was begun is finished by
/// [`retry_revocations`](Self::retry_revocations).
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
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) audit: Arc<dyn AuditSink>,
    pub(crate) keys: Arc<DataKeys>,
    wrapper: Arc<dyn KeyWrapper>,
    providers: HashMap<Arc<str>, Arc<dyn UpstreamProvider>>,
    root: Arc<OnceLock<Root>>,
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
            entropy: Arc::new(OsEntropy),
            audit: Arc::new(NoAudit),
            keys: Arc::new(DataKeys::new(wrapper.clone(), policy.data_key_lifetime)),
            wrapper,
            providers: HashMap::new(),
            root: Arc::default(),
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

    /// With this random source.
    #[must_use]
    pub fn with_entropy(self, entropy: impl Entropy + 'static) -> Self {
        Self { entropy: Arc::new(entropy), ..self }
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
        Ok(random(&*self.entropy)?)
    }

    /// Report that the holder of `claims` was refused what `account` has.
    pub(crate) fn report_refusal(&self, reason: UpstreamReason, claims: &AccessClaims, account: &Account) {
        self.audit.record(&AuditEvent {
            family: Some(claims.family),
            client_id: Some(claims.client_id.clone()),
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
            ..AuditEvent::new(self.now(), Action::Upstream(act))
        }
    }
}

/// Where a record is, or would be, and what a write of it needs.
pub(crate) struct Place {
    pub(crate) key: RecordKey,
    /// The version that a write has to replace; 0 if there is none.
    version: u64,
    /// The data key that it goes on with; without one the write makes a new one.
    envelope: Option<Envelope>,
}

impl Place {
    /// Where there is nothing yet.
    pub(crate) fn empty(key: RecordKey) -> Self {
        Self { key, version: 0, envelope: None }
    }

    /// The same place, for another credential: it gets a data key of its own.
    pub(crate) fn with_new_key(self) -> Self {
        Self { envelope: None, ..self }
    }
}

/// Reading and writing.
impl<S: TokenStore> CredentialVault<S> {
    /// What `account` has, and where.
    pub(crate) async fn find(&self, account: &Account) -> Result<(Place, Option<Held>), VaultError> {
        let (place, held) = self.load(self.root().await?.locate(account)).await?;
        if held.as_ref().is_none_or(|held| held.account == *account) { Ok((place, held)) } else { Err(corrupt()) }
    }

    /// What is in the record under `key`: nothing if there is no such record, or its credential is gone.
    pub(crate) async fn load(&self, key: RecordKey) -> Result<(Place, Option<Held>), VaultError> {
        match self.store.get(key).await? {
            None => Ok((Place::empty(key), None)),
            Some(record) if record.key == key => self.open(&record).await,
            Some(_) => Err(corrupt()),
        }
    }

    /// What is in `record`.
    pub(crate) async fn open(&self, record: &Record) -> Result<(Place, Option<Held>), VaultError> {
        let (envelope, content) = self.unseal(record).await?;
        let place = Place { key: record.key, version: record.version, envelope: Some(envelope) };
        Ok((place, content::decode(&content)?))
    }

    async fn unseal(&self, record: &Record) -> Result<(Envelope, Zeroizing<Vec<u8>>), VaultError> {
        let wrapped = record::wrapped(record)?;
        let keys = self.keys.open(&wrapped, &context(record.key), self.now()).await?;
        let content = record::open(record, &keys)?;
        Ok((Envelope { wrapped, keys }, content))
    }

    /// Write `held`, or that it is gone, where `place` says.
    pub(crate) async fn write(&self, place: &Place, held: Option<&Held>) -> Result<Commit, VaultError> {
        let (indexes, expires_at) = match held {
            Some(held) => (self.root().await?.indexes(held), FOR_EVER),
            // The next purge deletes it.
            None => (Vec::new(), self.now()),
        };
        let content = content::encode(held)?;
        self.commit(place, indexes, expires_at, &content).await
    }

    async fn commit(
        &self,
        place: &Place,
        indexes: Vec<IndexKey>,
        expires_at: Timestamp,
        content: &[u8],
    ) -> Result<Commit, VaultError> {
        let envelope = match &place.envelope {
            Some(envelope) => envelope.clone(),
            None => {
                let (wrapped, keys) = self.keys.make(&context(place.key), &*self.entropy, self.now()).await?;
                Envelope { wrapped, keys }
            }
        };
        let record = Record::new(place.key, place.version.saturating_add(1), expires_at, indexes, Vec::new());
        let record = record::seal(record, content, &envelope, &self.random()?)?;
        Ok(self.store.commit(record).await?)
    }

    /// Every record listed under `index`, by its key, and what kept one from being read.
    pub(crate) async fn listed(
        &self,
        index: IndexKey,
    ) -> Result<(BTreeMap<RecordKey, Held>, Option<VaultError>), VaultError> {
        let (mut all, mut fault, mut after) = (BTreeMap::new(), None, None);
        loop {
            let page = self.store.list(Select::Index(index), after, PAGE).await?;
            // The seal vouches for the index keys of a record; the store's word alone would not do.
            for record in page.records.iter().filter(|record| record.indexes.contains(&index)) {
                match self.open(record).await {
                    Ok((place, held)) => all.extend(held.map(|held| (place.key, held))),
                    Err(error) if error.is_about_one_record() => fault = Some(error),
                    Err(error) => return Err(error),
                }
            }
            after = page.next;
            if after.is_none() {
                return Ok((all, fault));
            }
        }
    }

    /// The root, read once; made by the first vault that finds none.
    pub(crate) async fn root(&self) -> Result<&Root, VaultError> {
        if let Some(root) = self.root.get() {
            return Ok(root);
        }
        let root = loop {
            match self.store.get(Root::place()).await? {
                Some(record) if record.key == Root::place() => {
                    let (_, secret) = self.unseal(&record).await?;
                    let secret: &[u8; Root::LEN] = secret.as_slice().try_into().map_err(|_| corrupt())?;
                    break Root::derive(secret);
                }
                Some(_) => return Err(corrupt()),
                None => {
                    let secret = Zeroizing::new(self.random::<{ Root::LEN }>()?);
                    let made = self.commit(&Place::empty(Root::place()), Vec::new(), FOR_EVER, secret.as_ref()).await?;
                    if made == Commit::Apply {
                        break Root::derive(&secret);
                    }
                }
            }
        };
        Ok(self.root.get_or_init(|| root))
    }
}

const FOR_EVER: Timestamp = Timestamp::from_unix(i64::MAX as u64);

// Written out, because a derived one would ask for `S: Clone`.
impl<S> Clone for CredentialVault<S> {
    fn clone(&self) -> Self {
        Self {
            store: self.store.clone(),
            runtime: self.runtime.clone(),
            policy: self.policy,
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
            audit: self.audit.clone(),
            keys: self.keys.clone(),
            wrapper: self.wrapper.clone(),
            providers: self.providers.clone(),
            root: self.root.clone(),
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
