//! What the vault did, and why, for whoever watches over it.

use crate::time::Timestamp;

/// An act of the vault. A lease is no event of its own; a refusal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UpstreamAct {
    /// A credential was put into the vault.
    Put,
    /// A static secret was replaced.
    Rotate,
    /// A lease was refused.
    Refuse,
    /// A static secret was leased after the date by which it should have been replaced.
    Overdue,
    /// New tokens were obtained and stored.
    Refresh,
    /// A refresh failed and will be tried again.
    RefreshFailed,
    /// The service does not honour the refresh token any more, or a secret without one: the user has to authorize anew.
    NeedsAuthorization,
    /// New tokens came when another credential had taken their place: they were dropped.
    Superseded,
    /// New tokens could not be stored. If the service has replaced the refresh token, the user has to authorize anew.
    Lost,
    /// A credential is leased to nobody from now on, and its service is to be told.
    Revoke,
    /// The service could not be told and will be told again.
    RevokeFailed,
    /// The service was told, or has no way to be told; the secret is deleted. As `answer_lost`, it may have exchanged it before for
    /// another of which nobody knows; whether that has ended too is up to the service.
    Revoked,
    /// The credential has expired, or the time to retry is over, before the service could be told; or, as `answer_lost`, what it
    /// was exchanged for is not known, and may live on. The secret is deleted.
    Abandoned,
    /// Data keys were wrapped with the primary key.
    #[non_exhaustive]
    Rewrap {
        /// How many.
        count: usize,
    },
}

impl UpstreamAct {
    /// A stable name for logs and metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Put => "upstream_put",
            Self::Rotate => "upstream_rotate",
            Self::Refuse => "upstream_refuse",
            Self::Overdue => "upstream_overdue",
            Self::Refresh => "upstream_refresh",
            Self::RefreshFailed => "upstream_refresh_failed",
            Self::NeedsAuthorization => "upstream_needs_authorization",
            Self::Superseded => "upstream_superseded",
            Self::Lost => "upstream_lost",
            Self::Revoke => "upstream_revoke",
            Self::RevokeFailed => "upstream_revoke_failed",
            Self::Revoked => "upstream_revoked",
            Self::Abandoned => "upstream_abandoned",
            Self::Rewrap { .. } => "upstream_rewrap",
        }
    }
}

/// Why the vault refused, or why a service did not do what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UpstreamReason {
    /// There is no such credential.
    NotFound,
    /// The access token that it was to be leased for has expired.
    AccessExpired,
    /// It is bound to another session.
    OtherSession,
    /// It is bound to another client.
    OtherClient,
    /// It is revoked.
    Revoked,
    /// The user has to authorize anew.
    NeedsAuthorization,
    /// It allows less than is needed.
    InsufficientScope,
    /// It allows more than is needed.
    BroaderThanNeeded,
    /// The service does not honour the refresh token.
    InvalidGrant,
    /// The answer to an earlier refresh was lost or is still to come: the service may have replaced the refresh token then.
    AnswerLost,
    /// The service has refused the secret in a request, and there is nothing to refresh it with.
    SecretRefused,
    /// The service refused this client: the operator has to act.
    Configuration,
    /// The service refused for a reason that is not known.
    Refused,
    /// The service has replaced the refresh token, and gave no access token that can be used.
    UnusableToken,
    /// The service is unavailable.
    Unavailable,
    /// The answer of the service was lost.
    Uncertain,
    /// A refresh is under way, and what it brings is to be revoked too.
    Refreshing,
    /// No provider was given for the service.
    NoProvider,
    /// The vault itself is at fault: store, keys or randomness.
    Fault,
}

impl UpstreamReason {
    /// Since when a service has refused for a reason that is not known, if it has answered so at `now`, or has not answered. What
    /// the operator has to act on is a reason that is known.
    pub(crate) fn refused_since(self, before: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Refused => before.or(Some(now)),
            Self::Configuration => None,
            _ => before,
        }
    }

    /// A stable name for logs and metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::AccessExpired => "access_expired",
            Self::OtherSession => "other_session",
            Self::OtherClient => "other_client",
            Self::Revoked => "revoked",
            Self::NeedsAuthorization => "needs_authorization",
            Self::InsufficientScope => "insufficient_scope",
            Self::BroaderThanNeeded => "broader_than_needed",
            Self::InvalidGrant => "upstream_invalid_grant",
            Self::AnswerLost => "upstream_answer_lost",
            Self::SecretRefused => "upstream_secret_refused",
            Self::Configuration => "upstream_configuration",
            Self::Refused => "upstream_refused",
            Self::UnusableToken => "upstream_unusable_token",
            Self::Unavailable => "upstream_unavailable",
            Self::Uncertain => "upstream_uncertain",
            Self::Refreshing => "upstream_refreshing",
            Self::NoProvider => "no_provider",
            Self::Fault => "fault",
        }
    }
}
