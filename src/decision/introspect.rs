//! Whether a token is live, as the store has it now.

use super::window::Windows;
use super::{Context, Decision};
use crate::audit::Reason;
use crate::claims::AccessClaims;
use crate::family::TokenFamily;
use crate::policy::{OnAhead, OnSuperseded};
use crate::token::Genuine;

/// Decide whether the access token with these authentic `claims` is live.
///
/// Where the policy has a lost-response window, the first sight of a generation's access token is written down, since it
/// shows that the response arrived.
pub fn live(family: &TokenFamily, claims: &AccessClaims, cx: &Context<'_>) -> Decision<bool> {
    let windows @ Windows { policy, lifetimes, .. } = Windows::new(family, cx);
    let is_superseded = |generation| policy.on_superseded == OnSuperseded::Reject && !windows.is_open(generation);
    let (claimed, current) = (claims.generation, family.generation);
    let reason = match family.ended(&lifetimes, cx.now) {
        Some(reason) => Some(reason),
        None if cx.now >= claims.expires_at => Some(Reason::AccessExpired),
        None if claimed > current && policy.on_ahead == OnAhead::Reject => Some(Reason::AheadOfStore),
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
pub fn introspect_refresh(family: &TokenFamily, token: &Genuine, cx: &Context<'_>) -> Decision<bool> {
    let windows @ Windows { lifetimes, .. } = Windows::new(family, cx);
    let reason = match family.ended(&lifetimes, cx.now) {
        Some(reason) => Some(reason),
        None if token.generation() > family.generation => Some(Reason::AheadOfStore),
        None if !token.is_current(family) && !windows.is_open(token.generation()) => Some(Reason::SpentToken),
        None if cx.now >= family.idle_end(&lifetimes) => Some(Reason::IdleExpired),
        None => None,
    };
    match reason {
        Some(reason) => Decision::refuse(false, family, reason, cx.now),
        None => Decision { write: None, verdict: true, event: None },
    }
}
