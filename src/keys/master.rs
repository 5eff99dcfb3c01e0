//! Master keys, and where they are loaded from: bytes, text, a file, the environment.

use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

use super::error::KeyringError;
use crate::crypto::random::{EntropyError, RandomSource};
use crate::crypto::redacted::redacted;

/// 32 random bytes from which every key in use is derived. Zeroized on drop.
pub struct MasterKey(Zeroizing<[u8; 32]>);

impl MasterKey {
    /// The key with these bytes, which must be uniformly random: not a password.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The key with these bytes.
    ///
    /// # Errors
    ///
    /// [`KeyringError::Length`] unless there are 32.
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

    /// The key in Base64, as [`Keyring::parse`] reads it: for whoever has to store it, and for nobody else.
    pub fn to_base64(&self) -> Zeroizing<String> {
        Zeroizing::new(Base64::encode_string(self.0.as_ref()))
    }
}

redacted!(MasterKey);
