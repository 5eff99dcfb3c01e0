//! The coarse error codes that clients receive.

use std::fmt;

/// The error codes of the endpoints (RFC 6749 §4.1.2.1, §5.2, RFC 7009 §2.2.1, RFC 7591 §3.2.2, RFC 8707 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// A parameter is missing or malformed.
    InvalidRequest,
    /// The client is unknown or failed to authenticate. The application answers with this code before it calls the
    /// issuer.
    InvalidClient,
    /// The code or refresh token is not valid. The reason goes only to the audit log.
    InvalidGrant,
    /// The server does not support the `grant_type`. The application answers with this code before it calls the issuer.
    UnsupportedGrantType,
    /// The scope exceeds what was granted. The token is not consumed.
    InvalidScope,
    /// The resource was not granted. The token is not consumed.
    InvalidTarget,
    /// The server has a fault: the client should retry with the same token.
    TemporarilyUnavailable,
    /// The user, or the server on behalf of the user, did not consent. Used by the authorization endpoint.
    AccessDenied,
    /// The `response_type` is not `code`. Used by the authorization endpoint.
    UnsupportedResponseType,
    /// The server could not issue what the user consented to. Used by the authorization endpoint, which redirects and
    /// so cannot answer with a status of 5xx.
    ServerError,
    /// A redirect URI must not be registered. Used by the registration endpoint.
    InvalidRedirectUri,
    /// Other metadata of a client that registers is not valid. Used by the registration endpoint.
    InvalidClientMetadata,
}

impl ErrorCode {
    /// Returns the value of `error`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
            Self::AccessDenied => "access_denied",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::ServerError => "server_error",
            Self::InvalidRedirectUri => "invalid_redirect_uri",
            Self::InvalidClientMetadata => "invalid_client_metadata",
        }
    }

    /// Returns the HTTP status to answer with.
    pub fn status(&self) -> u16 {
        match self {
            Self::InvalidClient => 401,
            Self::TemporarilyUnavailable => 503,
            _ => 400,
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
