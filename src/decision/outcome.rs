//! What a decision leads to: a write, an answer and an event.

use super::issue::Issue;
use crate::audit::{Action, AuditEvent, Claim, ErrorCode, Reason};
use crate::family::TokenFamily;
use crate::time::Timestamp;

/// What to do, in this order: seal what is to be issued, write, report, answer. If the write meets a conflict nothing has
/// happened: load again and decide again.
#[derive(Debug)]
#[must_use = "a denial can carry a write: a revocation must not be lost"]
#[non_exhaustive]
pub struct Decision<T = Verdict> {
    /// The family's next state, if it changes.
    pub write: Option<TokenFamily>,
    /// What to answer.
    pub verdict: T,
    /// What to report, once the write is done.
    pub event: Option<AuditEvent>,
}

/// What to answer to a token request.
#[derive(Debug)]
#[non_exhaustive]
#[allow(clippy::large_enum_variant, reason = "made once and taken apart at once")]
pub enum Verdict {
    /// Tokens.
    Issue(Issue),
    /// A refusal.
    Deny(ErrorCode),
    /// Every family of the subject is to be revoked, then the write done; then a refusal.
    RevokeSubject(ErrorCode),
}

impl<T> Decision<T> {
    /// Nothing changes, and the reason is reported.
    pub(crate) fn refuse(verdict: T, family: &TokenFamily, reason: Reason, now: Timestamp) -> Self {
        let event = AuditEvent::on_family(now, Action::Deny, family).because(reason);
        Self { write: None, verdict, event: Some(event) }
    }

    /// Nothing changes, and it is reported that `claim` of an authentic access token contradicts `family`.
    pub(crate) fn forged(verdict: T, family: &TokenFamily, claim: Claim, now: Timestamp) -> Self {
        let event = AuditEvent::on_family(now, Action::Forgery, family).because(Reason::Forgery(claim));
        Self { write: None, verdict, event: Some(event) }
    }
}
