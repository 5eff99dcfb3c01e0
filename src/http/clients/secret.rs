//! Client secrets: given out once, kept as a hash.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::crypto::random::{EntropyError, RandomSource};
use crate::crypto::redacted::redacted;
use crate::crypto::{base64url, equal, sha256};

/// A secret of 256 random bits: `mcpcs_` and 43 characters.
///
/// Zeroized on drop, shown as `(..)` by `Debug`; [`expose`](Self::expose) is the only way to the text.
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
        // The buffer has the length of the text, so the encoding does not fail.
        Ok(Self(base64url::encode("mcpcs_", bytes.as_ref()).unwrap_or_default()))
    }

    /// The secret that is written in `text`, for instance in a configuration. It must be random: only its hash is kept, but a
    /// word that can be guessed can be guessed from the hash as well.
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text, for the client alone.
    pub fn expose(&self) -> &str {
        &self.0
    }

    pub(super) fn hash(&self) -> SecretHash {
        SecretHash(sha256(self.0.as_bytes()))
    }
}

/// SHA-256 of a secret. A slow hash is for what people choose; 256 random bits cannot be guessed.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) struct SecretHash([u8; 32]);

impl SecretHash {
    pub(super) fn matches(&self, presented: &str) -> bool {
        equal(&self.0, &sha256(presented.as_bytes()))
    }
}
