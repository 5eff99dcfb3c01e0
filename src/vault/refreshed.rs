//! The tokens in the answer of a service.

use std::time::Duration;

use super::credential::SecretText;
use crate::grant::Scope;

/// The answer of a service to a refresh, or to the exchange of a code.
#[derive(Debug)]
#[non_exhaustive]
pub struct Refreshed {
    /// The new access token; `None` if the service returned none that can be used.
    pub access_token: Option<SecretText>,
    /// The new refresh token; `None` if the old one stays valid.
    pub refresh_token: Option<SecretText>,
    /// The lifetime of the access token. If it is `None`, the vault assumes the lifetime of the previous one.
    pub expires_in: Option<Duration>,
    /// The lifetime of the refresh token; `None` if the service does not say.
    pub refresh_expires_in: Option<Duration>,
    /// The scope; `None` if it is the same as before.
    pub scope: Option<Scope>,
}

impl Refreshed {
    /// Creates an answer with a new access token.
    pub fn new(access_token: SecretText) -> Self {
        Self { access_token: Some(access_token), ..Self::empty() }
    }

    /// Creates an answer with a new refresh token and without a usable access token.
    ///
    /// The vault stores the new refresh token, because losing it would lose the grant. It continues to lease the
    /// previous access token while that is good.
    pub fn rotated(refresh_token: SecretText) -> Self {
        Self { refresh_token: Some(refresh_token), ..Self::empty() }
    }

    fn empty() -> Self {
        Self { access_token: None, refresh_token: None, expires_in: None, refresh_expires_in: None, scope: None }
    }

    /// Sets the lifetime of the access token.
    #[must_use]
    pub fn expires_in(self, lifetime: Duration) -> Self {
        Self { expires_in: Some(lifetime), ..self }
    }

    /// Sets the new refresh token.
    #[must_use]
    pub fn refresh_token(self, refresh_token: SecretText) -> Self {
        Self { refresh_token: Some(refresh_token), ..self }
    }

    /// Sets the lifetime of the refresh token.
    #[must_use]
    pub fn refresh_expires_in(self, lifetime: Duration) -> Self {
        Self { refresh_expires_in: Some(lifetime), ..self }
    }

    /// Sets the scope, if it differs from the previous one.
    #[must_use]
    pub fn scope(self, scope: Scope) -> Self {
        Self { scope: Some(scope), ..self }
    }
}
