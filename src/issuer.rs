//! Load, decide, commit, respond: the only asynchronous code of the core.

use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use zeroize::Zeroizing;

use crate::audit::{Action, AuditEvent, AuditSink, NoAudit, Reason};
use crate::client::{Binding, Client};
use crate::decision::{self, Ask, Context, Decision, Issue, Redemption, Verdict};
use crate::entropy::{Draw, Entropy, OsEntropy, random};
use crate::error::{Error, ErrorKind};
use crate::family::{CodeCheck, FamilyId, FamilySecret, IssuerId, TokenFamily};
use crate::grant::Grant;
use crate::grant_check::{GrantCheck, Standing};
use crate::keyring::Keyring;
use crate::outage::{StoreWatch, Unanswered};
use crate::policy::PolicySet;
use crate::record::{self, Found};
use crate::request::{AuthorizeRequest, RedeemRequest, RefreshRequest, Wants};
use crate::response::{Answer, ErrorResponse, TokenResponse, TokenType};
use crate::sealed::corrupt;
use crate::store::{Commit, Record, RecordKey, TokenStore};
use crate::time::{CLOCK_TOLERANCE, Clock, SystemClock, Timestamp};
use crate::token::{AccessToken, AuthorizationCode, Genuine, Presented, RefreshToken, access, refresh};
use crate::verifier::AccessVerifier;

/// How often a write is decided anew after it met a conflict. Each conflict means that somebody else's write went through.
pub(crate) const MAX_ATTEMPTS: usize = 128;

/// Records a page: enough to make round trips rare, little enough to hold.
pub(crate) const PAGE: usize = 256;

/// Issues, rotates, revokes and introspects tokens on a store of the application's choice.
///
/// It holds no state but its configuration and what it knows of its own failures: any number of issuers, in any number of processes, may share one store.
/// Every method may be cancelled at any point by dropping its future: the store then has the whole change or none of it, and a
/// retry with the same token gets the same answer, or completes the revocation. Without a leeway
/// ([`strict`](crate::RotationPolicy::strict)) a retry that comes after the change counts as reuse.
///
/// # Errors
///
/// Each method fails with an [`Error`] where the server is at fault, which is to be answered with 503.
pub struct TokenIssuer<S> {
    pub(crate) store: S,
    pub(crate) keyring: Keyring,
    pub(crate) verifier: AccessVerifier,
    pub(crate) policies: PolicySet,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) audit: Arc<dyn AuditSink>,
    pub(crate) watch: StoreWatch,
    id: OnceLock<IssuerId>,
    grant_check: Option<Arc<dyn GrantCheck>>,
    /// Whether the store is known to have the note of the primary key.
    pub(crate) has_noted_key: AtomicBool,
}

impl<S: TokenStore> TokenIssuer<S> {
    /// An issuer with the [standard](crate::RotationPolicy::standard) policy, the system's clock and random source, and no
    /// audit; each can be replaced.
    pub fn new(store: S, keyring: Keyring) -> Self {
        Self {
            store,
            verifier: AccessVerifier::from(&keyring),
            keyring,
            policies: PolicySet::default(),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(OsEntropy),
            audit: Arc::new(NoAudit),
            watch: StoreWatch::default(),
            id: OnceLock::new(),
            grant_check: None,
            has_noted_key: AtomicBool::new(false),
        }
    }

    /// With these policies.
    #[must_use]
    pub fn with_policies(self, policies: impl Into<PolicySet>) -> Self {
        Self { policies: policies.into(), ..self }
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

    /// With a check of the grant before every redemption and refresh.
    #[must_use]
    pub fn with_grant_check(self, check: impl GrantCheck + 'static) -> Self {
        Self { grant_check: Some(Arc::new(check)), ..self }
    }

    /// The verifier for the per-request path.
    pub fn verifier(&self) -> &AccessVerifier {
        &self.verifier
    }

    /// The store.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// Begin a family with an authorization code, once the user has consented.
    pub async fn authorize(&self, request: AuthorizeRequest<'_>) -> Result<AuthorizationCode, Error> {
        let AuthorizeRequest { grant, challenge, redirect_uri, binding } = request;
        let cx = self.context();
        let check = CodeCheck::new(challenge, redirect_uri);
        let family = TokenFamily::begin(self.new_family()?, grant, Some(check), binding, &cx);
        let code = AuthorizationCode::new(self.derive(&family)?);
        self.insert(&family, &self.draw()?).await?;
        self.report(AuditEvent::on_family(cx.now, Action::Authorize, &family));
        Ok(code)
    }

    /// Begin a family with tokens at once, for an application that has its own way to log in.
    pub async fn issue(&self, grant: Grant, binding: Option<Binding>) -> Result<TokenResponse, Error> {
        let cx = self.context();
        let family = TokenFamily::begin(self.new_family()?, grant, None, binding, &cx);
        let draw = self.draw()?;
        let response = self.respond(decision::issue(&family, &cx), cx.now, &draw)?;
        self.insert(&family, &draw).await?;
        self.report(AuditEvent::on_family(cx.now, Action::Issue, &family));
        Ok(response)
    }

    /// Redeem an authorization code for the first tokens of its family.
    pub async fn redeem(&self, request: &RedeemRequest<'_>) -> Result<Answer, Error> {
        let RedeemRequest { client, code, redirect_uri, code_verifier, scope, resources, binding } = request;
        let wants = match Wants::parse(*scope, resources) {
            Ok(wants) => wants,
            Err(reason) => return Ok(self.refuse(reason, client, None)),
        };
        let proof = Redemption { code_verifier, redirect_uri: *redirect_uri };
        let ask = wants.ask(client, binding.as_ref());
        let presented = Presented::code(code, &self.keyring);
        self.exchange(presented.as_ref(), &ask, &|family, token, cx| decision::redeem(family, token, &proof, &ask, cx))
            .await
    }

    /// Rotate a refresh token.
    pub async fn refresh(&self, request: &RefreshRequest<'_>) -> Result<Answer, Error> {
        let RefreshRequest { client, refresh_token, scope, resources, binding } = request;
        let wants = match Wants::parse(*scope, resources) {
            Ok(wants) => wants,
            Err(reason) => return Ok(self.refuse(reason, client, None)),
        };
        let ask = wants.ask(client, binding.as_ref());
        let presented = Presented::refresh_token(refresh_token, &self.keyring);
        self.exchange(presented.as_ref(), &ask, &|family, token, cx| decision::refresh(family, token, &ask, cx)).await
    }

    /// Load, authenticate, decide, commit, respond; again from the start if the commit met a conflict.
    ///
    /// What was presented is borrowed: moved into this future it would leave a copy of the MAC behind.
    async fn exchange(
        &self,
        presented: Option<&Presented>,
        ask: &Ask<'_>,
        // One future for both: they are long.
        decide: &(dyn Fn(&TokenFamily, &Genuine, &Context<'_>) -> Decision + Sync),
    ) -> Result<Answer, Error> {
        let Some(presented) = presented else { return Ok(self.refuse(Reason::Malformed, ask.client, None)) };
        for _ in 0..MAX_ATTEMPTS {
            let Some(found) = self.load(presented.family()).await? else {
                return Ok(self.refuse(Reason::UnknownFamily, ask.client, Some(presented.family())));
            };
            let Some(token) = presented.authenticate(&found.family, &self.keyring) else {
                return Ok(self.refuse(Reason::Forged, ask.client, Some(presented.family())));
            };
            let cx = self.context_for(&found.family)?;
            let decision = decide(&found.family, &token, &cx);
            if let Some(answer) = self.carry_out(found, decision, ask, &cx).await? {
                return Ok(answer);
            }
        }
        Err(Error::new(ErrorKind::Contention))
    }

    /// `None` if the write met a conflict.
    async fn carry_out(
        &self,
        found: Found,
        decision: Decision,
        ask: &Ask<'_>,
        cx: &Context<'_>,
    ) -> Result<Option<Answer>, Error> {
        let Decision { write, verdict, event } = decision;
        let (draw, mut fault) = (self.draw()?, None);
        let answer = match verdict {
            Verdict::Issue(issue) => {
                if self.standing(&issue.family, ask.client).await? == Standing::Withdrawn {
                    let event = AuditEvent::on_family(cx.now, Action::Deny, &found.family);
                    self.report(event.because(Reason::GrantWithdrawn));
                    return Ok(Some(Answer::Deny(ErrorResponse::new(Reason::GrantWithdrawn.code()))));
                }
                // Everything that can fail comes before the commit, so that a failure consumes nothing.
                Answer::Issue(self.respond(issue, cx.now, &draw)?)
            }
            Verdict::RevokeSubject(code) => {
                // The other families first: should this be cut off, the spent token still sets it off again.
                match self.revoke_others(&found.family).await {
                    Err(error) if error.is_about_one_record() => fault = Some(error),
                    revoked => revoked?,
                }
                Answer::Deny(ErrorResponse::new(code))
            }
            Verdict::Deny(code) => Answer::Deny(ErrorResponse::new(code)),
        };
        let issues = matches!(answer, Answer::Issue(_));
        match write {
            Some(next) => {
                let id = next.id;
                let is_new = issues && next.generation > found.family.generation;
                let owed = is_new.then(|| self.watch.expect_answer(id, next.generation));
                let commit = self.write(&next, Some(found), &draw).await;
                // An uncertain write leaves a note: it may have happened, and its answer is not given.
                if !matches!(&commit, Err(error) if error.kind() == ErrorKind::StoreUncertain) {
                    owed.into_iter().for_each(Unanswered::settle);
                }
                if commit? == Commit::Conflict {
                    return Ok(None);
                }
                if issues {
                    self.watch.answered(id);
                }
            }
            // A revocation may have come since the record was read: while the grant was checked, for instance.
            None if issues && !self.is_unchanged(&found).await? => return Ok(None),
            None if issues => self.watch.answered(found.family.id),
            None => {}
        }
        event.into_iter().for_each(|event| self.report(event));
        fault.map_or(Ok(Some(answer)), Err)
    }

    /// Whether the record is still the one that was found.
    async fn is_unchanged(&self, found: &Found) -> Result<bool, Error> {
        let now = self.get(found.family.id.record_key()).await?;
        Ok(now.is_some_and(|record| record.version == found.version))
    }

    async fn standing(&self, family: &TokenFamily, client: &Client) -> Result<Standing, Error> {
        match &self.grant_check {
            None => Ok(Standing::Good),
            Some(check) => check.check(family, client).await.map_err(Error::grant_check),
        }
    }

    /// The response that hands out what was decided.
    fn respond(&self, issue: Issue, now: Timestamp, draw: &Draw) -> Result<TokenResponse, Error> {
        let claims = issue.claims(now, draw.jitter);
        let (keys, id) = (self.verifier.keys(), self.keyring.primary_id());
        let access_token = access::seal(&claims, keys, id, &draw.access_nonce).ok_or_else(corrupt)?;
        Ok(TokenResponse {
            access_token: AccessToken::new(access_token),
            token_type: TokenType::for_binding(issue.family.binding()),
            expires_in: claims.expires_at.since(now).as_secs(),
            refresh_token: RefreshToken::new(self.derive(&issue.family)?),
            scope: issue.scope,
            refresh_token_timeout: issue.idle.as_secs(),
            authorization_expires_in: issue.absolute.as_secs(),
            retry: issue.retry,
        })
    }
}

/// What is shared with the management side.
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

    /// The context of a decision on `family`, in whose time nothing goes back.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ClockSkew`]: a clock that is far behind the record's would keep windows open that are over.
    pub(crate) fn context_for(&self, family: &TokenFamily) -> Result<Context<'_>, Error> {
        let (cx, latest) = (self.context(), family.latest());
        if latest > cx.now.saturating_add(CLOCK_TOLERANCE) {
            return Err(Error::new(ErrorKind::ClockSkew));
        }
        Ok(Context { now: cx.now.max(latest), unanswered: self.watch.unanswered(family.id), ..cx })
    }

    fn id(&self) -> IssuerId {
        // Without randomness nothing is issued, so nothing bears the number zero.
        let drawn = || Some(IssuerId(u32::from_le_bytes(*self.draw().ok()?.access_nonce.first_chunk()?)));
        let known = self.id.get().copied();
        known.or_else(|| drawn().map(|id| *self.id.get_or_init(|| id))).unwrap_or_default()
    }

    pub(crate) fn report(&self, event: AuditEvent) {
        self.audit.record(&event);
    }

    /// Refuse a request without a decision; `family` is the one that the token claims to belong to.
    pub(crate) fn refuse(&self, reason: Reason, client: &Client, family: Option<FamilyId>) -> Answer {
        let event = AuditEvent::new(self.clock.now(), Action::Deny).because(reason);
        self.report(AuditEvent { client_id: Some(client.shared_id()), family, ..event });
        Answer::Deny(ErrorResponse::new(reason.code()))
    }

    /// The record under `key`. Its seal vouches for the key that it carries, and not that it is the one that was asked for.
    pub(crate) async fn get(&self, key: RecordKey) -> Result<Option<Record>, Error> {
        let found = self.watch.observe(&*self.clock, self.store.get(key)).await?;
        if found.as_ref().is_none_or(|record| record.key == key) { Ok(found) } else { Err(corrupt()) }
    }

    pub(crate) async fn load(&self, id: FamilyId) -> Result<Option<Found>, Error> {
        self.get(id.record_key()).await?.map(|record| record::open(record, &self.keyring)).transpose()
    }

    async fn insert(&self, family: &TokenFamily, draw: &Draw) -> Result<(), Error> {
        match self.write(family, None, draw).await? {
            Commit::Apply => Ok(()),
            // Two families with one random id: the random source repeats itself.
            Commit::Conflict => Err(Error::new(ErrorKind::Entropy)),
        }
    }

    /// Write `next` in the place of what was found, or where there is nothing yet.
    pub(crate) async fn write(&self, next: &TokenFamily, found: Option<Found>, draw: &Draw) -> Result<Commit, Error> {
        let primary = self.keyring.primary();
        let keys = found.as_ref().map_or(primary, |found| self.keyring.for_next_version(found.sealed_with));
        if found.as_ref().is_none_or(|found| found.sealed_with != keys.id) {
            self.note_primary_key().await?;
        }
        let version = found.as_ref().map_or(0, |found| found.version).saturating_add(1);
        // Subject and client of a family never change, so neither do its index keys, unless the key does.
        let kept = found.filter(|found| found.sealed_with == keys.id).map(|found| found.indexes);
        let indexes = kept.unwrap_or_else(|| record::indexes(next, keys));
        let expires_at = next.purge_at(&self.policies.lifetimes(&next.grant));
        let record = record::seal(next, version, expires_at, indexes, keys, &draw.record_nonce)?;
        self.watch.observe(&*self.clock, self.store.commit(record)).await
    }

    fn derive(&self, family: &TokenFamily) -> Result<Zeroizing<String>, Error> {
        refresh::derive(family, &self.keyring).ok_or_else(|| Error::new(ErrorKind::UnknownKey(family.key_id)))
    }

    pub(crate) fn draw(&self) -> Result<Draw, Error> {
        Ok(Draw::from(&*self.entropy)?)
    }

    fn new_family(&self) -> Result<(FamilyId, FamilySecret), Error> {
        Ok((FamilyId::from_bytes(random(&*self.entropy)?), FamilySecret::new(random(&*self.entropy)?)))
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
