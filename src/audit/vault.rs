//! The actions of the vault, and their reasons.

use crate::time::Timestamp;

/// An action of the vault. A lease causes no event; a refused lease does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UpstreamAct {
    /// A credential was put into the vault.
    Put,
    /// A credential was replaced by another one without a revocation at the service, where it may still work.
    ///
    /// With the reason `answer_lost`, so may tokens that the vault never received.
    Replaced,
    /// A record that could not be opened was replaced by a new credential. What it held is lost.
    Unreadable,
    /// A static secret was replaced.
    Rotate,
    /// A lease was refused.
    Refuse,
    /// A static secret was leased after the date by which it should have been replaced.
    Overdue,
    /// New tokens were obtained and stored.
    Refresh,
    /// A refresh failed and will be retried.
    RefreshFailed,
    /// The service does not accept the refresh token any more, or refused a secret that has none: the user must
    /// authorize again.
    NeedsAuthorization,
    /// New tokens were dropped, because another credential had taken their place when they arrived.
    Superseded,
    /// New tokens could not be stored. If the service has replaced the refresh token, the user must authorize again.
    Lost,
    /// A credential is not leased from now on, and its revocation at the service is due.
    Revoke,
    /// The revocation at the service failed and will be retried.
    RevokeFailed,
    /// A pending revocation was cancelled: the user has authorized again at a service that would end the new grant with
    /// the old one.
    RevokeCancelled,
    /// The service revoked the credential; the secret was deleted.
    ///
    /// With the reason `answer_lost`, the service may have replaced the refresh token before with one that the vault
    /// never received. Whether that one has ended too depends on the service.
    Revoked,
    /// The secret was deleted without a revocation, because the service offers none for it or the vault has no provider.
    /// It still works: a person has to revoke it at the service.
    Forgotten,
    /// The secret was deleted without a revocation at the service, because the credential has expired, the time for
    /// retries is over, or too many revocations of the account were pending.
    ///
    /// With the reason `answer_lost`, tokens that the vault never received may still be valid.
    Abandoned,
    /// A clock was stepped, or a process was suspended, for longer than the policy allows. Nothing was lost.
    ClockStepped,
    /// A user began to connect an account.
    ConnectBegun,
    /// A callback was refused. The account is the one that the authorization was begun for. Without a service, no
    /// authorization is known, and the subject is the user that was logged in.
    ConnectRefused,
    /// The user or the service refused to connect the account.
    ConnectDenied,
    /// An account was not connected, because the service issued no tokens or the vault had a fault.
    ConnectFailed,
    /// Data keys were wrapped with the primary key.
    #[non_exhaustive]
    Rewrap {
        /// The number of data keys.
        count: usize,
    },
}

impl UpstreamAct {
    /// Returns a stable name for logs and metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Put => "upstream_put",
            Self::Replaced => "upstream_replaced",
            Self::Unreadable => "upstream_unreadable",
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
            Self::RevokeCancelled => "upstream_revoke_cancelled",
            Self::Revoked => "upstream_revoked",
            Self::Forgotten => "upstream_forgotten",
            Self::Abandoned => "upstream_abandoned",
            Self::ClockStepped => "upstream_clock_stepped",
            Self::ConnectBegun => "upstream_connect_begun",
            Self::ConnectRefused => "upstream_connect_refused",
            Self::ConnectDenied => "upstream_connect_denied",
            Self::ConnectFailed => "upstream_connect_failed",
            Self::Rewrap { .. } => "upstream_rewrap",
        }
    }
}

/// Why the vault refused a lease or a callback, or why a service did not carry out a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UpstreamReason {
    /// The credential does not exist.
    NotFound,
    /// The access token that the credential was requested with has expired.
    AccessExpired,
    /// The credential is bound to another session.
    OtherSession,
    /// The credential is bound to another client.
    OtherClient,
    /// The credential is revoked.
    Revoked,
    /// The user must authorize again.
    NeedsAuthorization,
    /// The credential allows less than is needed.
    InsufficientScope,
    /// The credential allows more than is needed.
    BroaderThanNeeded,
    /// The service does not accept the refresh token.
    InvalidGrant,
    /// The answer to an earlier refresh was lost or has not arrived: the service may have replaced the refresh token.
    AnswerLost,
    /// The service refused the secret in a request, and the vault has no refresh token for it.
    SecretRefused,
    /// The service refused this client: the operator must act.
    Configuration,
    /// The service refused for an unknown reason.
    Refused,
    /// The service has replaced the refresh token, but sent no usable access token.
    UnusableToken,
    /// The service is unavailable.
    Unavailable,
    /// The answer of the service was lost.
    Uncertain,
    /// A refresh is in progress, and the tokens that it returns must be revoked too.
    Refreshing,
    /// Too many revocations of the account were pending.
    TooMany,
    /// The vault has no provider for the service.
    NoProvider,
    /// The vault has a fault: store, keys or randomness.
    Fault,
    /// A callback has no well-formed state, no answer, or a parameter twice.
    Malformed,
    /// No authorization with the state of a callback has begun, or it was long ago.
    UnknownState,
    /// A callback with the same state was accepted before.
    Replayed,
    /// A callback came from another user than the one who began the authorization.
    OtherSubject,
    /// A callback came from another browser session.
    OtherBrowser,
    /// A callback came more than ten minutes after the authorization was begun.
    Late,
    /// A callback was for another service than the one that the user was sent to (RFC 9207).
    MixedUp,
}

impl UpstreamReason {
    /// Returns since when the service has refused for an unknown reason, if this is the reason of an attempt at `now`.
    /// An attempt that got no answer does not change it; a configuration error, which the operator must solve, resets
    /// it.
    pub(crate) fn refused_since(self, before: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Refused => before.or(Some(now)),
            Self::Configuration => None,
            _ => before,
        }
    }

    /// Returns a stable name for logs and metrics.
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
            Self::TooMany => "upstream_too_many",
            Self::NoProvider => "no_provider",
            Self::Fault => "fault",
            Self::Malformed => "connect_malformed",
            Self::UnknownState => "connect_unknown_state",
            Self::Replayed => "connect_replayed",
            Self::OtherSubject => "connect_other_subject",
            Self::OtherBrowser => "connect_other_browser",
            Self::Late => "connect_late",
            Self::MixedUp => "connect_mixed_up",
        }
    }
}
