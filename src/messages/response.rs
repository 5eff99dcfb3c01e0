//! Responses, as values that serialize to the JSON of the RFCs. Members without a value are left out and never `null`.

use crate::audit::ErrorCode;
use crate::grant::{AccessClaims, Binding, Scope};
use crate::token::{AccessToken, RefreshToken};
use std::collections::BTreeMap;

use base64ct::{Base64UrlUnpadded, Encoding};
use serde::ser::{Serialize, SerializeMap, Serializer};

/// The issuer's answer to a token request. A denial is an ordinary answer; a fault of the server is an
/// [`Error`](crate::Error).
#[derive(Debug)]
#[must_use = "an answer may be a denial"]
#[allow(clippy::exhaustive_enums, reason = "a token request is granted or denied")]
pub enum Answer {
    /// Tokens are issued. Answer 200 with `Cache-Control: no-store`.
    Issue(TokenResponse),
    /// The request is refused. Answer 400, or 401 for `invalid_client`.
    Deny(ErrorResponse),
}

impl Answer {
    /// Returns the tokens, or the refusal as an error.
    ///
    /// # Errors
    ///
    /// The [`ErrorResponse`] of a refusal.
    pub fn into_result(self) -> Result<TokenResponse, ErrorResponse> {
        match self {
            Self::Issue(tokens) => Ok(tokens),
            Self::Deny(error) => Err(error),
        }
    }
}

/// A successful token response (RFC 6749 §5.1).
///
/// # Security
///
/// Its serialization contains the tokens. Send it to the client and write it nowhere else.
#[derive(Debug)]
#[non_exhaustive]
pub struct TokenResponse {
    /// The access token.
    pub access_token: AccessToken,
    /// `Bearer`, or `DPoP` for a family bound to a DPoP key.
    pub token_type: TokenType,
    /// The lifetime of the access token in seconds.
    pub expires_in: u64,
    /// The refresh token that the client must use from now on.
    pub refresh_token: RefreshToken,
    /// The scope of the access token.
    pub scope: Scope,
    /// Seconds until the refresh token expires if it is not used (draft-ietf-oauth-refresh-token-expiration).
    pub refresh_token_timeout: u64,
    /// Seconds until the family ends at the latest (same draft).
    pub authorization_expires_in: u64,
    /// Whether this repeats an answer to an earlier request, so that the application can leave out side effects that
    /// belong to a refresh. It is not serialized.
    pub retry: bool,
}

impl Serialize for TokenResponse {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("access_token", self.access_token.expose())?;
        map.serialize_entry("token_type", self.token_type.as_str())?;
        map.serialize_entry("expires_in", &self.expires_in)?;
        map.serialize_entry("refresh_token", self.refresh_token.expose())?;
        map.serialize_entry("scope", self.scope.as_str())?;
        map.serialize_entry("refresh_token_timeout", &self.refresh_token_timeout)?;
        map.serialize_entry("authorization_expires_in", &self.authorization_expires_in)?;
        map.end()
    }
}

/// How a client presents an access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenType {
    /// In the `Bearer` scheme (RFC 6750).
    Bearer,
    /// In the `DPoP` scheme, with a proof of the key (RFC 9449).
    Dpop,
}

impl TokenType {
    pub(crate) fn for_binding(binding: Option<&Binding>) -> Self {
        if matches!(binding, Some(Binding::DpopKey(_))) { Self::Dpop } else { Self::Bearer }
    }

    /// Returns the value of `token_type`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Bearer => "Bearer",
            Self::Dpop => "DPoP",
        }
    }
}

/// An error response (RFC 6749 §5.2). It contains only the code, so that it does not distinguish an unknown token from
/// a spent one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
#[non_exhaustive]
pub struct ErrorResponse {
    /// The error code.
    pub error: ErrorCode,
}

impl ErrorResponse {
    /// Creates a response with this code.
    pub fn new(error: ErrorCode) -> Self {
        Self { error }
    }

    /// Returns the response for each [`Error`](crate::Error): 503 `temporarily_unavailable`. After a 500 many clients
    /// send the user to the login page.
    pub fn unavailable() -> Self {
        Self::new(ErrorCode::TemporarilyUnavailable)
    }

    /// Returns the HTTP status to answer with.
    pub fn status(&self) -> u16 {
        self.error.status()
    }
}

impl Serialize for ErrorResponse {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry("error", self.error.as_str())?;
        map.end()
    }
}

/// An introspection response (RFC 7662 §2.2). For a token that is not active it contains only that.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[allow(clippy::large_enum_variant, reason = "made once and serialized")]
pub enum IntrospectionResponse {
    /// The token is unknown, expired, spent or revoked.
    Inactive,
    /// The token is a live access token.
    Access(AccessClaims),
    /// The token is a live refresh token.
    #[non_exhaustive]
    Refresh {
        /// The user.
        subject: String,
        /// The client.
        client_id: String,
        /// The granted scope.
        scope: Scope,
        /// When the token expires if it is not used, in seconds since the Unix epoch.
        expires_at: u64,
        /// When the token was issued, in seconds since the Unix epoch.
        issued_at: u64,
    },
}

impl IntrospectionResponse {
    /// Whether the token is active.
    pub fn is_active(&self) -> bool {
        !matches!(self, Self::Inactive)
    }
}

impl Serialize for IntrospectionResponse {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("active", &self.is_active())?;
        match self {
            Self::Inactive => {}
            Self::Refresh { subject, client_id, scope, expires_at, issued_at } => {
                map.serialize_entry("scope", scope.as_str())?;
                map.serialize_entry("client_id", client_id)?;
                map.serialize_entry("sub", subject)?;
                map.serialize_entry("exp", expires_at)?;
                map.serialize_entry("iat", issued_at)?;
            }
            Self::Access(claims) => {
                map.serialize_entry("scope", claims.scope.as_str())?;
                map.serialize_entry("client_id", claims.client_id())?;
                map.serialize_entry("token_type", TokenType::for_binding(claims.binding()).as_str())?;
                map.serialize_entry("sub", claims.subject())?;
                match claims.audience() {
                    [one] => map.serialize_entry("aud", one.as_str())?,
                    many => map.serialize_entry("aud", &many.iter().map(|r| r.as_str()).collect::<Vec<_>>())?,
                }
                map.serialize_entry("exp", &claims.expires_at.as_unix())?;
                map.serialize_entry("iat", &claims.issued_at.as_unix())?;
                if let Some((name, thumbprint)) = claims.binding().and_then(confirmation) {
                    map.serialize_entry("cnf", &BTreeMap::from([(name, thumbprint)]))?;
                }
                for (name, value) in claims.claims() {
                    map.serialize_entry(name, value)?;
                }
            }
        }
        map.end()
    }
}

/// Returns the confirmation method of a sender constraint (RFC 9449 §6.1, RFC 8705 §3.1).
fn confirmation(binding: &Binding) -> Option<(&'static str, String)> {
    match binding {
        Binding::DpopKey(bytes) => Some(("jkt", Base64UrlUnpadded::encode_string(bytes))),
        Binding::Certificate(bytes) => Some(("x5t#S256", Base64UrlUnpadded::encode_string(bytes))),
        Binding::Fingerprint(_) => None,
    }
}
