//! The error of a lease.

use std::sync::Arc;
use std::time::Duration;

use super::connect_link::ConnectLink;
use super::vault_error::VaultError;
use crate::vault::UpstreamReason;

/// Why a lease was refused. No variant carries a secret.
///
/// Answer with [`status`](Self::status). Only [`Expired`](Self::Expired) is a 401, because a 401 sends the client to
/// this server's login. With all other variants the client's token is good.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LeaseError {
    /// The user has no credential for this service and account.
    #[error("there is no credential for {service}")]
    #[non_exhaustive]
    NotFound {
        /// The service.
        service: Arc<str>,
        /// The link with which the user connects the account, if the provider can.
        connect: Option<ConnectLink>,
    },
    /// The service no longer accepts the credential. Send the user there to authorize again.
    #[error("the user has to authorize again at {service}")]
    #[non_exhaustive]
    NeedsAuthorization {
        /// The service.
        service: Arc<str>,
        /// The link with which the user connects the account, if the provider can.
        connect: Option<ConnectLink>,
    },
    /// The credential is being revoked.
    #[error("the credential for {service} is being revoked")]
    #[non_exhaustive]
    Revoked {
        /// The service.
        service: Arc<str>,
    },
    /// The access token of the claims has expired. The client has to refresh it.
    #[error("the access token has expired")]
    Expired,
    /// The credential is bound to another session of the user.
    #[error("the credential is bound to another session")]
    OtherSession,
    /// The credential is bound to another client of the user.
    #[error("the credential is bound to another client")]
    OtherClient,
    /// The credential does not allow the requested scope. Send the user to the service to consent to more.
    #[error("the credential for {service} does not allow the requested scope")]
    #[non_exhaustive]
    InsufficientScope {
        /// The service.
        service: Arc<str>,
        /// The link with which the user connects the account, if the provider can.
        connect: Option<ConnectLink>,
    },
    /// The credential allows more than the requested scope, and the request did not call
    /// [`allow_broader`](crate::vault::LeaseRequest::allow_broader).
    #[error("the credential allows more than the requested scope")]
    BroaderThanNeeded,
    /// The token has expired and the service does not issue a new one at the moment. The credential is kept.
    #[error("the token has expired and the service issues no new one at the moment, retry after {retry_after:?}")]
    #[non_exhaustive]
    Unavailable {
        /// How long to wait before the next attempt.
        retry_after: Duration,
    },
    /// A fault of the vault: its store, keys, random source or configuration.
    #[error("the vault failed")]
    Fault(#[from] VaultError),
}

impl LeaseError {
    /// Returns the HTTP status to answer with: 503 if a retry helps, 401 if a new access token helps, otherwise 403.
    pub fn status(&self) -> u16 {
        match self {
            Self::Expired => 401,
            Self::Unavailable { .. } | Self::Fault(_) => 503,
            _ => 403,
        }
    }

    /// Returns the service that the user should be sent to, in order to authorize for the first time, again, or for a
    /// broader scope. `None` if that does not help.
    pub fn authorize_at(&self) -> Option<&str> {
        match self {
            Self::NotFound { service, .. }
            | Self::NeedsAuthorization { service, .. }
            | Self::Revoked { service }
            | Self::InsufficientScope { service, .. } => Some(service),
            _ => None,
        }
    }

    /// Returns the link with which the user connects the account that was requested. `None` if that does not help, or if the
    /// provider of the service has no [connector](crate::vault::UpstreamProvider::connector).
    pub fn connect_link(&self) -> Option<&ConnectLink> {
        match self {
            Self::NotFound { connect, .. }
            | Self::NeedsAuthorization { connect, .. }
            | Self::InsufficientScope { connect, .. } => connect.as_ref(),
            _ => None,
        }
    }

    /// Returns the URL of [`connect_link`](Self::connect_link) under `base`, the URL of the application's
    /// `http::ConnectServer`. It contains no secret, so a tool can return it to the client.
    pub fn connect_url(&self, base: &str) -> Option<String> {
        Some(self.connect_link()?.url(base))
    }

    /// Adds the link to an error that it helps with.
    pub(crate) fn linked(mut self, link: Option<ConnectLink>) -> Self {
        if let Self::NotFound { connect, .. }
        | Self::NeedsAuthorization { connect, .. }
        | Self::InsufficientScope { connect, .. } = &mut self
        {
            *connect = link;
        }
        self
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
