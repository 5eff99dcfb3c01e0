//! The issuer itself: its parts, and how it loads, seals and writes records.

use super::grant_check::GrantCheck;
use super::store_watch::StoreWatch;
use crate::audit::{Action, AuditEvent, AuditSink, NoAudit, Reason};
use crate::crypto::random::{RandomSource, Randomness};
use crate::decision::{Context, Decision};
use crate::error::{Error, ErrorKind};
use crate::family::TokenFamily;
use crate::grant::Client;
use crate::id::{FamilyId, IssuerId, RecordKey};
use crate::keys::Keyring;
use crate::messages::{Answer, ErrorResponse};
use crate::policy::PolicySet;
use crate::record::sealed::corrupt;
use crate::record::{self, Found, compare_and_swap};
use crate::store::{Commit, DynTokenStore, Record, TokenStore};
use crate::time::{CLOCK_TOLERANCE, Clock, SystemClock};
use crate::token::refresh;
use crate::verifier::AccessVerifier;
use rand_core::TryCryptoRng;
use std::fmt;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use zeroize::Zeroizing;

/// Issues, rotates, revokes and introspects tokens on a store that the application chooses.
///
/// It holds no state but its configuration and what it knows about its own failures. So any number of issuers, in any
/// number of processes, may share one store.
///
/// # Cancellation
///
/// Dropping the future of any method at any point leaves the whole change in the store, or none of it. A retry with the
/// same token gets the same answer, or completes the revocation. Without a leeway
/// ([`strict`](crate::RotationPolicy::strict)) a retry after the change counts as reuse.
///
/// # Errors
///
/// A method returns an [`Error`] if the server has a fault; answer the client with 503.
pub struct TokenIssuer<S = Arc<dyn DynTokenStore>> {
    pub(crate) store: S,
    pub(crate) keyring: Keyring,
    pub(crate) verifier: AccessVerifier,
    pub(crate) policies: PolicySet,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rng: RandomSource,
    pub(crate) audit: Arc<dyn AuditSink>,
    pub(crate) watch: StoreWatch,
    id: OnceLock<IssuerId>,
    pub(super) grant_check: Option<Arc<dyn GrantCheck>>,
    /// Whether the store is known to contain the note of the primary key.
    pub(crate) has_noted_key: AtomicBool,
}

impl<S: TokenStore> TokenIssuer<S> {
    /// Creates an issuer with the [standard](crate::RotationPolicy::standard) policy, the system's clock and random
    /// source, and no audit sink. The `with_…` methods replace each of them.
    pub fn new(store: S, keyring: Keyring) -> Self {
        Self {
            store,
            verifier: AccessVerifier::from(&keyring),
            keyring,
            policies: PolicySet::default(),
            clock: Arc::new(SystemClock),
            rng: RandomSource::default(),
            audit: Arc::new(NoAudit),
            watch: StoreWatch::default(),
            id: OnceLock::new(),
            grant_check: None,
            has_noted_key: AtomicBool::new(false),
        }
    }

    /// Sets the policies.
    #[must_use]
    pub fn with_policies(self, policies: impl Into<PolicySet>) -> Self {
        Self { policies: policies.into(), ..self }
    }

    /// Sets the clock.
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

    /// Sets the sink that receives the audit events.
    #[must_use]
    pub fn with_audit(self, sink: impl AuditSink + 'static) -> Self {
        Self { audit: Arc::new(sink), ..self }
    }

    /// Sets a check of the grant before each redemption and refresh.
    #[must_use]
    pub fn with_grant_check(self, check: impl GrantCheck + 'static) -> Self {
        Self { grant_check: Some(Arc::new(check)), ..self }
    }

    /// Returns the verifier for the per-request path.
    pub fn verifier(&self) -> &AccessVerifier {
        &self.verifier
    }

    /// Returns the store.
    pub fn store(&self) -> &S {
        &self.store
    }
}

/// Functions that all parts of the issuer share.
impl<S: TokenStore> TokenIssuer<S> {
    pub(crate) fn context(&self) -> Context<'_> {
        Context {
            policies: &self.policies,
            key_id: self.keyring.primary_id(),
            issuer: self.id(),
            now: self.clock.now(),
            outages: self.watch.outages(),
            unanswered: None,
        }
    }

    /// Returns the context of a decision on `family`. Its time is never earlier than the latest time in the record.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ClockSkew`] if the clock is too far behind the record: windows that have ended would stay open.
    pub(crate) fn context_for(&self, family: &TokenFamily) -> Result<Context<'_>, Error> {
        let (cx, latest) = (self.context(), family.latest());
        if latest > cx.now.saturating_add(CLOCK_TOLERANCE) {
            return Err(Error::new(ErrorKind::ClockSkew));
        }
        Ok(Context { now: cx.now.max(latest), unanswered: self.watch.unanswered(family.id), ..cx })
    }

    fn id(&self) -> IssuerId {
        // Without randomness no token is issued, so no token has the issuer number zero.
        let drawn = || Some(IssuerId(u32::from_le_bytes(*self.draw().ok()?.access_nonce.first_chunk()?)));
        let known = self.id.get().copied();
        known.or_else(|| drawn().map(|id| *self.id.get_or_init(|| id))).unwrap_or_default()
    }

    pub(crate) fn report(&self, event: AuditEvent) {
        self.audit.record(&event);
    }

    /// Refuses a request without a decision; `family` is the one that the token claims to belong to.
    pub(crate) fn refuse(&self, reason: Reason, client: &Client, family: Option<FamilyId>) -> Answer {
        let event = AuditEvent::new(self.clock.now(), Action::Deny).because(reason);
        self.report(AuditEvent { client_id: Some(client.shared_id()), family, ..event });
        Answer::Deny(ErrorResponse::new(reason.code()))
    }

    /// Reads the record under `key`. Its seal authenticates the key that it contains, so that key must be compared with
    /// the requested one.
    pub(crate) async fn get(&self, key: RecordKey) -> Result<Option<Record>, Error> {
        let found = self.watch.observe(&*self.clock, self.store.get(key)).await?;
        if found.as_ref().is_none_or(|record| record.key == key) { Ok(found) } else { Err(corrupt()) }
    }

    pub(crate) async fn load(&self, id: FamilyId) -> Result<Option<Found>, Error> {
        self.get(id.record_key()).await?.map(|record| record::open(record, &self.keyring)).transpose()
    }

    /// Writes `record`. Returns `None` if it met a conflict.
    pub(crate) async fn commit(&self, record: Record) -> Result<Option<()>, Error> {
        match self.watch.observe(&*self.clock, self.store.commit(record)).await? {
            Commit::Applied => Ok(Some(())),
            Commit::Conflict => Ok(None),
        }
    }

    /// Writes what `next` makes of the record under `key`. Returns whether there was a write.
    pub(crate) async fn replace(
        &self,
        key: RecordKey,
        next: impl Fn(Option<Record>) -> Result<Option<Record>, Error> + Sync,
    ) -> Result<bool, Error> {
        compare_and_swap(async || match next(self.get(key).await?)? {
            Some(record) => Ok(self.commit(record).await?.map(|()| true)),
            None => Ok(Some(false)),
        })
        .await
    }

    /// Decides on the family `id` by `decide`, and writes and reports the decision. Returns the verdict, or `None` if
    /// there is no such family or `decide` returns `None`.
    pub(super) async fn decide<T>(
        &self,
        id: FamilyId,
        decide: impl Fn(&TokenFamily) -> Result<Option<Decision<T>>, Error> + Sync,
    ) -> Result<Option<T>, Error> {
        compare_and_swap(async || {
            let Some(found) = self.load(id).await? else { return Ok(Some(None)) };
            let Some(Decision { write, verdict, event }) = decide(&found.family)? else { return Ok(Some(None)) };
            if let Some(next) = write
                && self.write(&next, Some(found), &self.draw()?).await?.is_none()
            {
                return Ok(None);
            }
            event.into_iter().for_each(|event| self.report(event));
            Ok(Some(Some(verdict)))
        })
        .await
    }

    pub(super) async fn insert(&self, family: &TokenFamily, draw: &Randomness) -> Result<(), Error> {
        // In a conflict two families have the same random id, so the random source repeats itself.
        self.write(family, None, draw).await?.ok_or_else(|| Error::new(ErrorKind::Entropy))
    }

    /// Writes `next` as the next version of `found`, or as a new record if there is none. Returns `None` if the write
    /// met a conflict.
    pub(crate) async fn write(
        &self,
        next: &TokenFamily,
        found: Option<Found>,
        draw: &Randomness,
    ) -> Result<Option<()>, Error> {
        let primary = self.keyring.primary();
        let keys = found.as_ref().map_or(primary, |found| self.keyring.for_next_version(found.sealed_with));
        if found.as_ref().is_none_or(|found| found.sealed_with != keys.id) {
            self.note_primary_key().await?;
        }
        let version = found.as_ref().map_or(0, |found| found.version).saturating_add(1);
        // The subject and client of a family never change. So its index keys change only if the key of the record does.
        let kept = found.filter(|found| found.sealed_with == keys.id).map(|found| found.indexes);
        let indexes = kept.unwrap_or_else(|| record::indexes(next, keys));
        let expires_at = next.purge_at(&self.policies.lifetimes(&next.grant));
        let record = record::seal(next, version, expires_at, indexes, keys, &draw.record_nonce)?;
        self.commit(record).await
    }

    pub(super) fn derive(&self, family: &TokenFamily) -> Result<Zeroizing<String>, Error> {
        refresh::derive(family, &self.keyring).ok_or_else(|| Error::new(ErrorKind::UnknownKey(family.key_id)))
    }

    pub(crate) fn draw(&self) -> Result<Randomness, Error> {
        Ok(Randomness::from(&self.rng)?)
    }
}

impl<S: fmt::Debug> fmt::Debug for TokenIssuer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenIssuer")
            .field("store", &self.store)
            .field("keyring", &self.keyring)
            .field("policies", &self.policies)
            .finish_non_exhaustive()
    }
}
