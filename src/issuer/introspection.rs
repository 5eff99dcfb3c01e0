//! The live check and introspection of the issuer.

use super::token_issuer::TokenIssuer;
use crate::audit::{Action, AuditEvent, Reason};
use crate::decision::{self, Decision};
use crate::error::Error;
use crate::family::TokenFamily;
use crate::grant::AccessClaims;
use crate::id::FamilyId;
use crate::messages::IntrospectionResponse;
use crate::store::TokenStore;
use crate::token::Presented;
use crate::verifier::{Expectation, LiveCheckError, VerifyError};

impl<S: TokenStore> TokenIssuer<S> {
    /// Verifies an access token offline, at the time of the issuer's clock; see [`AccessVerifier::verify`].
    ///
    /// # Errors
    ///
    /// The [`VerifyError`] of the first check that fails.
    ///
    /// [`AccessVerifier::verify`]: crate::AccessVerifier::verify
    pub fn verify(&self, token: &str, expect: &Expectation<'_>) -> Result<AccessClaims, VerifyError> {
        self.verifier.verify(token, expect, self.clock.now())
    }

    /// Verifies an access token, and that its family is active and agrees with its claims. It reads the store once.
    ///
    /// # Security
    ///
    /// A token that was minted with a leaked access key must agree with an active family in subject, client, scope,
    /// resources, binding, lifetime and the application's claims. Otherwise it is refused with
    /// [`VerifyError::Revoked`], and the audit log gets an event with [`Action::Forgery`].
    ///
    /// # Errors
    ///
    /// [`LiveCheckError::Refused`] with the first check that fails, [`LiveCheckError::Fault`] if the server has a fault.
    pub async fn verify_live(&self, token: &str, expect: &Expectation<'_>) -> Result<AccessClaims, LiveCheckError> {
        let claims = self.verifier.verify_before_live(token, expect, self.clock.now())?;
        if self.is_live(&claims).await? { Ok(claims) } else { Err(VerifyError::Revoked.into()) }
    }

    /// Introspects an access or refresh token (RFC 7662).
    ///
    /// The application must authorize the caller first (§2.1). If the caller is a resource server, the application must
    /// also check that `aud` is that server.
    ///
    /// # Errors
    ///
    /// [`Error`] if the server has a fault. A token that is not active is not an error but
    /// [`IntrospectionResponse::Inactive`].
    pub async fn introspect(&self, token: &str) -> Result<IntrospectionResponse, Error> {
        if let Some(claims) = self.verifier.open(token) {
            let live = self.is_live(&claims).await?;
            return Ok(if live { IntrospectionResponse::Access(claims) } else { IntrospectionResponse::Inactive });
        }
        let Some(presented) = Presented::refresh_token(token, &self.keyring) else {
            return Ok(self.inactive(Reason::Malformed, None));
        };
        let answer = self.decide(presented.family(), |family| {
            let cx = self.context_for(family)?;
            let Some(token) = presented.authenticate(family, &self.keyring) else {
                let refused = Decision::refuse(IntrospectionResponse::Inactive, family, Reason::Forged, cx.now);
                return Ok(Some(refused));
            };
            let Decision { write, verdict, event } = decision::introspect_refresh(family, &token, &cx);
            let lifetimes = self.policies.lifetimes(&family.grant);
            // For a spent token within its leeway this is the same as before it was spent.
            let idle_end = match token.is_current(family) {
                true => family.idle_end(&lifetimes),
                false => token.issued_at().saturating_add(lifetimes.idle),
            };
            let verdict = match verdict {
                false => IntrospectionResponse::Inactive,
                true => IntrospectionResponse::Refresh {
                    subject: family.grant.subject().to_owned(),
                    client_id: family.grant.client_id().to_owned(),
                    scope: family.grant.scope().clone(),
                    expires_at: idle_end.min(family.absolute_end(&lifetimes)).as_unix(),
                    issued_at: token.issued_at().as_unix(),
                },
            };
            Ok(Some(Decision { write, verdict, event }))
        });
        Ok(answer.await?.unwrap_or_else(|| self.inactive(Reason::UnknownFamily, Some(presented.family()))))
    }

    /// Whether the access token with these claims, which was live when a stream or session was opened with it, is still
    /// live. `family` is the record as it was just read.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ClockSkew`](crate::ErrorKind::ClockSkew) if this server's clock is too far behind the clock that
    /// wrote the record.
    #[cfg(feature = "http")]
    pub(crate) fn is_still_live(&self, family: Option<&TokenFamily>, claims: &AccessClaims) -> Result<bool, Error> {
        let Some(family) = family else {
            let _inactive = self.inactive(Reason::UnknownFamily, Some(claims.family));
            return Ok(false);
        };
        // That the client received the response was written when the token was first seen.
        let Decision { write: _, verdict, event } = decision::live(family, claims, &self.context_for(family)?);
        event.into_iter().for_each(|event| self.report(event));
        Ok(verdict)
    }

    fn inactive(&self, reason: Reason, family: Option<FamilyId>) -> IntrospectionResponse {
        self.report(AuditEvent { family, ..AuditEvent::new(self.clock.now(), Action::Deny).because(reason) });
        IntrospectionResponse::Inactive
    }

    async fn is_live(&self, claims: &AccessClaims) -> Result<bool, Error> {
        let live = |family: &TokenFamily| Ok(Some(decision::live(family, claims, &self.context_for(family)?)));
        let verdict = self.decide(claims.family, live).await?;
        Ok(verdict.unwrap_or_else(|| self.inactive(Reason::UnknownFamily, Some(claims.family)).is_active()))
    }
}
