//! Credentials for other services, and the account that each belongs to.

use std::sync::Arc;

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

use crate::crypto::redacted::redacted;
use crate::grant::Scope;
use crate::time::Timestamp;

/// A secret text: zeroized on drop, redacted in `Debug`, never serialized.
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    /// Wraps `text` as a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// Returns the plain text.
    ///
    /// # Security
    ///
    /// Put it only into the request to the service: never into a log, an error, a URL, or an answer to a client.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Copies the secret. The type is not `Clone`, so that each copy is visible in the code.
    pub(crate) fn copy(&self) -> Self {
        Self::new(self.expose())
    }
}

redacted!(SecretText);

/// Reads a secret from a configuration. The error does not contain the value.
impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer).map_err(|_| D::Error::custom("a secret must be a string"))?;
        Ok(Self::new(text))
    }
}

/// Names one credential: the subject, the service, and an account name if the user has several accounts at the service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Account {
    pub(crate) subject: Arc<str>,
    pub(crate) service: Arc<str>,
    pub(crate) name: Option<Arc<str>>,
}

impl Account {
    /// Creates the account of `subject` at `service` without an account name.
    pub fn new(subject: impl Into<Arc<str>>, service: impl Into<Arc<str>>) -> Self {
        Self { subject: subject.into(), service: service.into(), name: None }
    }

    /// Sets the name of the account at the service.
    #[must_use]
    pub fn named(self, name: impl Into<Arc<str>>) -> Self {
        Self { name: Some(name.into()), ..self }
    }

    /// Returns the user that the credential belongs to.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Returns the service that the credential is for.
    pub fn service(&self) -> &str {
        &self.service
    }

    /// Returns the account name, if one was set. An empty name counts as a name.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }
}

/// A credential to put into the vault.
#[derive(Debug)]
#[non_exhaustive]
pub enum Credential {
    /// Tokens from an authorization server. The vault refreshes them.
    OAuth(TokenSet),
    /// A secret that does not refresh. A person has to replace it.
    Static(StaticSecret),
}

impl Credential {
    /// Returns what the credential allows at the service.
    pub fn scope(&self) -> &Scope {
        match self {
            Self::OAuth(tokens) => &tokens.scope,
            Self::Static(secret) => &secret.scope,
        }
    }
}

/// The tokens that an authorization server issued (RFC 6749 §5.1).
#[derive(Debug)]
#[non_exhaustive]
pub struct TokenSet {
    /// The access token for requests to the service.
    pub access_token: SecretText,
    /// The refresh token. Without one the vault cannot get a new access token.
    pub refresh_token: Option<SecretText>,
    /// When the access token expires; `None` if it does not expire.
    pub expires_at: Option<Timestamp>,
    /// When the refresh token expires; `None` if the service does not say.
    pub refresh_expires_at: Option<Timestamp>,
    /// The scope of the access token.
    pub scope: Scope,
}

impl TokenSet {
    /// Creates a set with an access token for `scope` that does not expire.
    pub fn new(access_token: SecretText, scope: Scope) -> Self {
        Self { access_token, refresh_token: None, expires_at: None, refresh_expires_at: None, scope }
    }

    /// Sets the time at which the access token expires.
    #[must_use]
    pub fn expires_at(self, at: Timestamp) -> Self {
        Self { expires_at: Some(at), ..self }
    }

    /// Sets the refresh token.
    #[must_use]
    pub fn refresh_token(self, refresh_token: SecretText) -> Self {
        Self { refresh_token: Some(refresh_token), ..self }
    }

    /// Sets the time at which the refresh token expires.
    #[must_use]
    pub fn refresh_expires_at(self, at: Timestamp) -> Self {
        Self { refresh_expires_at: Some(at), ..self }
    }

    /// Whether there is a refresh token that has not expired at `now`.
    pub(crate) fn can_refresh(&self, now: Timestamp) -> bool {
        self.refresh_token.is_some() && self.refresh_expires_at.is_none_or(|at| now < at)
    }

    /// Copies the tokens. The type is not `Clone`, so that each copy is visible in the code.
    pub(crate) fn copy(&self) -> Self {
        let Self { access_token, refresh_token, expires_at, refresh_expires_at, scope } = self;
        Self {
            access_token: access_token.copy(),
            refresh_token: refresh_token.as_ref().map(SecretText::copy),
            expires_at: *expires_at,
            refresh_expires_at: *refresh_expires_at,
            scope: scope.clone(),
        }
    }
}

/// A secret that no authorization server issued, such as an API key.
#[derive(Debug)]
#[non_exhaustive]
pub struct StaticSecret {
    /// The secret itself.
    pub secret: Secret,
    /// What the secret allows, as the scope that [`LeaseRequest`](crate::vault::LeaseRequest) asks for.
    pub scope: Scope,
    /// The time by which the secret should be replaced. The vault leases it after that time too, marks the lease as
    /// [overdue](crate::vault::Lease::is_overdue), and reports it to the audit.
    pub rotate_by: Option<Timestamp>,
}

impl StaticSecret {
    /// Creates a secret that allows `scope` and has no date for its replacement.
    pub fn new(secret: Secret, scope: Scope) -> Self {
        Self { secret, scope, rotate_by: None }
    }

    /// Sets the time by which the secret should be replaced.
    #[must_use]
    pub fn rotate_by(self, at: Timestamp) -> Self {
        Self { rotate_by: Some(at), ..self }
    }
}

/// The kinds of static secrets.
#[derive(Debug)]
#[non_exhaustive]
pub enum Secret {
    /// A single key or token.
    ApiKey(SecretText),
    /// A user name and a password.
    #[non_exhaustive]
    Password {
        /// The user name.
        username: String,
        /// The password.
        password: SecretText,
    },
    /// A key with an identifier, such as an AWS access key.
    #[non_exhaustive]
    KeyPair {
        /// The public identifier.
        id: String,
        /// The secret part.
        secret: SecretText,
    },
}

impl Secret {
    /// Creates a user name and a password.
    pub fn password(username: impl Into<String>, password: SecretText) -> Self {
        Self::Password { username: username.into(), password }
    }

    /// Copies the secret. The type is not `Clone`, so that each copy is visible in the code.
    pub(crate) fn copy(&self) -> Self {
        match self {
            Self::ApiKey(key) => Self::ApiKey(key.copy()),
            Self::Password { username, password } => Self::password(username, password.copy()),
            Self::KeyPair { id, secret } => Self::key_pair(id, secret.copy()),
        }
    }

    /// Creates a key with an identifier: its public identifier and its secret part.
    pub fn key_pair(id: impl Into<String>, secret: SecretText) -> Self {
        Self::KeyPair { id: id.into(), secret }
    }
}
