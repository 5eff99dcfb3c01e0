//! The wire formats. Each token is a prefix that secret scanners know, and one base64url word without padding.

pub(crate) mod access;
pub(crate) mod code;
pub(crate) mod refresh;
mod secret;

pub use self::code::{ChallengeError, CodeChallenge};
pub use self::refresh::{Presented, VerifiedToken};
pub use self::secret::{AccessToken, AuthorizationCode, RefreshToken};

/// The first byte of every token.
pub(crate) const VERSION: u8 = 1;

/// Prefix of an access token.
pub(crate) const ACCESS: &str = "mcpat_";
/// Prefix of a refresh token.
pub(crate) const REFRESH: &str = "mcprt_";
/// Prefix of an authorization code.
pub(crate) const CODE: &str = "mcpac_";
