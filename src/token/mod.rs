//! The formats of the tokens. Each token is a prefix that secret scanners find, followed by base64url without padding.

pub(crate) mod access;
pub(crate) mod code;
pub(crate) mod refresh;
mod secret;

pub use self::code::{ChallengeError, CodeChallenge};
pub use self::refresh::{Presented, VerifiedToken};
pub use self::secret::{AccessToken, AuthorizationCode, RefreshToken};

/// The first byte of every token.
pub(crate) const VERSION: u8 = 1;

/// The prefix of an access token.
pub(crate) const ACCESS: &str = "mcpat_";
/// The prefix of a refresh token.
pub(crate) const REFRESH: &str = "mcprt_";
/// The prefix of an authorization code.
pub(crate) const CODE: &str = "mcpac_";
