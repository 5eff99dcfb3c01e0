//! Whether a token is live, as the store has it now.

use super::context::Context;
use super::outcome::Decision;
use super::window::Windows;
use crate::audit::{Claim, Reason};
use crate::family::TokenFamily;
use crate::grant::AccessClaims;
use crate::policy::{OnAhead, OnSuperseded, RotationPolicy};
use crate::time::CLOCK_TOLERANCE;
use crate::token::VerifiedToken;

/// The claim of an authentic access token that its family's record contradicts, if there is one.
///
/// The issuer takes every claim from the record, so such a token was not made by an issuer: someone else has the access key.
/// Times are compared with what any policy could have allowed, because the policy may have changed since.
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
        // Before its redemption a family may not know yet what it will be bound to.
        (claims.binding != family.binding && family.generation > 0, Claim::Binding),
        (claims.claims != grant.claims, Claim::Application),
        (claims.generation == 0, Claim::Generation),
        (!is_possible, Claim::Lifetime),
    ];
    contradictions.into_iter().find(|(contradicts, _)| *contradicts).map(|(_, claim)| claim)
}

/// Decide whether the access token with these authentic `claims` is live: whether its family lives, and its claims agree with
/// the record.
///
/// Where the policy has a lost-response window, the first sight of a generation's access token is written down, since it
/// shows that the response arrived.
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
        // A clock that was set back shows it as well as a forger.
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

/// Decide whether the refresh token `token` is live: it could be exchanged now. That is the current one of a family that is
/// neither revoked nor expired, and a spent one within its leeway: to say more would show a thief that the victim has rotated.
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
