//! What an event leads to.
#![allow(clippy::exhaustive_enums, reason = "these types are public for the model check alone")]

use super::state::{Claim, Held, Slot};
use crate::audit::{UpstreamAct, UpstreamReason};
use crate::time::Timestamp;

/// What to do about an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What to write; `None` if nothing changes.
    pub write: Option<Slot>,
    /// The answer to the caller, once the write is confirmed.
    pub verdict: Verdict,
    /// The request to send to the service, once the write is confirmed.
    pub effect: Option<Effect>,
    /// What to report, once the write is confirmed.
    pub reports: Vec<Report>,
}

/// The answer to a caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The event took effect, or nothing was left to do.
    Done,
    /// There is no such secret.
    Absent,
    /// Lease this secret.
    Serve {
        /// The secret.
        held: Held,
        /// Whether it should have been replaced by now.
        overdue: bool,
    },
    /// Lease again once this operation has refreshed.
    Refresh,
    /// Another operation refreshes. Lease again later.
    Wait {
        /// When the claim of the other one ends.
        until: Timestamp,
    },
    /// Nothing is leased.
    Refused(Refusal),
}

/// Why nothing is leased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The account has no secret.
    NotFound,
    /// The secret is being revoked.
    Revoked,
    /// The user has to authorize again.
    NeedsAuthorization,
    /// The secret is bound to another session.
    OtherSession,
    /// The secret is bound to another client.
    OtherClient,
    /// The secret does not allow the requested scope.
    InsufficientScope,
    /// The secret allows more than the requested scope.
    BroaderThanNeeded,
    /// The service fails, and is not asked before `until`.
    Unavailable {
        /// When it may be asked.
        until: Timestamp,
    },
    /// The vault has no provider for the service.
    NoProvider,
}

/// A request to the service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Request new tokens.
    Refresh {
        /// The secret with the refresh token.
        held: Held,
        /// The claim under which the request is sent.
        claim: Claim,
    },
    /// Request the revocation.
    Tell {
        /// The secret to revoke.
        held: Held,
        /// The claim under which the request is sent.
        claim: Claim,
    },
}

/// An audit event about one secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Report {
    /// What happened.
    pub act: UpstreamAct,
    /// Why.
    pub reason: Option<UpstreamReason>,
    /// The secret that it happened to.
    pub held: Held,
}
