//! What a tool asks for, and what it gets for one call.

use std::sync::Arc;

use super::held::{Held, SecretVersion};
use super::lease_error::LeaseError;
use crate::crypto::redacted::redacted;
use crate::grant::{AccessClaims, Scope};
use crate::time::Timestamp;
use crate::vault::{Account, Credential, Secret, StaticSecret, TokenSet};

/// What a tool needs for one call: a service, an account there, and what it must be allowed to do. Not whose: that comes from
/// the verified claims and from nowhere else.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct LeaseRequest {
    service: Arc<str>,
    name: Option<Arc<str>>,
    scope: Scope,
    broader: bool,
}

impl LeaseRequest {
    /// A credential for `service` that allows `scope`, and nothing more.
    pub fn new(service: impl Into<Arc<str>>, scope: Scope) -> Self {
        Self { service: service.into(), name: None, scope, broader: false }
    }

    /// Of the account of this name.
    pub fn account(self, name: impl Into<Arc<str>>) -> Self {
        Self { name: Some(name.into()), ..self }
    }

    /// One that allows more will do too, because the service has no finer one.
    pub fn allow_broader(self) -> Self {
        Self { broader: true, ..self }
    }

    /// The account of the subject of `claims` that is asked for.
    pub(crate) fn of(&self, claims: &AccessClaims) -> Account {
        Account { subject: claims.subject().into(), service: self.service.clone(), name: self.name.clone() }
    }

    /// Whether the holder of `claims` may have `held` at all.
    pub(crate) fn check_owner(&self, held: &Held, claims: &AccessClaims) -> Result<(), LeaseError> {
        let is_other = |bound: Option<&str>| bound.is_some_and(|client_id| client_id != claims.client_id());
        if held.owner.session.is_some_and(|session| session != claims.family()) {
            Err(LeaseError::OtherSession)
        } else if is_other(held.owner.client_id.as_deref()) {
            Err(LeaseError::OtherClient)
        } else {
            Ok(())
        }
    }

    /// Whether `held` allows what is needed, and no more than may be.
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

/// A credential for one call. Zeroized on drop, shown as `(..)` by `Debug`, and not to be cloned: ask for a new lease for every
/// call, and the token in it is never an old one.
#[must_use]
pub struct Lease {
    secret: Secret,
    is_token: bool,
    scope: Scope,
    expires_at: Timestamp,
    overdue: bool,
    mark: SecretVersion,
}

redacted!(Lease);

impl Lease {
    /// What is held, without what refreshes it.
    pub(crate) fn of(held: Held, overdue: bool, claims: &AccessClaims) -> Self {
        let (secret, is_token, scope, expires_at) = match held.credential {
            Credential::OAuth(TokenSet { access_token, scope, expires_at, .. }) => {
                (Secret::ApiKey(access_token), true, scope, expires_at)
            }
            Credential::Static(StaticSecret { secret, scope, .. }) => (secret, false, scope, None),
        };
        // Nothing that is decided by a token holds for longer than the token.
        let expires_at = expires_at.map_or(claims.expires_at(), |end| end.min(claims.expires_at()));
        Self { secret, is_token, scope, expires_at, overdue, mark: held.mark }
    }

    /// Whether the secret in it is the one that is held.
    pub(crate) fn is_of(&self, held: &Held) -> bool {
        self.mark == held.mark
    }

    /// The secret, for the request to the service and for nothing else.
    pub fn secret(&self) -> LeasedSecret<'_> {
        match &self.secret {
            Secret::ApiKey(token) if self.is_token => LeasedSecret::Bearer(token.expose()),
            Secret::ApiKey(key) => LeasedSecret::ApiKey(key.expose()),
            Secret::Password { username, password } => LeasedSecret::Password { username, password: password.expose() },
            Secret::KeyPair { id, secret } => LeasedSecret::KeyPair { id, secret: secret.expose() },
        }
    }

    /// What it allows.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// When the lease ends: with the token of the claims, or before with the secret, if that is an access token that expires: as the service
    /// has said, within the bounds of [`RefreshPolicy`](crate::vault::RefreshPolicy).
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// Whether a static secret is past the date by which it should have been replaced. The audit has been told.
    pub fn is_overdue(&self) -> bool {
        self.overdue
    }
}

/// The secret of a [`Lease`], as long as the lease lives.
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
        /// The public part.
        id: &'a str,
        /// The private part.
        secret: &'a str,
    },
}

redacted!(LeasedSecret<'_>);

impl<'a> LeasedSecret<'a> {
    /// The secret part alone: the token, the key, the password.
    pub fn expose(&self) -> &'a str {
        match self {
            Self::Bearer(secret) | Self::ApiKey(secret) => secret,
            Self::Password { password: secret, .. } | Self::KeyPair { secret, .. } => secret,
        }
    }
}
