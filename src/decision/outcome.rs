//! The result of a decision: a write, an answer and an audit event.

use super::issue::Issue;
use crate::audit::{Action, AuditEvent, Claim, ErrorCode, Reason};
use crate::family::TokenFamily;
use crate::time::Timestamp;
use std::sync::Arc;

/// What the issuer must do, in this order: seal what is to be issued, write, report, answer.
///
/// If the write meets a conflict, the decision has no effect: load the family again and decide again.
#[derive(Debug)]
#[must_use = "a denial can carry a write: a revocation must not be lost"]
#[non_exhaustive]
pub struct Decision<T = Verdict> {
    /// The next state of the family, if it changes.
    pub write: Option<TokenFamily>,
    /// The answer.
    pub verdict: T,
    /// The event to report once the write is done.
    pub event: Option<AuditEvent>,
}

/// The answer to a token request.
#[derive(Debug)]
#[non_exhaustive]
#[allow(clippy::large_enum_variant, reason = "made once and taken apart at once")]
pub enum Verdict {
    /// Tokens are issued.
    Issue(Issue),
    /// The request is refused.
    Deny(ErrorCode),
    /// The request is refused after every other family of the subject was revoked and the write was done, in this
    /// order.
    RevokeSubject(ErrorCode),
}

impl<T> Decision<T> {
    /// Refuses without a write and reports the reason.
    pub(crate) fn refuse(verdict: T, family: &TokenFamily, reason: Reason, now: Timestamp) -> Self {
        let event = AuditEvent::on_family(now, Action::Deny, family).because(reason);
        Self { write: None, verdict, event: Some(event) }
    }

    /// Refuses without a write and reports that `claim` of an authentic access token contradicts `family`.
    pub(crate) fn forged(verdict: T, family: &TokenFamily, claim: Claim, now: Timestamp) -> Self {
        let event = AuditEvent::on_family(now, Action::Forgery, family).because(Reason::Forgery(claim));
        Self { write: None, verdict, event: Some(event) }
    }
}

impl AuditEvent {
    pub(crate) fn on_family(at: Timestamp, action: Action, family: &TokenFamily) -> Self {
        Self {
            family: Some(family.id),
            generation: Some(family.generation),
            client_id: Some(Arc::clone(&family.grant.client_id)),
            subject: Some(Arc::clone(&family.grant.subject)),
            ..Self::new(at, action)
        }
    }
}
