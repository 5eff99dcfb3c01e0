//! What a provider answers instead of tokens.

use std::error::Error as StdError;
use std::time::Duration;

use crate::audit::UpstreamReason;

/// Why a provider did not do what was asked. No variant carries a secret, nor anything of the response but its error code.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UpstreamError {
    /// The refresh token is not honoured any more (RFC 6749 §5.2, `invalid_grant`): the user has to authorize anew.
    #[error("the service does not honour the refresh token")]
    InvalidGrant,
    /// The service refuses this client, or the request as it is made, such as with `invalid_client`: the operator has to act, and
    /// the credential may well be good.
    #[error("the service refuses this client: {code}")]
    #[non_exhaustive]
    Configuration {
        /// The error code: printable ASCII, at most 64 characters.
        code: String,
    },
    /// The service refuses for a reason that is not known. If it does nothing else for the time of the policy's
    /// [`refusal_limit`](crate::vault::RefreshPolicyBuilder::refusal_limit), the user is asked to authorize again.
    #[error("the service refuses: {code}")]
    #[non_exhaustive]
    Refused {
        /// The error code: printable ASCII, at most 64 characters.
        code: String,
    },
    /// Certainly nothing has changed: no connection, 429, 503.
    #[error("the service is unavailable")]
    #[non_exhaustive]
    Unavailable {
        /// How long it asks to be left alone (RFC 9110 §10.2.3).
        retry_after: Option<Duration>,
        /// What went wrong.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The service may have carried it out, and the answer is lost: a timeout after the send, a truncated or malformed response.
    #[error("the answer of the service was lost")]
    Uncertain(#[source] Box<dyn StdError + Send + Sync>),
}

impl UpstreamError {
    /// The service refuses with this error code, of which what is not printable ASCII is left out.
    pub fn refused(code: &str) -> Self {
        Self::Refused { code: printable(code) }
    }

    /// The service refuses this client with this error code, of which what is not printable ASCII is left out.
    pub fn configuration(code: &str) -> Self {
        Self::Configuration { code: printable(code) }
    }

    /// Certainly nothing has changed, because of `source`.
    pub fn unavailable(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Unavailable { retry_after: None, source: source.into() }
    }

    /// Certainly nothing has changed, and the service asks to be left alone for so long.
    pub fn retry_after(after: Duration, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Unavailable { retry_after: Some(after), source: source.into() }
    }

    /// How long the service asks to be left alone.
    pub(crate) fn asked_pause(&self) -> Option<Duration> {
        match self {
            Self::Unavailable { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    pub(crate) fn reason(&self) -> UpstreamReason {
        match self {
            Self::InvalidGrant => UpstreamReason::InvalidGrant,
            Self::Configuration { .. } => UpstreamReason::Configuration,
            Self::Refused { .. } => UpstreamReason::Refused,
            Self::Unavailable { .. } => UpstreamReason::Unavailable,
            Self::Uncertain(_) => UpstreamReason::Uncertain,
        }
    }

    /// The service may have carried it out; `source` says what went wrong.
    pub fn uncertain(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Uncertain(source.into())
    }
}

fn printable(code: &str) -> String {
    code.chars().filter(char::is_ascii_graphic).take(64).collect()
}
