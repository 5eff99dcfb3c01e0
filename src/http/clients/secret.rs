//! Client secrets: given out once, kept as a hash.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::crypto::random::{Entropy, EntropyError, random};
use crate::crypto::redacted::redacted;
use crate::crypto::{base64url, equal, sha256};

/// A secret of 256 random bits: `mcpcs_` and 43 characters.
///
/// Zeroized on drop, shown as `(..)` by `Debug`; [`expose`](Self::expose) is the only way to the text.
pub struct ClientSecret(Zeroizing<String>);

redacted!(ClientSecret, SecretHash);

impl ClientSecret {
    /// A new one.
    ///
    /// # Errors
    ///
    /// When there is no randomness to be had.
    pub fn generate(entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        let bytes = Zeroizing::new(random::<32>(entropy)?);
        let text = base64url::encode("mcpcs_", bytes.as_ref());
        text.map(Self).ok_or_else(|| EntropyError::new("a secret could not be spelled"))
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
