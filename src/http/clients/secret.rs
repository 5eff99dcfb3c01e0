//! Client secrets, which are returned once and stored as a hash.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::crypto::random::{EntropyError, RandomSource};
use crate::crypto::redacted::redacted;
use crate::crypto::{base64url, equal, sha256};

/// A secret of 256 random bits: `mcpcs_` and 43 characters.
///
/// It is zeroized on drop and shown as `(..)` by `Debug`. [`expose`](Self::expose) is the only access to the text.
pub struct ClientSecret(Zeroizing<String>);

redacted!(ClientSecret, SecretHash);

impl ClientSecret {
    /// Generates a new secret with the operating system's random number generator.
    ///
    /// # Errors
    ///
    /// [`EntropyError`] when the generator fails.
    pub fn generate() -> Result<Self, EntropyError> {
        Self::random(&RandomSource::default())
    }

    pub(in crate::http) fn random(rng: &RandomSource) -> Result<Self, EntropyError> {
        let bytes = Zeroizing::new(rng.bytes::<32>()?);
        let text = base64url::encode("mcpcs_", bytes.as_ref());
        text.map(Self).ok_or_else(|| EntropyError::new("the client secret could not be encoded"))
    }

    /// Takes a secret from `text`, for example from a configuration.
    ///
    /// # Security
    ///
    /// It must be random. Only its hash is stored, but a guessable secret can be guessed from the hash too.
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// Returns the text, for the client alone.
    pub fn expose(&self) -> &str {
        &self.0
    }

    pub(super) fn hash(&self) -> SecretHash {
        SecretHash(sha256(self.0.as_bytes()))
    }
}

/// The SHA-256 hash of a secret. A slow hash is for passwords that people choose; 256 random bits cannot be guessed.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) struct SecretHash([u8; 32]);

impl SecretHash {
    pub(super) fn matches(&self, presented: &str) -> bool {
        equal(&self.0, &sha256(presented.as_bytes()))
    }
}
