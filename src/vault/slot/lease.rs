//! What a tool requests, and the lease that it gets for one call.

use std::sync::Arc;

use super::held::{Held, SecretVersion};
use super::lease_error::LeaseError;
use crate::crypto::redacted::redacted;
use crate::grant::{AccessClaims, Scope};
use crate::time::Timestamp;
use crate::vault::{Account, Credential, Secret, StaticSecret, TokenSet};

/// What a tool needs for one call: a service, an account there, and a scope.
///
/// It does not name the user. The user comes from the verified claims and from nowhere else.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct LeaseRequest {
    service: Arc<str>,
    name: Option<Arc<str>>,
    scope: Scope,
    broader: bool,
}

impl LeaseRequest {
    /// Requests a credential for `service` whose scope is exactly `scope`.
    pub fn new(service: impl Into<Arc<str>>, scope: Scope) -> Self {
        Self { service: service.into(), name: None, scope, broader: false }
    }

    /// Requests the credential of the account with this name.
    pub fn account(self, name: impl Into<Arc<str>>) -> Self {
        Self { name: Some(name.into()), ..self }
    }

    /// Accepts a credential that allows more than the requested scope, for a service that has no finer one.
    pub fn allow_broader(self) -> Self {
        Self { broader: true, ..self }
    }

    /// The requested account of the subject of `claims`.
    pub(crate) fn of(&self, claims: &AccessClaims) -> Account {
        Account { subject: claims.subject().into(), service: self.service.clone(), name: self.name.clone() }
    }

    /// Checks that `held` is bound to no other session or client than those of `claims`.
    pub(crate) fn check_binding(&self, held: &Held, claims: &AccessClaims) -> Result<(), LeaseError> {
        let is_other = |bound: Option<&str>| bound.is_some_and(|client_id| client_id != claims.client_id());
        if held.bound_to.session.is_some_and(|session| session != claims.family()) {
            Err(LeaseError::OtherSession)
        } else if is_other(held.bound_to.client_id.as_deref()) {
            Err(LeaseError::OtherClient)
        } else {
            Ok(())
        }
    }

    /// Checks that `held` allows the requested scope, and no more unless the request accepts that.
    pub(crate) fn check_scope(&self, held: &Held) -> Result<(), LeaseError> {
        let scope = held.credential.scope();
        if !scope.includes(&self.scope) {
            Err(LeaseError::InsufficientScope { service: self.service.clone() })
        } else if !self.broader && !self.scope.includes(scope) {
            Err(LeaseError::BroaderThanNeeded)
        } else {
            Ok(())
        }
    }
}

/// A credential for one call.
///
/// It is zeroized on drop, shown as `(..)` by `Debug`, and not `Clone`. Request a new lease for each call, so that its
/// token is never outdated.
#[must_use]
pub struct Lease {
    secret: Secret,
    is_token: bool,
    scope: Scope,
    expires_at: Timestamp,
    overdue: bool,
    version: SecretVersion,
}

redacted!(Lease);

impl Lease {
    /// Takes the secret out of `held`, without the refresh token.
    pub(crate) fn of(held: Held, overdue: bool, claims: &AccessClaims) -> Self {
        let (secret, is_token, scope, expires_at) = match held.credential {
            Credential::OAuth(TokenSet { access_token, scope, expires_at, .. }) => {
                (Secret::ApiKey(access_token), true, scope, expires_at)
            }
            Credential::Static(StaticSecret { secret, scope, .. }) => (secret, false, scope, None),
        };
        // A lease ends with the token that it was decided by.
        let expires_at = expires_at.map_or(claims.expires_at(), |end| end.min(claims.expires_at()));
        Self { secret, is_token, scope, expires_at, overdue, version: held.version }
    }

    /// Whether the vault still holds the secret of this lease.
    pub(crate) fn is_of(&self, held: &Held) -> bool {
        self.version == held.version
    }

    /// Returns the secret. Use it only in the request to the service.
    pub fn secret(&self) -> LeasedSecret<'_> {
        match &self.secret {
            Secret::ApiKey(token) if self.is_token => LeasedSecret::Bearer(token.expose()),
            Secret::ApiKey(key) => LeasedSecret::ApiKey(key.expose()),
            Secret::Password { username, password } => LeasedSecret::Password { username, password: password.expose() },
            Secret::KeyPair { id, secret } => LeasedSecret::KeyPair { id, secret: secret.expose() },
        }
    }

    /// Returns what the secret allows at the service.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Returns when the lease ends.
    ///
    /// It ends with the access token of the claims, or with the leased access token if that expires earlier. The vault
    /// takes that expiry from the service, within the bounds of [`RefreshPolicy`](crate::vault::RefreshPolicy).
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// Returns whether a static secret is past the date by which it should have been replaced. The vault reports each
    /// such lease to the audit.
    pub fn is_overdue(&self) -> bool {
        self.overdue
    }
}

/// The secret of a [`Lease`], borrowed from it.
#[non_exhaustive]
pub enum LeasedSecret<'a> {
    /// An access token (RFC 6750 §2.1).
    Bearer(&'a str),
    /// An API key.
    ApiKey(&'a str),
    /// A user name and a password.
    #[non_exhaustive]
    Password {
        /// The user name.
        username: &'a str,
        /// The password.
        password: &'a str,
    },
    /// A key pair.
    #[non_exhaustive]
    KeyPair {
        /// The public identifier.
        id: &'a str,
        /// The secret part.
        secret: &'a str,
    },
}

redacted!(LeasedSecret<'_>);

impl<'a> LeasedSecret<'a> {
    /// Returns the secret part alone: the token, the key or the password.
    pub fn expose(&self) -> &'a str {
        match self {
            Self::Bearer(secret) | Self::ApiKey(secret) => secret,
            Self::Password { password: secret, .. } | Self::KeyPair { secret, .. } => secret,
        }
    }
}
