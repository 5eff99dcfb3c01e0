//! Token requests: load, decide, commit, respond.

use super::grant_check::GrantStatus;
use super::store_watch::Unanswered;
use super::token_issuer::TokenIssuer;
use crate::audit::{Action, AuditEvent, Reason};
use crate::crypto::random::Randomness;
use crate::decision::{self, Context, Decision, Issue, Redemption, RequestContext, Verdict};
use crate::error::{Error, ErrorKind};
use crate::family::{CodeCheck, FamilySecret, TokenFamily};
use crate::grant::{Binding, Client, Grant};
use crate::id::FamilyId;
use crate::messages::{
    Answer, AuthorizeRequest, ErrorResponse, RedeemRequest, RefreshRequest, TokenResponse, TokenType,
};
use crate::record::sealed::corrupt;
use crate::record::{Found, compare_and_swap};
use crate::store::TokenStore;
use crate::time::Timestamp;
use crate::token::{AccessToken, AuthorizationCode, Presented, RefreshToken, VerifiedToken, access};

impl<S: TokenStore> TokenIssuer<S> {
    /// Begins a family with an authorization code, once the user has consented.
    ///
    /// # Errors
    ///
    /// [`Error`] if the server has a fault. No code was returned then, so the user must be asked again.
    pub async fn authorize(&self, request: AuthorizeRequest<'_>) -> Result<AuthorizationCode, Error> {
        let AuthorizeRequest { grant, challenge, redirect_uri, binding } = request;
        let cx = self.context();
        let check = CodeCheck::new(challenge, redirect_uri);
        let family = self.begin(grant, Some(check), binding, &cx)?;
        let code = AuthorizationCode(self.derive(&family)?);
        self.insert(&family, &self.draw()?).await?;
        self.report(AuditEvent::on_family(cx.now, Action::Authorize, &family));
        Ok(code)
    }

    /// Begins a family with tokens at once, for an application that has its own way to log in.
    ///
    /// # Errors
    ///
    /// [`Error`] if the server has a fault. No tokens were returned then.
    pub async fn issue(&self, grant: Grant, binding: Option<Binding>) -> Result<TokenResponse, Error> {
        let cx = self.context();
        let family = self.begin(grant, None, binding, &cx)?;
        let draw = self.draw()?;
        let response = self.respond(decision::issue(&family, &cx), cx.now, &draw)?;
        self.insert(&family, &draw).await?;
        self.report(AuditEvent::on_family(cx.now, Action::Issue, &family));
        Ok(response)
    }

    /// Redeems an authorization code for the first tokens of its family.
    ///
    /// # Errors
    ///
    /// [`Error`] if the server has a fault; the client may retry with the same code. A refusal is not an error but
    /// [`Answer::Deny`].
    pub async fn redeem(&self, request: &RedeemRequest<'_>) -> Result<Answer, Error> {
        let RedeemRequest { client, code, redirect_uri, code_verifier, scope, resources, binding } = request;
        let proof = Redemption { code_verifier, redirect_uri: *redirect_uri };
        let ask = RequestContext::parse(client, binding.as_ref(), *scope, resources);
        let presented = Presented::code(code, &self.keyring);
        self.exchange(client, presented, ask, |family, token, ask, cx| decision::redeem(family, token, &proof, ask, cx))
            .await
    }

    /// Refreshes: exchanges a refresh token for a new access token and, where the policy rotates, a new refresh token.
    ///
    /// # Errors
    ///
    /// [`Error`] if the server has a fault; the client may retry with the same token. A refusal is not an error but
    /// [`Answer::Deny`].
    pub async fn refresh(&self, request: &RefreshRequest<'_>) -> Result<Answer, Error> {
        let RefreshRequest { client, refresh_token, scope, resources, binding } = request;
        let ask = RequestContext::parse(client, binding.as_ref(), *scope, resources);
        let presented = Presented::refresh_token(refresh_token, &self.keyring);
        self.exchange(client, presented, ask, decision::refresh).await
    }

    /// Loads, authenticates, decides, commits and responds; starts again if the commit met a conflict.
    async fn exchange(
        &self,
        client: &Client,
        presented: Option<Presented>,
        ask: Result<RequestContext<'_>, Reason>,
        decide: impl Fn(&TokenFamily, &VerifiedToken, &RequestContext<'_>, &Context<'_>) -> Decision + Sync,
    ) -> Result<Answer, Error> {
        let (presented, ask) = match (presented, ask) {
            (_, Err(reason)) => return Ok(self.refuse(reason, client, None)),
            (None, _) => return Ok(self.refuse(Reason::Malformed, client, None)),
            (Some(presented), Ok(ask)) => (presented, ask),
        };
        let refuse = |reason| Ok(Some(self.refuse(reason, client, Some(presented.family()))));
        compare_and_swap(async || {
            let Some(found) = self.load(presented.family()).await? else { return refuse(Reason::UnknownFamily) };
            let Some(token) = presented.authenticate(&found.family, &self.keyring) else {
                return refuse(Reason::Forged);
            };
            let cx = self.context_for(&found.family)?;
            let decision = decide(&found.family, &token, &ask, &cx);
            self.carry_out(found, decision, client, &cx).await
        })
        .await
    }

    /// Carries out `decision`. Returns `None` if the write met a conflict.
    async fn carry_out(
        &self,
        found: Found,
        decision: Decision,
        client: &Client,
        cx: &Context<'_>,
    ) -> Result<Option<Answer>, Error> {
        let Decision { write, verdict, event } = decision;
        let (draw, mut fault) = (self.draw()?, None);
        let answer = match verdict {
            Verdict::Issue(issue) => {
                if let Some(check) = &self.grant_check
                    && check.check(&issue.family, client).await.map_err(Error::grant_check)? == GrantStatus::Withdrawn
                {
                    let event = AuditEvent::on_family(cx.now, Action::Deny, &found.family);
                    self.report(event.because(Reason::GrantWithdrawn));
                    return Ok(Some(Answer::Deny(ErrorResponse::new(Reason::GrantWithdrawn.code()))));
                }
                // Everything that can fail comes before the commit, so a failure consumes nothing.
                Answer::Issue(self.respond(issue, cx.now, &draw)?)
            }
            Verdict::RevokeSubject(code) => {
                // The other families come first: if this is interrupted, presenting the spent token again repeats it.
                match self.revoke_others(&found.family).await {
                    Err(error) if error.is_about_one_record() => fault = Some(error),
                    revoked => revoked?,
                }
                Answer::Deny(ErrorResponse::new(code))
            }
            Verdict::Deny(code) => Answer::Deny(ErrorResponse::new(code)),
        };
        let (id, issues) = (found.family.id, matches!(answer, Answer::Issue(_)));
        match write {
            Some(next) => {
                let is_new = issues && next.generation > found.family.generation;
                let owed = is_new.then(|| self.watch.expect_answer(id, next.generation));
                let commit = self.write(&next, Some(found), &draw).await;
                match (&commit, owed) {
                    (Ok(Some(())), Some(owed)) => owed.answered(),
                    (Ok(Some(())), None) if issues => self.watch.answered(id),
                    // The write may have happened, and its answer is not given.
                    (Err(error), owed) if error.kind() == ErrorKind::StoreUncertain => drop(owed),
                    (_, owed) => owed.into_iter().for_each(Unanswered::not_committed),
                }
                if commit?.is_none() {
                    return Ok(None);
                }
            }
            None if !issues => {}
            // A revocation may have been written since the record was read, for instance while the grant was checked.
            None if self.get(id.record_key()).await?.is_none_or(|now| now.version != found.version) => return Ok(None),
            None => self.watch.answered(id),
        }
        event.into_iter().for_each(|event| self.report(event));
        fault.map_or(Ok(Some(answer)), Err)
    }

    fn begin(
        &self,
        grant: Grant,
        code: Option<CodeCheck>,
        binding: Option<Binding>,
        cx: &Context<'_>,
    ) -> Result<TokenFamily, Error> {
        let (id, secret) = (FamilyId::from_bytes(self.rng.bytes()?), FamilySecret(self.rng.bytes()?));
        Ok(decision::begin(id, secret, grant, code, binding, cx))
    }

    /// Returns the response with the tokens that were decided on.
    fn respond(&self, issue: Issue, now: Timestamp, draw: &Randomness) -> Result<TokenResponse, Error> {
        let claims = issue.claims(now, draw.jitter);
        let (keys, id) = (self.verifier.keys(), self.keyring.primary_id());
        let access_token = access::seal(&claims, keys, id, &draw.access_nonce).ok_or_else(corrupt)?;
        Ok(TokenResponse {
            access_token: AccessToken(access_token),
            token_type: TokenType::for_binding(issue.family.binding()),
            expires_in: claims.expires_at.since(now).as_secs(),
            refresh_token: RefreshToken(self.derive(&issue.family)?),
            scope: issue.scope,
            refresh_token_timeout: issue.idle.as_secs(),
            authorization_expires_in: issue.absolute.as_secs(),
            retry: issue.retry,
        })
    }
}
