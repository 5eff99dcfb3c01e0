//! Why nothing was leased.

use std::sync::Arc;
use std::time::Duration;

use super::error::VaultError;
use crate::vault::UpstreamReason;

/// Why nothing was leased. No variant carries a secret.
///
/// Only [`Expired`](Self::Expired) is a 401: it would send the client to this server's own login, and with any other no token of this
/// server is at fault.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LeaseError {
    /// The user has no such credential here.
    #[error("there is no credential for {service}")]
    #[non_exhaustive]
    NotFound {
        /// For which service.
        service: Arc<str>,
    },
    /// The service does not honour the credential any more: send the user there to authorize anew.
    #[error("{service} asks for a new authorization")]
    #[non_exhaustive]
    NeedsAuthorization {
        /// Which service.
        service: Arc<str>,
    },
    /// It is being revoked.
    #[error("the credential for {service} is revoked")]
    #[non_exhaustive]
    Revoked {
        /// For which service.
        service: Arc<str>,
    },
    /// The access token of the claims has expired: the client has to refresh it.
    #[error("the access token has expired")]
    Expired,
    /// It is bound to another session of the user.
    #[error("the credential is bound to another session")]
    OtherSession,
    /// It is bound to another client of the user.
    #[error("the credential is bound to another client")]
    OtherClient,
    /// It does not allow what is needed: send the user to the service to consent to more.
    #[error("the credential for {service} does not allow what is needed")]
    #[non_exhaustive]
    InsufficientScope {
        /// For which service.
        service: Arc<str>,
    },
    /// It allows more than is needed, and the need did not say [`allow_broader`](super::LeaseRequest::allow_broader).
    #[error("the credential allows more than is needed")]
    BroaderThanNeeded,
    /// The token has expired and the service does not give a new one just now. Nothing is lost.
    #[error("the service does not give a new token just now")]
    #[non_exhaustive]
    Unavailable {
        /// When it is of use to try again.
        retry_after: Duration,
    },
    /// A fault of the vault's own side.
    #[error("the vault is at fault")]
    Fault(#[from] VaultError),
}

impl LeaseError {
    /// The HTTP status that fits: 503 where a retry helps, 403 where it does not, 401 where a new access token does.
    pub fn status(&self) -> u16 {
        match self {
            Self::Expired => 401,
            Self::Unavailable { .. } | Self::Fault(_) => 503,
            _ => 403,
        }
    }

    /// The service to which the user should be sent, to authorize for the first time, anew, or for more.
    pub fn authorize_at(&self) -> Option<&str> {
        match self {
            Self::NotFound { service }
            | Self::NeedsAuthorization { service }
            | Self::Revoked { service }
            | Self::InsufficientScope { service } => Some(service),
            _ => None,
        }
    }

    pub(crate) fn reason(&self) -> UpstreamReason {
        match self {
            Self::NotFound { .. } => UpstreamReason::NotFound,
            Self::NeedsAuthorization { .. } => UpstreamReason::NeedsAuthorization,
            Self::Revoked { .. } => UpstreamReason::Revoked,
            Self::Expired => UpstreamReason::AccessExpired,
            Self::OtherSession => UpstreamReason::OtherSession,
            Self::OtherClient => UpstreamReason::OtherClient,
            Self::InsufficientScope { .. } => UpstreamReason::InsufficientScope,
            Self::BroaderThanNeeded => UpstreamReason::BroaderThanNeeded,
            Self::Unavailable { .. } => UpstreamReason::Unavailable,
            Self::Fault(_) => UpstreamReason::Fault,
        }
    }
}
