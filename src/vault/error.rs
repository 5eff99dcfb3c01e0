//! The errors that a provider returns instead of tokens.

use std::error::Error as StdError;
use std::time::Duration;

use crate::audit::UpstreamReason;

/// Why a provider did not refresh, revoke or introspect a credential.
///
/// No variant carries a secret. Of the response it carries the error code alone.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UpstreamError {
    /// The service does not accept the refresh token (RFC 6749 §5.2, `invalid_grant`). The user has to authorize again.
    #[error("the service does not accept the refresh token")]
    InvalidGrant,
    /// The service refuses this client or this kind of request, for example with `invalid_client`. The operator has to
    /// act; the credential may still be good.
    #[error("the service refuses this client: {code}")]
    #[non_exhaustive]
    Configuration {
        /// The error code: visible ASCII, at most 64 characters.
        code: String,
    },
    /// The service refuses with an error code that is not known. If refreshes only get such refusals for the policy's
    /// [`refusal_limit`](crate::vault::RefreshPolicyBuilder::refusal_limit), the user is asked to authorize again.
    #[error("the service refuses the request: {code}")]
    #[non_exhaustive]
    Refused {
        /// The error code: visible ASCII, at most 64 characters.
        code: String,
    },
    /// The service did not carry out the request. Examples: there was no connection, or it answered 429 or 503.
    #[error("the service is unavailable")]
    #[non_exhaustive]
    Unavailable {
        /// How long the service asks the client to wait (RFC 9110 §10.2.3, `Retry-After`).
        retry_after: Option<Duration>,
        /// The cause.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The service may have carried out the request and the answer was lost: a timeout after the request was sent, a
    /// truncated or a malformed response.
    #[error("the answer of the service was lost")]
    Uncertain(#[source] Box<dyn StdError + Send + Sync>),
}

impl UpstreamError {
    /// Creates [`Refused`](Self::Refused) with `code`. Characters other than visible ASCII are dropped, and the code is
    /// cut to 64 characters.
    pub fn refused(code: &str) -> Self {
        Self::Refused { code: printable(code) }
    }

    /// Creates [`Configuration`](Self::Configuration) with `code`. Characters other than visible ASCII are dropped, and
    /// the code is cut to 64 characters.
    pub fn configuration(code: &str) -> Self {
        Self::Configuration { code: printable(code) }
    }

    /// Creates [`Unavailable`](Self::Unavailable), caused by `source`. Use it only if the service did not carry out the
    /// request.
    pub fn unavailable(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Unavailable { retry_after: None, source: source.into() }
    }

    /// Creates [`Unavailable`](Self::Unavailable) for a service that asks the client to wait for `after`.
    pub fn retry_after(after: Duration, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Unavailable { retry_after: Some(after), source: source.into() }
    }

    /// How long the service asks the client to wait.
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

    /// Creates [`Uncertain`](Self::Uncertain), caused by `source`.
    pub fn uncertain(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Uncertain(source.into())
    }
}

fn printable(code: &str) -> String {
    code.chars().filter(char::is_ascii_graphic).take(64).collect()
}
