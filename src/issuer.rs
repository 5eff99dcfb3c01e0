//! Load, decide, commit, respond: the only asynchronous code of the core.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::audit::{Action, AuditEvent, AuditSink, NoAudit, Reason};
use crate::client::{Binding, Client};
use crate::crypto::Aead;
use crate::decision::{self, Ask, Context, Decision, Issue, Redemption, Verdict};
use crate::entropy::{Entropy, OsEntropy, random};
use crate::error::{Error, ErrorKind};
use crate::family::{FamilyId, FamilyRandom, TokenFamily};
use crate::grant::{Grant, GrantError, Resource, Scope};
use crate::keyring::Keyring;
use crate::policy::PolicySet;
use crate::record::{self, Found};
use crate::request::{AuthorizeRequest, RedeemRequest, RefreshRequest};
use crate::response::{Answer, ErrorResponse, IntrospectionResponse, TokenResponse, TokenType};
use crate::store::{BoxFuture, Commit, TokenStore};
use crate::time::{Clock, SystemClock, Timestamp};
use crate::token::{AccessClaims, AccessToken, AuthorizationCode, Genuine, Presented, RefreshToken, access, refresh};
use crate::verifier::{AccessVerifier, Expectation, VerifyError};

/// How often a write is decided anew after it met a conflict. Each conflict means that somebody else's write went through.
const MAX_ATTEMPTS: usize = 128;

/// The application's last word before tokens are issued: is the grant still good? It may ask a user database.
///
/// It is asked after everything else has been checked and before anything is written: a refusal consumes nothing, and neither
/// does a failure.
pub trait GrantCheck: Send + Sync {
    /// Whether `client` still may act on the family's grant.
    ///
    /// An error means that it could not be found out: the client is told to try again.
    fn check<'a>(
        &'a self,
        family: &'a TokenFamily,
        client: &'a Client,
    ) -> BoxFuture<'a, Result<Standing, Box<dyn StdError + Send + Sync>>>;
}

/// What a [`GrantCheck`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Standing {
    /// The grant is good.
    Good,
    /// The user is disabled, the consent withdrawn, the client no longer allowed.
    Withdrawn,
}

/// Issues, rotates, revokes and introspects tokens on a store of the application's choice.
///
/// It holds no state but its configuration: any number of issuers, in any number of processes, may share one store.
/// Every method may be cancelled at any point by dropping its future; a retry with the same token then gets the same answer.
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
    grant_check: Option<Arc<dyn GrantCheck>>,
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
            grant_check: None,
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

    /// With a check of the grant before every issue.
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
        let check = crate::family::CodeCheck::new(challenge, redirect_uri);
        let lifetimes = self.policies.lifetimes(&grant);
        let family = TokenFamily::begin(self.new_family()?, grant, check, binding, &lifetimes, cx.key_id, cx.now);
        let code = AuthorizationCode::new(self.derive(&family)?);
        self.insert(&family).await?;
        self.report(AuditEvent::on_family(cx.now, Action::Authorize, &family));
        Ok(code)
    }

    /// Begin a family with tokens at once, for an application that has its own way to log in.
    pub async fn issue(&self, grant: Grant, binding: Option<Binding>) -> Result<TokenResponse, Error> {
        let cx = self.context();
        let lifetimes = self.policies.lifetimes(&grant);
        let random = self.new_family()?;
        let family = TokenFamily::begin_without_code(random, grant, binding, &lifetimes, cx.key_id, cx.now);
        let response = self.respond(decision::issue(&family, &cx), cx.now)?;
        self.insert(&family).await?;
        self.report(AuditEvent::on_family(cx.now, Action::Issue, &family));
        Ok(response)
    }

    /// Redeem an authorization code for the first tokens of its family.
    pub async fn redeem(&self, request: &RedeemRequest<'_>) -> Result<Answer, Error> {
        let RedeemRequest { client, code, redirect_uri, code_verifier, scope, resources, binding } = request;
        let wants = match Wants::parse(*scope, resources) {
            Ok(wants) => wants,
            Err(reason) => return Ok(self.refuse(reason, client)),
        };
        let proof = Redemption { code_verifier, redirect_uri };
        let ask = wants.ask(client, binding.as_ref());
        self.exchange(Presented::code(code, &self.keyring), &ask, |family, token, cx| {
            decision::redeem(family, token, &proof, &ask, cx)
        })
        .await
    }

    /// Rotate a refresh token.
    pub async fn refresh(&self, request: &RefreshRequest<'_>) -> Result<Answer, Error> {
        let RefreshRequest { client, refresh_token, scope, resources, binding } = request;
        let wants = match Wants::parse(*scope, resources) {
            Ok(wants) => wants,
            Err(reason) => return Ok(self.refuse(reason, client)),
        };
        let ask = wants.ask(client, binding.as_ref());
        self.exchange(Presented::refresh_token(refresh_token, &self.keyring), &ask, |family, token, cx| {
            decision::refresh(family, token, &ask, cx)
        })
        .await
    }

    /// Verify an access token offline, at the time of the issuer's clock; see [`AccessVerifier::verify`].
    ///
    /// # Errors
    ///
    /// The refusal.
    pub fn verify(&self, token: &str, expect: &Expectation<'_>) -> Result<AccessClaims, VerifyError> {
        self.verifier.verify(token, expect, self.clock.now())
    }

    /// Verify an access token and that its family still lives: one read of the store.
    ///
    /// # Errors
    ///
    /// The outer result is a fault of the server, the inner one the refusal.
    pub async fn verify_live(
        &self,
        token: &str,
        expect: &Expectation<'_>,
    ) -> Result<Result<AccessClaims, VerifyError>, Error> {
        let claims = match self.verify(token, expect) {
            Ok(claims) => claims,
            Err(error) => return Ok(Err(error)),
        };
        Ok(if self.is_live(&claims).await? { Ok(claims) } else { Err(VerifyError::Revoked) })
    }

    /// Introspect an access or refresh token (RFC 7662).
    ///
    /// The application authorises the caller first (§2.1) and, if the caller is a resource server, looks at `aud`.
    pub async fn introspect(&self, token: &str) -> Result<IntrospectionResponse, Error> {
        if let Some(claims) = self.verifier.open(token) {
            let live = self.is_live(&claims).await?;
            return Ok(if live { IntrospectionResponse::Access(claims) } else { IntrospectionResponse::Inactive });
        }
        let Some(presented) = Presented::refresh_token(token, &self.keyring) else {
            return Ok(IntrospectionResponse::Inactive);
        };
        let Some(Found { family, .. }) = self.load(presented.family()).await? else {
            return Ok(IntrospectionResponse::Inactive);
        };
        let cx = self.context();
        let lifetimes = self.policies.lifetimes(&family.grant);
        let live = presented
            .authenticate(&family, &self.keyring)
            .is_some_and(|token| matches!(decision::introspect_refresh(&family, &token, &cx).verdict, Verdict::Accept));
        if !live {
            return Ok(IntrospectionResponse::Inactive);
        }
        Ok(IntrospectionResponse::Refresh {
            subject: family.grant.subject().to_owned(),
            client_id: family.grant.client_id().to_owned(),
            scope: family.grant.scope().clone(),
            expires_at: family.idle_end(&lifetimes).min(family.absolute_end(&lifetimes)).as_unix(),
            issued_at: family.rotated_at.as_unix(),
        })
    }

    async fn is_live(&self, claims: &AccessClaims) -> Result<bool, Error> {
        for _ in 0..MAX_ATTEMPTS {
            let Some(found) = self.load(claims.family).await? else {
                let event = AuditEvent::new(self.clock.now(), Action::Deny).because(Reason::UnknownFamily);
                self.report(AuditEvent { family: Some(claims.family), ..event });
                return Ok(false);
            };
            let Decision { write, verdict, event } = decision::live(&found.family, claims, &self.context());
            if let Some(next) = write
                && self.replace(&found, &next).await? == Commit::Conflict
            {
                continue;
            }
            event.into_iter().for_each(|event| self.report(event));
            return Ok(matches!(verdict, Verdict::Accept));
        }
        Err(Error::new(ErrorKind::Contention))
    }

    /// Load, authenticate, decide, commit, respond; again from the start if the commit met a conflict.
    async fn exchange(
        &self,
        presented: Option<Presented>,
        ask: &Ask<'_>,
        decide: impl Fn(&TokenFamily, &Genuine, &Context<'_>) -> Decision,
    ) -> Result<Answer, Error> {
        let Some(presented) = presented else { return Ok(self.refuse(Reason::Malformed, ask.client)) };
        for _ in 0..MAX_ATTEMPTS {
            let Some(found) = self.load(presented.family()).await? else {
                return Ok(self.refuse(Reason::UnknownFamily, ask.client));
            };
            let Some(token) = presented.authenticate(&found.family, &self.keyring) else {
                return Ok(self.refuse(Reason::Forged, ask.client));
            };
            let cx = self.context();
            let decision = decide(&found.family, &token, &cx);
            if let Some(answer) = self.carry_out(&found, decision, ask, &cx).await? {
                return Ok(answer);
            }
        }
        Err(Error::new(ErrorKind::Contention))
    }

    /// `None` if the write met a conflict.
    async fn carry_out(
        &self,
        found: &Found,
        decision: Decision,
        ask: &Ask<'_>,
        cx: &Context<'_>,
    ) -> Result<Option<Answer>, Error> {
        let Decision { write, verdict, event } = decision;
        let answer = match verdict {
            Verdict::Issue(issue) => {
                if self.standing(&issue.family, ask.client).await? == Standing::Withdrawn {
                    return Ok(Some(self.refuse(Reason::GrantWithdrawn, ask.client)));
                }
                // Everything that can fail comes before the commit, so that a failure consumes nothing.
                Answer::Issue(self.respond(issue, cx.now)?)
            }
            Verdict::RevokeSubject(code) => {
                // The other families first: should this be cut off, the spent token still sets it off again.
                self.revoke_others(&found.family).await?;
                Answer::Deny(ErrorResponse::new(code))
            }
            Verdict::Deny(code) => Answer::Deny(ErrorResponse::new(code)),
            Verdict::Accept => return Err(Error::new(ErrorKind::Contention)),
        };
        if let Some(next) = write
            && self.replace(found, &next).await? == Commit::Conflict
        {
            return Ok(None);
        }
        event.into_iter().for_each(|event| self.report(event));
        Ok(Some(answer))
    }

    async fn standing(&self, family: &TokenFamily, client: &Client) -> Result<Standing, Error> {
        match &self.grant_check {
            None => Ok(Standing::Good),
            Some(check) => check.check(family, client).await.map_err(Error::grant_check),
        }
    }

    /// The response that hands out what was decided.
    fn respond(&self, issue: Issue, now: Timestamp) -> Result<TokenResponse, Error> {
        let random: [u8; Aead::NONCE + 4] = random(&*self.entropy)?;
        let (nonce, jitter) = random.split_at(Aead::NONCE);
        let corrupt = || Error::new(ErrorKind::CorruptRecord);
        let nonce = nonce.try_into().map_err(|_| corrupt())?;
        let claims = issue.claims(now, u32::from_le_bytes(jitter.try_into().map_err(|_| corrupt())?));
        let access_token = access::seal(&claims, &self.keyring.primary().access, nonce).ok_or_else(corrupt)?;
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
        Context { policies: &self.policies, key_id: self.keyring.primary_id(), now: self.clock.now() }
    }

    pub(crate) fn report(&self, event: AuditEvent) {
        self.audit.record(&event);
    }

    /// Refuse a request that found no family.
    pub(crate) fn refuse(&self, reason: Reason, client: &Client) -> Answer {
        let event = AuditEvent::new(self.clock.now(), Action::Deny).because(reason);
        self.report(AuditEvent { client_id: Some(client.id().into()), ..event });
        Answer::Deny(ErrorResponse::new(reason.code()))
    }

    pub(crate) async fn load(&self, id: FamilyId) -> Result<Option<Found>, Error> {
        match self.store.get(id.record_key()).await? {
            Some(record) => record::open(record, &self.keyring).map(Some),
            None => Ok(None),
        }
    }

    pub(crate) async fn replace(&self, found: &Found, next: &TokenFamily) -> Result<Commit, Error> {
        self.write(next, found.version.saturating_add(1)).await
    }

    async fn insert(&self, family: &TokenFamily) -> Result<(), Error> {
        match self.write(family, 1).await? {
            Commit::Apply => Ok(()),
            // Two families with one random id: the random source repeats itself.
            Commit::Conflict => Err(Error::new(ErrorKind::Entropy)),
        }
    }

    async fn write(&self, family: &TokenFamily, version: u64) -> Result<Commit, Error> {
        let expires_at = family.purge_at(&self.policies.lifetimes(&family.grant));
        let nonce = random(&*self.entropy)?;
        let record = record::seal(family, version, expires_at, self.keyring.primary(), &nonce)?;
        Ok(self.store.commit(record).await?)
    }

    fn derive(&self, family: &TokenFamily) -> Result<Zeroizing<String>, Error> {
        refresh::derive(family, &self.keyring).ok_or_else(|| Error::new(ErrorKind::UnknownKey(family.key_id)))
    }

    fn new_family(&self) -> Result<FamilyRandom, Error> {
        let mut secret = Zeroizing::new([0; 32]);
        self.entropy.fill(secret.as_mut())?;
        Ok(FamilyRandom { id: FamilyId::from_bytes(random(&*self.entropy)?), secret })
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

/// Scope and resources as asked for, parsed.
struct Wants {
    scope: Option<Scope>,
    resources: Vec<Resource>,
}

impl Wants {
    fn parse(scope: Option<&str>, resources: &[&str]) -> Result<Self, Reason> {
        let scope = scope.map(Scope::parse).transpose().map_err(|_| Reason::ScopeExceeded)?;
        let resources: Result<_, GrantError> = resources.iter().map(|uri| Resource::parse(uri)).collect();
        Ok(Self { scope, resources: resources.map_err(|_| Reason::ResourceNotGranted)? })
    }

    fn ask<'a>(&'a self, client: &'a Client, binding: Option<&'a Binding>) -> Ask<'a> {
        Ask { client, binding, scope: self.scope.as_ref(), resources: &self.resources }
    }
}
