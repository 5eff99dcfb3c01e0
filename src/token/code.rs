//! What binds an authorization code to the client that requested it: PKCE (RFC 7636) and the redirect URI.

use crate::crypto::redacted::redacted;
use crate::crypto::{base64url, equal, sha256};
use crate::family::CodeCheck;

/// A PKCE code challenge of the method `S256`. OAuth 2.1 §4.1.1 and the MCP specification do not allow `plain`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CodeChallenge([u8; 32]);

impl CodeChallenge {
    /// Parses the `code_challenge` and `code_challenge_method` of an authorization request.
    ///
    /// # Errors
    ///
    /// [`ChallengeError::Method`] if the method is not `S256`, [`ChallengeError::Malformed`] if the challenge is not
    /// the base64url of 32 bytes. Answer the authorization request with `invalid_request`.
    pub fn parse(challenge: &str, method: &str) -> Result<Self, ChallengeError> {
        if method != "S256" {
            return Err(ChallengeError::Method);
        }
        let mut bytes = [0; 32];
        base64url::decode(challenge, &mut bytes).map(|()| Self(bytes)).ok_or(ChallengeError::Malformed)
    }

    /// Computes the challenge that `verifier` answers.
    pub fn of_verifier(verifier: &str) -> Self {
        Self(sha256(verifier.as_bytes()))
    }
}

redacted!(CodeChallenge);

/// Why a code challenge was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChallengeError {
    /// The method is not `S256`. A missing method means `plain` (RFC 7636 §4.3).
    #[error("code_challenge_method must be S256")]
    Method,
    /// The challenge is not the base64url of 32 bytes without padding.
    #[error("code_challenge must be 32 bytes in base64url without padding")]
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

    /// Compares byte for byte, without normalization (OAuth 2.1 §4.1.3, RFC 9700 §2.1).
    pub(crate) fn matches_redirect(&self, redirect_uri: &str) -> bool {
        equal(&self.redirect, &sha256(redirect_uri.as_bytes()))
    }
}
