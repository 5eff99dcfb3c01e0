//! The part of a provider that connects an account: the authorization request and the exchange of its code.

use std::sync::Arc;

use super::credential::SecretText;
use super::error::UpstreamError;
use super::refreshed::Refreshed;
use crate::grant::Scope;
use crate::store::BoxFuture;

/// A service at which a user can authorize the application with a browser (RFC 6749 §4.1).
///
/// [`OAuthProvider`](crate::vault::OAuthProvider) implements it for each service with an
/// [`Authorization`](crate::vault::Authorization).
pub trait Connector: Send + Sync {
    /// Returns the URL at the service that the browser is sent to (RFC 6749 §4.1.1).
    fn authorize_url(&self, parameters: &AuthorizeParameters<'_>) -> SecretText;

    /// Exchanges an authorization code for tokens (RFC 6749 §4.1.3). The code and the verifier are good for one request,
    /// so the vault does not repeat it.
    ///
    /// # Errors
    ///
    /// [`UpstreamError`]. [`UpstreamError::InvalidGrant`] means that the service does not accept the code.
    fn exchange<'a>(&'a self, exchange: &'a CodeExchange) -> BoxFuture<'a, Result<Refreshed, UpstreamError>>;

    /// Returns the issuer identifier of the service and whether each callback has it as `iss` (RFC 9207). The default is
    /// `None`: an `iss` is not looked at.
    fn issuer(&self) -> Option<ExpectedIssuer<'_>> {
        None
    }
}

/// The parameters of an authorization request that the vault chooses.
#[derive(Debug)]
#[non_exhaustive]
pub struct AuthorizeParameters<'a> {
    /// Where the service sends the browser back to.
    pub redirect_uri: &'a str,
    /// The requested scope.
    pub scope: &'a Scope,
    /// The value that the service returns in the callback (RFC 6749 §10.12).
    pub state: &'a SecretText,
    /// The challenge of the method `S256` (RFC 7636 §4.2).
    pub code_challenge: &'a str,
}

impl<'a> AuthorizeParameters<'a> {
    /// Creates the parameters of a request for `scope`.
    pub fn new(redirect_uri: &'a str, scope: &'a Scope, state: &'a SecretText, code_challenge: &'a str) -> Self {
        Self { redirect_uri, scope, state, code_challenge }
    }
}

/// An authorization code, and what the service needs in order to accept it.
#[derive(Debug)]
#[non_exhaustive]
pub struct CodeExchange {
    /// The code of the callback.
    pub code: SecretText,
    /// The redirect URI of the authorization request.
    pub redirect_uri: Arc<str>,
    /// The verifier that the challenge of the authorization request belongs to (RFC 7636 §4.5).
    pub code_verifier: SecretText,
}

impl CodeExchange {
    /// Creates the exchange of `code`.
    pub fn new(code: SecretText, redirect_uri: impl Into<Arc<str>>, code_verifier: SecretText) -> Self {
        Self { code, redirect_uri: redirect_uri.into(), code_verifier }
    }
}

/// The issuer identifier that a callback of a service must have (RFC 9207 §2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExpectedIssuer<'a> {
    /// The issuer identifier, compared byte for byte.
    pub identifier: &'a str,
    /// Whether a callback without `iss` is refused.
    pub is_required: bool,
}

impl<'a> ExpectedIssuer<'a> {
    /// Expects `identifier` in each callback that has an `iss`.
    pub fn new(identifier: &'a str) -> Self {
        Self { identifier, is_required: false }
    }

    /// Refuses a callback without `iss`.
    #[must_use]
    pub fn required(self) -> Self {
        Self { is_required: true, ..self }
    }
}
