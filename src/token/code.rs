//! What ties an authorization code to the client that asked for it: PKCE (RFC 7636) and the redirect URI.

use base64ct::{Base64UrlUnpadded, Encoding};

use crate::crypto::redacted::redacted;
use crate::crypto::{equal, sha256};
use crate::family::CodeCheck;

/// A PKCE code challenge of method `S256`, the only one there is here: OAuth 2.1 §4.1.1 and the MCP specification leave no
/// room for `plain`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CodeChallenge([u8; 32]);

impl CodeChallenge {
    /// From the `code_challenge` and `code_challenge_method` of an authorization request.
    ///
    /// # Errors
    ///
    /// [`ChallengeError`]: answer the authorization request with `invalid_request`.
    pub fn parse(challenge: &str, method: &str) -> Result<Self, ChallengeError> {
        if method != "S256" {
            return Err(ChallengeError::Method);
        }
        let mut bytes = [0; 32];
        match Base64UrlUnpadded::decode(challenge, &mut bytes) {
            Ok(decoded) if decoded.len() == 32 => Ok(Self(bytes)),
            _ => Err(ChallengeError::Malformed),
        }
    }

    /// The challenge that `verifier` answers.
    pub fn of_verifier(verifier: &str) -> Self {
        Self(sha256(verifier.as_bytes()))
    }
}

redacted!(CodeChallenge);

/// Why a code challenge was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChallengeError {
    /// A method other than `S256`; one that is missing means `plain` (RFC 7636 §4.3).
    #[error("the code challenge method must be S256")]
    Method,
    /// Not the base64url of 32 bytes.
    #[error("the code challenge is malformed")]
    Malformed,
}

impl CodeCheck {
    pub(crate) fn new(challenge: CodeChallenge, redirect_uri: &str) -> Self {
        Self { challenge: challenge.0, redirect: sha256(redirect_uri.as_bytes()) }
    }

    pub(crate) fn matches_verifier(&self, verifier: &str) -> bool {
        let unreserved = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
        let well_formed = (43..=128).contains(&verifier.len()) && verifier.bytes().all(unreserved);
        well_formed && equal(&self.challenge, &sha256(verifier.as_bytes()))
    }

    /// Exact, byte for byte (OAuth 2.1 §4.1.3, RFC 9700 §2.1).
    pub(crate) fn matches_redirect(&self, redirect_uri: &str) -> bool {
        equal(&self.redirect, &sha256(redirect_uri.as_bytes()))
    }
}
