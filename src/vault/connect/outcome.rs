//! What a completed authorization ends with.

use std::sync::Arc;

use crate::grant::Scope;
use crate::vault::Account;

/// The end of an authorization that is no failure.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectOutcome {
    /// The vault has the tokens, and leases them from now on.
    #[non_exhaustive]
    Connected {
        /// The account that is connected.
        account: Account,
        /// What the service granted, which may be less than the application requested.
        scope: Scope,
        /// The value of [`ConnectRequest::return_to`](crate::vault::ConnectRequest::return_to).
        return_to: Option<Arc<str>>,
    },
    /// The user or the service refused the authorization (`access_denied`). The vault is as before.
    #[non_exhaustive]
    Denied {
        /// The account that is not connected.
        account: Account,
        /// The value of [`ConnectRequest::return_to`](crate::vault::ConnectRequest::return_to).
        return_to: Option<Arc<str>>,
    },
}

impl ConnectOutcome {
    /// Returns the account.
    pub fn account(&self) -> &Account {
        match self {
            Self::Connected { account, .. } | Self::Denied { account, .. } => account,
        }
    }

    /// Returns the value of [`ConnectRequest::return_to`](crate::vault::ConnectRequest::return_to).
    pub fn return_to(&self) -> Option<&str> {
        match self {
            Self::Connected { return_to, .. } | Self::Denied { return_to, .. } => return_to.as_deref(),
        }
    }

    /// Whether the account is connected.
    pub fn is_connected(&self) -> bool {
        matches!(self, Self::Connected { .. })
    }
}
