//! Why an account was not connected.

use std::sync::Arc;

use crate::vault::{UpstreamError, UpstreamReason, VaultError};

/// Why an authorization was not begun or not completed. No variant carries a secret.
///
/// Answer with [`status`](Self::status). After each error except [`Fault`](Self::Fault) the user has to begin again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The vault has no provider for the service, or the provider has no
    /// [authorization endpoint](crate::vault::UpstreamProvider::connector).
    #[error("{service} has no provider with an authorization endpoint")]
    #[non_exhaustive]
    NotConnectable {
        /// The service.
        service: Arc<str>,
    },
    /// The redirect URI is not acceptable.
    #[error(
        "a redirect URI must be https, or http on a loopback host, without user information or fragment, got {found}"
    )]
    #[non_exhaustive]
    RedirectUri {
        /// The value, without what may be secret.
        found: String,
    },
    /// The browser session is empty, so it would bind the authorization to nothing.
    #[error("the browser session must not be empty")]
    NoSession,
    /// The callback has no well-formed state, no answer, or a parameter twice.
    #[error("the callback is malformed")]
    Malformed,
    /// No authorization with this state has begun, or it was long ago.
    #[error("no authorization with this state has begun")]
    UnknownState,
    /// A callback with this state was already accepted.
    #[error("the authorization has been completed before")]
    Replayed,
    /// Another user began the authorization.
    #[error("another user began the authorization")]
    OtherSubject,
    /// The authorization was begun in another browser session.
    #[error("the authorization was begun in another browser session")]
    OtherBrowser,
    /// The authorization was begun more than ten minutes ago.
    #[error("the authorization was begun more than 10 minutes ago")]
    Late,
    /// The callback is not from the service that the authorization was begun at (RFC 9207 §2.4, RFC 9700 §4.4). The
    /// authorization is spent.
    #[error("the callback is not from the service that the user was sent to")]
    MixedUp,
    /// The service does not accept the code. The authorization is spent.
    #[error("the service does not accept the code")]
    CodeRefused,
    /// The service issued no tokens, or its answer was lost. The authorization is spent.
    #[error("the service issued no tokens")]
    Service(#[source] UpstreamError),
    /// A fault of the vault: its store, keys or random source. If no callback was accepted before, the same callback may be
    /// tried again.
    #[error("the vault failed")]
    Fault(#[from] VaultError),
}

impl ConnectError {
    /// Returns the HTTP status to answer with: 503 for a fault of the vault, 502 for one of the service, 500 for a mistake
    /// of the application, 404 for a service that cannot be connected, 403 for another user or browser, otherwise 400.
    pub fn status(&self) -> u16 {
        match self {
            Self::NotConnectable { .. } => 404,
            Self::RedirectUri { .. } | Self::NoSession => 500,
            Self::OtherSubject | Self::OtherBrowser => 403,
            Self::Service(_) => 502,
            Self::Fault(_) => 503,
            _ => 400,
        }
    }

    /// The error of a callback that the decision refuses.
    pub(super) fn refused(reason: UpstreamReason) -> Self {
        match reason {
            UpstreamReason::UnknownState => Self::UnknownState,
            UpstreamReason::Replayed => Self::Replayed,
            UpstreamReason::OtherSubject => Self::OtherSubject,
            UpstreamReason::OtherBrowser => Self::OtherBrowser,
            UpstreamReason::Late => Self::Late,
            UpstreamReason::MixedUp => Self::MixedUp,
            _ => Self::Malformed,
        }
    }
}

/// The error of an exchange.
impl From<UpstreamError> for ConnectError {
    fn from(error: UpstreamError) -> Self {
        match error {
            UpstreamError::InvalidGrant => Self::CodeRefused,
            error => Self::Service(error),
        }
    }
}
