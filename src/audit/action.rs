//! The actions that an audit event reports.

use super::reason::RevocationReason;
#[cfg(feature = "vault")]
use super::vault::UpstreamAct;
use crate::policy::OnReuse;

/// The action that an audit event reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Action {
    /// An authorization code was issued.
    Authorize,
    /// Tokens were issued without a code.
    Issue,
    /// An authorization code was redeemed.
    Redeem,
    /// A refresh token was rotated.
    Rotate,
    /// A refresh token was used and kept, because the policy does not rotate it or because it was rotated three times
    /// within the leeway.
    Keep,
    /// A spent token was answered with the current one, because a response was lost or requests were made in parallel.
    Retry,
    /// A token ahead of the store was accepted and rotated.
    FastForward,
    /// A request was refused, and nothing was changed.
    Deny,
    /// An access token that contradicts the record of its family was refused, although it is sealed with a genuine key.
    ///
    /// Only a holder of that key other than an issuer can have made the token. Find out which server leaked the key,
    /// and rotate the key.
    Forgery,
    /// A spent token was presented, and the given consequence followed.
    Reuse(OnReuse),
    /// A family was revoked.
    Revoke(RevocationReason),
    /// Expired records were deleted.
    #[non_exhaustive]
    Purge {
        /// The number of records.
        count: usize,
    },
    /// Records were moved to the primary key.
    #[non_exhaustive]
    Rekey {
        /// The number of records.
        count: usize,
    },
    /// A maintenance run failed and will be retried.
    ///
    /// If the event has a family, a subject or a client: the credentials for other services that are bound to it could
    /// not be revoked, and that is not retried.
    Fail,
    /// A request was answered with 503 or `server_error` because of a fault of the server, or an open stream could not
    /// be checked.
    Fault,
    /// The vault acted on a credential for another service.
    #[cfg(feature = "vault")]
    Upstream(UpstreamAct),
}

impl Action {
    /// Returns a stable name for logs and metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Authorize => "authorize",
            Self::Issue => "issue",
            Self::Redeem => "redeem",
            Self::Rotate => "rotate",
            Self::Keep => "keep",
            Self::Retry => "retry",
            Self::FastForward => "fast_forward",
            Self::Deny => "deny",
            Self::Forgery => "forgery",
            Self::Reuse(OnReuse::RevokeFamily) => "reuse_revoke_family",
            Self::Reuse(OnReuse::RejectOnly) => "reuse_reject_only",
            Self::Reuse(OnReuse::RevokeSubject) => "reuse_revoke_subject",
            Self::Revoke(RevocationReason::Reuse) => "revoke_reuse",
            Self::Revoke(RevocationReason::Token) => "revoke_token",
            Self::Revoke(RevocationReason::Session) => "revoke_session",
            Self::Revoke(RevocationReason::Subject) => "revoke_subject",
            Self::Revoke(RevocationReason::Client) => "revoke_client",
            Self::Purge { .. } => "purge",
            Self::Rekey { .. } => "rekey",
            Self::Fail => "fail",
            Self::Fault => "fault",
            #[cfg(feature = "vault")]
            Self::Upstream(act) => act.as_str(),
        }
    }
}
