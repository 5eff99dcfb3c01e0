//! What is held for a user at another service, and where.

use std::sync::Arc;

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

use crate::crypto::redacted::redacted;
use crate::grant::Scope;
use crate::time::Timestamp;

/// Text that must not be shown: zeroized on drop, redacted, never serialized.
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    /// A secret of this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text, for the request to the service: never for a log, an error, a URL, or an answer to a client.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// A second copy of the secret, made where it is seen.
    pub(crate) fn copy(&self) -> Self {
        Self::new(self.expose())
    }
}

redacted!(SecretText);

/// From a configuration. An error does not repeat what stands there.
impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer).map_err(|_| D::Error::custom("a secret must be a text"))?;
        Ok(Self::new(text))
    }
}

/// Whose credential at which service: the subject, the service, and the name of the account if one user has several there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Account {
    pub(crate) subject: Arc<str>,
    pub(crate) service: Arc<str>,
    pub(crate) name: Option<Arc<str>>,
}

impl Account {
    /// The only, or the unnamed, account of `subject` at `service`.
    pub fn new(subject: impl Into<Arc<str>>, service: impl Into<Arc<str>>) -> Self {
        Self { subject: subject.into(), service: service.into(), name: None }
    }

    /// The account of this name.
    #[must_use]
    pub fn named(self, name: impl Into<Arc<str>>) -> Self {
        Self { name: Some(name.into()), ..self }
    }

    /// The user.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The service.
    pub fn service(&self) -> &str {
        &self.service
    }

    /// The name of the account, which an empty name is too.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }
}

/// A credential, as it is put into the vault.
#[derive(Debug)]
#[non_exhaustive]
pub enum Credential {
    /// Tokens of an authorization server, which the vault refreshes.
    OAuth(TokenSet),
    /// A secret that somebody has to replace by hand.
    Static(StaticSecret),
}

impl Credential {
    /// What it allows at the service.
    pub fn scope(&self) -> &Scope {
        match self {
            Self::OAuth(tokens) => &tokens.scope,
            Self::Static(secret) => &secret.scope,
        }
    }
}

/// What an authorization server has granted (RFC 6749 §5.1).
#[derive(Debug)]
#[non_exhaustive]
pub struct TokenSet {
    /// What goes into the requests to the service.
    pub access_token: SecretText,
    /// What gets the next access token; without it there is none.
    pub refresh_token: Option<SecretText>,
    /// When the access token expires; `None` if it does not.
    pub expires_at: Option<Timestamp>,
    /// When the refresh token expires; `None` if the service does not say.
    pub refresh_expires_at: Option<Timestamp>,
    /// What the access token allows.
    pub scope: Scope,
}

impl TokenSet {
    /// An access token that does not expire, for this scope.
    pub fn new(access_token: SecretText, scope: Scope) -> Self {
        Self { access_token, refresh_token: None, expires_at: None, refresh_expires_at: None, scope }
    }

    /// With the expiry of the access token.
    #[must_use]
    pub fn expires_at(self, at: Timestamp) -> Self {
        Self { expires_at: Some(at), ..self }
    }

    /// With a refresh token.
    #[must_use]
    pub fn refresh_token(self, refresh_token: SecretText) -> Self {
        Self { refresh_token: Some(refresh_token), ..self }
    }

    /// With the expiry of the refresh token.
    #[must_use]
    pub fn refresh_expires_at(self, at: Timestamp) -> Self {
        Self { refresh_expires_at: Some(at), ..self }
    }

    /// Whether there is a refresh token that may still be honoured at `now`.
    pub(crate) fn can_refresh(&self, now: Timestamp) -> bool {
        self.refresh_token.is_some() && self.refresh_expires_at.is_none_or(|at| now < at)
    }

    /// A second copy of the tokens, made where it is seen.
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

/// A secret without an authorization server behind it.
#[derive(Debug)]
#[non_exhaustive]
pub struct StaticSecret {
    /// The secret.
    pub secret: Secret,
    /// What it allows, in the words of the tools that ask for it.
    pub scope: Scope,
    /// By when it should be replaced.
    pub rotate_by: Option<Timestamp>,
}

impl StaticSecret {
    /// A secret for this scope.
    pub fn new(secret: Secret, scope: Scope) -> Self {
        Self { secret, scope, rotate_by: None }
    }

    /// With the date by which it should be replaced.
    #[must_use]
    pub fn rotate_by(self, at: Timestamp) -> Self {
        Self { rotate_by: Some(at), ..self }
    }
}

/// The kinds of static secrets.
#[derive(Debug)]
#[non_exhaustive]
pub enum Secret {
    /// One text.
    ApiKey(SecretText),
    /// A user name and a password.
    #[non_exhaustive]
    Password {
        /// The user name.
        username: String,
        /// The password.
        password: SecretText,
    },
    /// A key pair, or a key with an identifier, such as AWS has them.
    #[non_exhaustive]
    KeyPair {
        /// The public part.
        id: String,
        /// The private part.
        secret: SecretText,
    },
}

impl Secret {
    /// A user name and a password.
    pub fn password(username: impl Into<String>, password: SecretText) -> Self {
        Self::Password { username: username.into(), password }
    }

    /// The public and the private part of a key.
    pub fn key_pair(id: impl Into<String>, secret: SecretText) -> Self {
        Self::KeyPair { id: id.into(), secret }
    }
}
