//! What the decision is given: events, and the values that they are decided with.
#![allow(clippy::exhaustive_enums, reason = "these types are public for the model check alone")]

use std::sync::Arc;

use super::state::{Claim, Failure, Held, OperationId, SecretId};
use crate::decision::Outages;
use crate::grant::Scope;
use crate::id::FamilyId;
use crate::time::Timestamp;
use crate::vault::RefreshPolicy;
use crate::vault::bound_to::BoundTo;

/// The values that an event is decided with.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The policy.
    pub policy: &'a RefreshPolicy,
    /// The recent outages of the store.
    pub outages: Outages,
    /// The time.
    pub now: Timestamp,
}

/// What has happened, or what a caller wants.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// The application puts a secret into the vault. Its number is assigned here.
    Put {
        /// The secret.
        held: Held,
        /// Whether the service ends the new grant when it is told to revoke an older secret of the account.
        ends_grants: bool,
    },
    /// The application replaces a static secret. Number and binding are assigned here.
    Rotate {
        /// The secret.
        held: Held,
    },
    /// A tool requests a lease.
    Lease(Ask),
    /// The application, or the end of a session or client, revokes.
    Revoke {
        /// The operation.
        by: OperationId,
        /// Which secret is meant.
        whom: Whom,
    },
    /// It is time to tell the service what waits for its revocation.
    Tick {
        /// The operation.
        by: OperationId,
    },
    /// The service has answered a refresh, or cannot answer any more.
    Answered {
        /// The secret that was presented.
        from: Held,
        /// The claim under which it was presented.
        claim: Claim,
        /// The answer.
        answer: Answer,
    },
    /// The service has answered a revocation, or cannot answer any more.
    RevocationAnswer {
        /// The secret to revoke.
        id: SecretId,
        /// The claim under which the service was told.
        claim: Claim,
        /// The answer.
        answer: RevocationAnswer,
    },
}

/// A request for a lease.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ask {
    /// The operation; [`OperationId::NONE`] for a look.
    pub by: OperationId,
    /// The session of the caller.
    pub session: FamilyId,
    /// The client of the caller.
    pub client_id: Arc<str>,
    /// The scope that is requested.
    pub scope: Scope,
    /// Whether a broader scope is accepted.
    pub broader: bool,
    /// The secret that the service has refused.
    pub refused: Option<SecretId>,
    /// Whether the vault has a provider for the service.
    pub has_provider: bool,
}

/// Which secret a revocation means.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Whom {
    /// That of the account, without regard to its binding.
    Account,
    /// The one that is bound to this session.
    Session(FamilyId),
    /// The one that is bound to this client.
    Client(Arc<str>),
}

impl Whom {
    /// Whether a secret that is bound to `bound_to` is meant.
    pub(crate) fn means(&self, bound_to: &BoundTo) -> bool {
        match self {
            Self::Account => true,
            Self::Session(family) => bound_to.session == Some(*family),
            Self::Client(client_id) => bound_to.client_id.as_ref() == Some(client_id),
        }
    }
}

/// The answer to a refresh.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// New tokens.
    Fresh {
        /// The tokens, with the binding of those that they came from. Their number is assigned here.
        held: Held,
        /// Whether the service sent a usable access token.
        is_usable: bool,
    },
    /// The grant has ended.
    Dead,
    /// A failure. With the reason `Uncertain`, the service may have issued new tokens.
    Failed(Failure),
    /// The request was not sent.
    NotSent,
}

/// The answer to a revocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RevocationAnswer {
    /// The service has revoked the secret.
    Done,
    /// The service cannot revoke it.
    Unsupported,
    /// The service revokes by a live access token alone, and this one has expired.
    NeedsRefresh,
    /// A failure.
    Failed(Failure),
    /// The request was not sent.
    NotSent,
}
