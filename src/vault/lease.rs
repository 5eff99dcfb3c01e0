//! What a tool requests, and the lease that it gets for one call.

use std::sync::Arc;

use super::connect_link::ConnectLink;
use super::slot::state::{Held, SecretId};
use crate::crypto::redacted::redacted;
use crate::grant::{AccessClaims, Scope};
use crate::time::Timestamp;
use crate::vault::{Account, Credential, Secret};

/// What a tool needs for one call: a service, an account there, and a scope.
///
/// It does not name the user. The user comes from the verified claims and from nowhere else.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct LeaseRequest {
    service: Arc<str>,
    name: Option<Arc<str>>,
    pub(crate) scope: Scope,
    pub(crate) broader: bool,
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

    /// The link with which the user connects the requested account.
    pub(crate) fn connect_link(&self) -> ConnectLink {
        ConnectLink::new(self.service.clone(), self.name.clone(), self.scope.clone())
    }

    /// The requested account of the subject of `claims`.
    pub(crate) fn of(&self, claims: &AccessClaims) -> Account {
        Account { subject: claims.subject().into(), service: self.service.clone(), name: self.name.clone() }
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
    pub(crate) id: SecretId,
}

redacted!(Lease);

impl Lease {
    /// Copies the secret out of `held`, without the refresh token.
    pub(crate) fn of(held: &Held, overdue: bool, claims: &AccessClaims) -> Self {
        let (secret, is_token, expires_at) = match &*held.credential {
            Credential::OAuth(tokens) => (Secret::ApiKey(tokens.access_token.copy()), true, tokens.expires_at),
            Credential::Static(secret) => (secret.secret.copy(), false, None),
        };
        // A lease ends with the token that it was decided by.
        let expires_at = expires_at.map_or(claims.expires_at(), |end| end.min(claims.expires_at()));
        Self { secret, is_token, scope: held.credential.scope().clone(), expires_at, overdue, id: held.id }
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
