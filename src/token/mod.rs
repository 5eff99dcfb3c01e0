//! The wire formats. Each token is a prefix that secret scanners know, and one base64url word without padding.

pub(crate) mod access;
pub(crate) mod code;
pub(crate) mod refresh;
mod secret;

use base64ct::{Base64UrlUnpadded, Encoding};
use zeroize::Zeroizing;

pub use self::code::{ChallengeError, CodeChallenge};
pub use self::refresh::{Genuine, Presented};
pub use self::secret::{AccessToken, AuthorizationCode, RefreshToken};

/// The first byte of every token.
pub(crate) const VERSION: u8 = 1;

/// Prefix of an access token.
pub(crate) const ACCESS: &str = "mcpat_";
/// Prefix of a refresh token.
pub(crate) const REFRESH: &str = "mcprt_";
/// Prefix of an authorization code.
pub(crate) const CODE: &str = "mcpac_";

/// `prefix` and the base64url of `bytes`, in one buffer that is zeroized on drop.
fn to_text(prefix: &str, bytes: &[u8]) -> Option<Zeroizing<String>> {
    let mut text = vec![0; prefix.len() + (bytes.len() * 4).div_ceil(3)];
    let (head, chars) = text.split_at_mut(prefix.len());
    head.copy_from_slice(prefix.as_bytes());
    Base64UrlUnpadded::encode(bytes, chars).ok()?;
    String::from_utf8(text).ok().map(Zeroizing::new)
}
