//! The generation table: what a genuine token of the right client leads to.

use super::context::Context;
use super::issue::Issue;
use super::outcome::{Decision, Verdict};
use super::request_context::RequestContext;
use super::window::Windows;
use crate::audit::{Action, AuditEvent, Reason, RevocationReason};
use crate::family::{Issued, TokenFamily};
use crate::policy::{Lifetimes, OnAhead, OnReuse, RotationPolicy};
use crate::token::VerifiedToken;
use std::cmp::Ordering;
use std::sync::Arc;

/// Decides on a refresh with `token`, which was authenticated against `family` (RFC 6749 §6, OAuth 2.1 §4.3).
pub fn refresh(family: &TokenFamily, token: &VerifiedToken, ask: &RequestContext<'_>, cx: &Context<'_>) -> Decision {
    Presentation::new(family, token, ask, cx).decide(ask.may_present(family))
}

/// The presentation of one token, with everything that the decision depends on.
pub(super) struct Presentation<'a> {
    pub(super) family: &'a TokenFamily,
    pub(super) token: &'a VerifiedToken,
    pub(super) ask: &'a RequestContext<'a>,
    pub(super) cx: &'a Context<'a>,
    policy: &'a RotationPolicy,
    lifetimes: Lifetimes,
    windows: Windows<'a>,
}

impl<'a> Presentation<'a> {
    pub(super) fn new(
        family: &'a TokenFamily,
        token: &'a VerifiedToken,
        ask: &'a RequestContext<'a>,
        cx: &'a Context<'a>,
    ) -> Self {
        let windows @ Windows { policy, lifetimes, .. } = Windows::new(family, cx);
        Self { family, token, ask, cx, policy, lifetimes, windows }
    }

    /// Decides, if `may_present` says that client and binding are right.
    pub(super) fn decide(&self, may_present: Result<(), Reason>) -> Decision {
        let decision = may_present.and_then(|()| match self.family.ended(&self.lifetimes, self.cx.now) {
            Some(reason) => Err(reason),
            None if self.token.is_current(self.family) => self.current(),
            None => match self.token.generation().cmp(&self.family.generation) {
                Ordering::Less => self.spent(),
                // A different token of the same generation comes from a state that the store has lost.
                Ordering::Equal | Ordering::Greater => self.ahead(),
            },
        });
        let deny = |reason: Reason| Decision::refuse(Verdict::Deny(reason.code()), self.family, reason, self.cx.now);
        decision.unwrap_or_else(deny)
    }

    /// Decides on the current token: g = G.
    fn current(&self) -> Result<Decision, Reason> {
        if self.family.generation == 0 {
            if !self.windows.code_is_alive() {
                return Err(Reason::CodeExpired);
            }
            return self.issue(Action::Redeem, None, Some(self.rotated(self.family)?));
        }
        if self.cx.now >= self.family.idle_end(&self.lifetimes) {
            return Err(Reason::IdleExpired);
        }
        if self.policy.rotates(self.ask.client, self.family.binding()) && !self.windows.is_crowded() {
            return self.issue(Action::Rotate, None, Some(self.rotated(self.family)?));
        }
        let kept = self.kept();
        // Several uses within one second need one write.
        let changed =
            kept.used_at != self.family.used_at || !self.family.confirmed || kept.key_id != self.family.key_id;
        self.issue(Action::Keep, None, changed.then_some(kept))
    }

    /// Returns the family after another use of its current token.
    ///
    /// The token is made with the primary key from now on: otherwise a token that never rotates would prevent its key
    /// from being dropped. The token made with the key before is still the current token. Because key ids rise, issuers
    /// with different primary keys, as during a roll-out, do not change the key back and forth.
    fn kept(&self) -> TokenFamily {
        let key_id = self.cx.key_id.max(self.family.key_id);
        TokenFamily { used_at: self.cx.now, confirmed: true, key_id, ..self.family.clone() }
    }

    /// Decides on a spent token: g < G.
    fn spent(&self) -> Result<Decision, Reason> {
        let generation = self.token.generation();
        let is_open = self.windows.is_open(generation);
        let is_idle = self.cx.now >= self.family.idle_end(&self.lifetimes);
        let below_limit = self.policy.retry_limit.is_none_or(|limit| self.family.retries < limit);
        if (is_open || self.windows.is_lost(generation)) && below_limit && !is_idle {
            let counted = TokenFamily { retries: self.family.retries.saturating_add(1), ..self.family.clone() };
            let reason = (!is_open).then_some(Reason::LostResponse);
            return self.issue(Action::Retry, reason, self.policy.retry_limit.map(|_| counted));
        }
        let is_stale = match generation {
            0 => !self.windows.code_is_alive(),
            _ => self.cx.now >= self.token.issued_at().saturating_add(self.lifetimes.idle),
        };
        if is_stale {
            return Err(Reason::StaleToken);
        }
        Ok(self.reuse(match (generation.checked_add(1) == Some(self.family.generation), below_limit) {
            (_, false) => Reason::RetryLimit,
            (true, true) => Reason::SpentToken,
            (false, true) => Reason::SpentAncestor,
        }))
    }

    fn reuse(&self, reason: Reason) -> Decision {
        let write = super::revoke(self.family, RevocationReason::Reuse, self.cx).write;
        let act = self.policy.on_reuse;
        let event = AuditEvent::on_family(self.cx.now, Action::Reuse(act), self.family).because(reason);
        let (write, verdict) = match act {
            OnReuse::RevokeFamily => (write, Verdict::Deny(reason.code())),
            OnReuse::RevokeSubject => (write, Verdict::RevokeSubject(reason.code())),
            OnReuse::RejectOnly => (None, Verdict::Deny(reason.code())),
        };
        Decision { write, verdict, event: Some(event) }
    }

    /// Decides on a token that is ahead of the store: g > G, or g = G with another time of issue.
    fn ahead(&self) -> Result<Decision, Reason> {
        let idle_end = self.token.issued_at().saturating_add(self.lifetimes.idle);
        match self.policy.on_ahead {
            OnAhead::Reject => Err(Reason::AheadOfStore),
            // Before its redemption a family does not contain the binding that it got in the lost state.
            OnAhead::FastForward if self.family.generation == 0 => Err(Reason::AheadOfStore),
            OnAhead::FastForward if self.cx.now >= idle_end => Err(Reason::IdleExpired),
            OnAhead::FastForward => {
                let known = Issued { at: self.token.issued_at(), ..Issued::default() };
                let issued = [known, Issued::default(), Issued::default()];
                let caught_up = TokenFamily { generation: self.token.generation(), issued, ..self.family.clone() };
                let next = self.rotated(&caught_up)?;
                self.issue(Action::FastForward, Some(Reason::AheadOfStore), Some(next))
            }
        }
    }

    /// Returns `family` with its generation raised by one.
    fn rotated(&self, family: &TokenFamily) -> Result<TokenFamily, Reason> {
        let Context { now, key_id, .. } = *self.cx;
        let generation = family.generation.checked_add(1).ok_or(Reason::Exhausted)?;
        let [newest, before, _] = family.issued;
        Ok(TokenFamily {
            generation,
            issued: [Issued { at: now, by: self.cx.issuer }, newest, before],
            used_at: now,
            retries: 0,
            confirmed: false,
            key_id,
            // The first request that proves a key binds the family to it (RFC 9449 §5).
            binding: family
                .binding
                .clone()
                .or_else(|| self.ask.binding.filter(|_| generation == 1).copied().map(Arc::new)),
            // Kept as long as the code could be presented again: without the code verifier such a request must have no
            // effect either.
            code: family.code.clone().filter(|_| self.windows.code_is_alive()),
            ..family.clone()
        })
    }

    /// Issues tokens, with `write` as the next state if there is one. A refusal here consumes nothing.
    fn issue(&self, action: Action, reason: Option<Reason>, write: Option<TokenFamily>) -> Result<Decision, Reason> {
        let grant = &self.family.grant;
        let scope = match &self.ask.scope {
            Some(asked) if !grant.scope.includes(asked) => return Err(Reason::ScopeExceeded),
            Some(asked) if !asked.as_str().is_empty() => asked,
            _ => &grant.scope,
        };
        let audience = match &*self.ask.resources {
            [] => grant.resources.clone(),
            asked if asked.iter().all(|resource| grant.resources().contains(resource)) => asked.into(),
            _ => return Err(Reason::ResourceNotGranted),
        };
        let family = write.as_ref().unwrap_or(self.family).clone();
        let event = AuditEvent { reason, ..AuditEvent::on_family(self.cx.now, action, &family) };
        let issue = Issue { retry: action == Action::Retry, ..Issue::new(family, scope, audience, self.cx) };
        if issue.absolute.as_secs() < self.policy.min_access.as_secs() {
            return Err(Reason::AbsoluteExpired);
        }
        Ok(Decision { write, verdict: Verdict::Issue(issue), event: Some(event) })
    }
}
