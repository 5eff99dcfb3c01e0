//! Whether a token is live as the store has it now: the live check and introspection.

use super::response::IntrospectionResponse;
use super::token_issuer::{MAX_ATTEMPTS, TokenIssuer};
use crate::audit::{Action, AuditEvent, Reason};
use crate::decision::{self, Decision};
use crate::error::{Error, ErrorKind};
#[cfg(feature = "http")]
use crate::family::TokenFamily;
use crate::grant::AccessClaims;
use crate::id::FamilyId;
use crate::record::Found;
use crate::store::{Commit, TokenStore};
use crate::token::Presented;
use crate::verifier::{Expectation, VerifyError};

impl<S: TokenStore> TokenIssuer<S> {
    /// Verify an access token offline, at the time of the issuer's clock; see [`AccessVerifier::verify`].
    ///
    /// # Errors
    ///
    /// The refusal.
    ///
    /// [`AccessVerifier::verify`]: crate::AccessVerifier::verify
    pub fn verify(&self, token: &str, expect: &Expectation<'_>) -> Result<AccessClaims, VerifyError> {
        self.verifier.verify(token, expect, self.clock.now())
    }

    /// Verify an access token, that its family still lives, and that its claims agree with the family's record: one read of the
    /// store.
    ///
    /// A token that was minted with a leaked access key must agree with a living family in subject, client, scope, resources,
    /// binding, lifetime and the application's claims. Where it does not, it is refused as [`VerifyError::Revoked`], and the audit
    /// gets an event with [`Action::Forgery`].
    ///
    /// # Errors
    ///
    /// The outer result is a fault of the server, the inner one the refusal.
    pub async fn verify_live(
        &self,
        token: &str,
        expect: &Expectation<'_>,
    ) -> Result<Result<AccessClaims, VerifyError>, Error> {
        let claims = match self.verifier.verify_before_live(token, expect, self.clock.now()) {
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
            return Ok(self.inactive(Reason::Malformed, None));
        };
        let Some(Found { family, .. }) = self.load(presented.family()).await? else {
            return Ok(self.inactive(Reason::UnknownFamily, Some(presented.family())));
        };
        let cx = self.context_for(&family)?;
        let lifetimes = self.policies.lifetimes(&family.grant);
        let Some(genuine) = presented.authenticate(&family, &self.keyring) else {
            return Ok(self.inactive(Reason::Forged, Some(family.id)));
        };
        let Decision { verdict, event, .. } = decision::introspect_refresh(&family, &genuine, &cx);
        event.into_iter().for_each(|event| self.report(event));
        if !verdict {
            return Ok(IntrospectionResponse::Inactive);
        }
        // Of a spent token within its leeway the same as before it was spent.
        let idle_end = match genuine.is_current(&family) {
            true => family.idle_end(&lifetimes),
            false => genuine.issued_at().saturating_add(lifetimes.idle),
        };
        Ok(IntrospectionResponse::Refresh {
            subject: family.grant.subject().to_owned(),
            client_id: family.grant.client_id().to_owned(),
            scope: family.grant.scope().clone(),
            expires_at: idle_end.min(family.absolute_end(&lifetimes)).as_unix(),
            issued_at: genuine.issued_at().as_unix(),
        })
    }

    /// Whether the access token with these claims, which was live when something was opened with it, still is, by the family as it
    /// has just been read.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ClockSkew`]: by a clock that is far behind the record's, nothing can be said.
    #[cfg(feature = "http")]
    pub(crate) fn is_still_live(&self, family: Option<&TokenFamily>, claims: &AccessClaims) -> Result<bool, Error> {
        let Some(family) = family else {
            let _inactive = self.inactive(Reason::UnknownFamily, Some(claims.family));
            return Ok(false);
        };
        // That the response arrived was written down when the token was first seen.
        let Decision { write: _, verdict, event } = decision::live(family, claims, &self.context_for(family)?);
        event.into_iter().for_each(|event| self.report(event));
        Ok(verdict)
    }

    fn inactive(&self, reason: Reason, family: Option<FamilyId>) -> IntrospectionResponse {
        self.report(AuditEvent { family, ..AuditEvent::new(self.clock.now(), Action::Deny).because(reason) });
        IntrospectionResponse::Inactive
    }

    async fn is_live(&self, claims: &AccessClaims) -> Result<bool, Error> {
        for _ in 0..MAX_ATTEMPTS {
            let Some(found) = self.load(claims.family).await? else {
                let _inactive = self.inactive(Reason::UnknownFamily, Some(claims.family));
                return Ok(false);
            };
            let Decision { write, verdict, event } =
                decision::live(&found.family, claims, &self.context_for(&found.family)?);
            if let Some(next) = write
                && self.write(&next, Some(found), &self.draw()?).await? == Commit::Conflict
            {
                continue;
            }
            event.into_iter().for_each(|event| self.report(event));
            return Ok(verdict);
        }
        Err(Error::new(ErrorKind::Contention))
    }
}
