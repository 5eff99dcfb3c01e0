//! Master keys: the secrets that every other key derives from.

use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

use super::error::KeyringError;
use crate::crypto::random::{EntropyError, RandomSource};
use crate::crypto::redacted::redacted;

/// A secret of 32 random bytes that all other keys derive from. It is zeroized on drop.
pub struct MasterKey(Zeroizing<[u8; 32]>);

impl MasterKey {
    /// Creates the key from its bytes, which must be uniformly random and not a password.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Creates the key from a slice of 32 bytes, which must be uniformly random and not a password.
    ///
    /// # Errors
    ///
    /// [`KeyringError::Length`] if the slice does not have 32 bytes.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, KeyringError> {
        let bytes = bytes.try_into().map_err(|_| KeyringError::Length { key: None, found: bytes.len() })?;
        Ok(Self(Zeroizing::new(bytes)))
    }

    /// A new key from the operating system's random source.
    ///
    /// # Errors
    ///
    /// When the random source fails.
    pub fn generate() -> Result<Self, EntropyError> {
        RandomSource::default().bytes().map(Self::from_bytes)
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns the key in Base64, as [`Keyring::parse`](crate::Keyring::parse) reads it after an id and a colon.
    ///
    /// The text is secret: write it only to the place that stores the key.
    pub fn to_base64(&self) -> Zeroizing<String> {
        Zeroizing::new(Base64::encode_string(self.0.as_ref()))
    }
}

redacted!(MasterKey);
