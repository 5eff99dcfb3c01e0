//! What was done.

use super::reason::RevocationReason;
#[cfg(feature = "vault")]
use super::vault::UpstreamAct;
use crate::policy::OnReuse;

/// What was done.
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
    /// A refresh token was used and kept: the policy does not rotate it, or it was rotated three times within the leeway.
    Keep,
    /// A spent token was answered with the current one: a lost response, or parallel requests.
    Retry,
    /// A token ahead of the store was believed, and rotated.
    FastForward,
    /// A request was refused; nothing has changed.
    Deny,
    /// An access token was refused that is sealed with a genuine key and contradicts the record of its family. Only a holder of
    /// that key who is no issuer can have made it: find out which server the key leaked from, and rotate it.
    Forgery,
    /// A spent token was presented, and this is what followed.
    Reuse(OnReuse),
    /// A family was revoked.
    Revoke(RevocationReason),
    /// Expired records were deleted.
    #[non_exhaustive]
    Purge {
        /// How many.
        count: usize,
    },
    /// Records were moved to the primary key.
    #[non_exhaustive]
    Rekey {
        /// How many.
        count: usize,
    },
    /// A maintenance run failed and will be tried again. With a family, a subject or a client: what is bound to it at other
    /// services could not be revoked and is not tried again.
    Fail,
    /// A request could not be answered because of a fault of the server, and the client got a 503 or `server_error`; or an open stream
    /// could not be checked.
    Fault,
    /// The vault did something with a credential at another service.
    #[cfg(feature = "vault")]
    Upstream(UpstreamAct),
}

impl Action {
    /// A stable name for logs and metrics.
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
