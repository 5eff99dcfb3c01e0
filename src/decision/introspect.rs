//! The live check and introspection: whether a token is live, by the record of its family.

use super::context::Context;
use super::outcome::Decision;
use super::window::Windows;
use crate::audit::{Claim, Reason};
use crate::family::TokenFamily;
use crate::grant::AccessClaims;
use crate::policy::{OnAhead, OnSuperseded, RotationPolicy};
use crate::time::CLOCK_TOLERANCE;
use crate::token::VerifiedToken;

/// Returns the claim of an authentic access token that contradicts the record of its family, if there is one.
///
/// An issuer takes every claim from the record. So no issuer made a token that contradicts it: another party has the
/// access key. The times are compared with what any policy could have allowed, because the policy may have changed
/// since.
pub fn contradiction(family: &TokenFamily, claims: &AccessClaims) -> Option<Claim> {
    let grant = &family.grant;
    let is_granted = |resource| grant.resources().contains(resource);
    let is_possible = claims.issued_at.saturating_add(CLOCK_TOLERANCE) >= family.created_at
        && claims.expires_at <= family.absolute_expires_at
        && claims.expires_at.since(claims.issued_at) <= RotationPolicy::LONGEST_ACCESS;
    let contradictions = [
        (claims.subject() != grant.subject(), Claim::Subject),
        (claims.client_id() != grant.client_id(), Claim::Client),
        (!grant.scope().includes(&claims.scope), Claim::Scope),
        (!claims.audience().iter().all(is_granted), Claim::Audience),
        // Before its redemption a family may not have a binding yet.
        (claims.binding() != family.binding() && family.generation > 0, Claim::Binding),
        (claims.claims != grant.claims, Claim::Application),
        (claims.generation == 0, Claim::Generation),
        (!is_possible, Claim::Lifetime),
    ];
    contradictions.into_iter().find(|(contradicts, _)| *contradicts).map(|(_, claim)| claim)
}

/// Decides whether the access token with these authentic `claims` is live: its family is active, and its claims agree
/// with the record.
///
/// If the policy has a lost-response window, the first check of a generation's access token is written to the record,
/// because it shows that the client received the response.
pub fn live(family: &TokenFamily, claims: &AccessClaims, cx: &Context<'_>) -> Decision<bool> {
    if let Some(claim) = contradiction(family, claims) {
        return Decision::forged(false, family, claim, cx.now);
    }
    let windows @ Windows { policy, lifetimes, .. } = Windows::new(family, cx);
    let is_superseded = |generation| policy.on_superseded == OnSuperseded::Reject && windows.is_over(generation);
    let (claimed, current) = (claims.generation, family.generation);
    let longest = cx.policies.access_lifetime(family.grant.client_id(), &claims.scope);
    let reason = match family.ended(&lifetimes, cx.now) {
        Some(reason) => Some(reason),
        None if cx.now >= claims.expires_at => Some(Reason::AccessExpired),
        // A clock that was set back causes this too, so it is not reported as forgery.
        None if claims.issued_at > cx.now.saturating_add(CLOCK_TOLERANCE) => Some(Reason::IssuedInFuture),
        None if claims.expires_at.since(claims.issued_at) > longest => Some(Reason::LifetimeBeyondPolicy),
        None if claimed > current && (policy.on_ahead == OnAhead::Reject || current == 0) => Some(Reason::AheadOfStore),
        None if claimed < current && is_superseded(claimed) => Some(Reason::Superseded),
        None => None,
    };
    if let Some(reason) = reason {
        return Decision::refuse(false, family, reason, cx.now);
    }
    let unseen = policy.lost_response_window.is_some() && claimed == current && !family.confirmed;
    let write = unseen.then(|| TokenFamily { confirmed: true, ..family.clone() });
    Decision { write, verdict: true, event: None }
}

/// Decides whether the refresh token `token` is live, which means that it could be exchanged now.
///
/// It is live if the family is neither revoked nor expired and the token is the current one, or a spent one within its
/// leeway. A spent token must look live within its leeway: otherwise the answer would show a thief that the victim has
/// rotated.
pub fn introspect_refresh(family: &TokenFamily, token: &VerifiedToken, cx: &Context<'_>) -> Decision<bool> {
    let windows @ Windows { lifetimes, .. } = Windows::new(family, cx);
    let reason = match family.ended(&lifetimes, cx.now) {
        Some(reason) => Some(reason),
        None if token.generation() > family.generation => Some(Reason::AheadOfStore),
        None if !token.is_current(family) && windows.is_over(token.generation()) => Some(Reason::SpentToken),
        None if cx.now >= family.idle_end(&lifetimes) => Some(Reason::IdleExpired),
        None => None,
    };
    match reason {
        Some(reason) => Decision::refuse(false, family, reason, cx.now),
        None => Decision { write: None, verdict: true, event: None },
    }
}
