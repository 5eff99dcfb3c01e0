//! The coarse error codes that clients receive.

use std::fmt;

/// The error codes of the endpoints (RFC 6749 §4.1.2.1, §5.2, RFC 7009 §2.2.1, RFC 7591 §3.2.2, RFC 8707 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// A parameter is missing or malformed.
    InvalidRequest,
    /// The client is unknown or failed to authenticate. The application answers with it, before it asks the issuer.
    InvalidClient,
    /// The code or refresh token is not good, for whatever reason.
    InvalidGrant,
    /// The `grant_type` is none of this server's. The application answers with it, before it asks the issuer.
    UnsupportedGrantType,
    /// The scope exceeds what was granted. The token is not consumed.
    InvalidScope,
    /// The resource was not granted. The token is not consumed.
    InvalidTarget,
    /// A fault of the server: try again with the same token.
    TemporarilyUnavailable,
    /// The user, or the server in their name, did not agree. At the authorization endpoint.
    AccessDenied,
    /// The `response_type` is not `code`. At the authorization endpoint.
    UnsupportedResponseType,
    /// The server cannot make what was agreed to. At the authorization endpoint, where there is no status to say so.
    ServerError,
    /// A redirect URI that may not be registered. At the registration endpoint.
    InvalidRedirectUri,
    /// Another thing that a client said of itself and that is not good. At the registration endpoint.
    InvalidClientMetadata,
}

impl ErrorCode {
    /// The value of `error`.
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

    /// The HTTP status to answer with.
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
