//! Envelope encryption: each credential is sealed with its own data key, and a key that may never leave a key
//! management service wraps the data key.

use crate::pointers::pointers;
use std::error::Error as StdError;
use std::fmt;

use zeroize::Zeroizing;

use crate::crypto::redacted::redacted;
use crate::store::BoxFuture;

/// 32 random bytes that seal one credential. They are zeroized on drop.
pub struct DataKey(Zeroizing<[u8; 32]>);

impl DataKey {
    /// Creates a key from its bytes, as an unwrap operation returns them.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Returns the bytes, to wrap them.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

redacted!(DataKey);

/// A wrapped data key. It is useless without the wrapping key.
#[derive(Clone, PartialEq, Eq)]
pub struct WrappedKey {
    key_id: String,
    bytes: Vec<u8>,
}

impl WrappedKey {
    /// The largest length of a key id and of a wrapped key, in bytes.
    pub const MAX_LEN: usize = 1024;

    /// Creates a wrapped key from the id of the wrapping key and the wrapped bytes.
    pub fn new(key_id: impl Into<String>, bytes: Vec<u8>) -> Self {
        Self { key_id: key_id.into(), bytes }
    }

    /// Returns the id of the wrapping key, such as a version or a resource name. It is stored in plaintext.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Returns the wrapped bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for WrappedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WrappedKey")
            .field("key_id", &self.key_id)
            .field("bytes", &format_args!("{} bytes", self.bytes.len()))
            .finish()
    }
}

/// Wraps and unwraps data keys: the local [`Keyring`](crate::Keyring), or a key management service.
///
/// `context` is associated data: a key that was wrapped with one context must not unwrap with another. It is not
/// secret, and at most 64 bytes long. A service without associated data may ignore it, because the seal of a record
/// also binds the record to its place.
///
/// # Security
///
/// Use authenticated wrapping with a symmetric key. With a public key alone, such as one for RSA-OAEP, anyone who can
/// write to the store can forge a wrapped key and so a record. Wrap with a [`Keyring`](crate::Keyring) first and wrap
/// the result with the public key, as `docs/key-wrappers.md` shows for Azure.
pub trait KeyWrapper: Send + Sync {
    /// Returns the id of the primary key, which [`wrap`](Self::wrap) uses now. `CredentialVault::rewrap` rewraps data
    /// keys that are wrapped with another key.
    ///
    /// # Errors
    ///
    /// [`WrapError::Unavailable`] if the key service does not answer.
    fn primary(&self) -> BoxFuture<'_, Result<String, WrapError>>;

    /// Wraps `key` with the primary key.
    ///
    /// # Errors
    ///
    /// [`WrapError::Unavailable`] if the key service does not answer.
    fn wrap<'a>(&'a self, key: &'a DataKey, context: &'a [u8]) -> BoxFuture<'a, Result<WrappedKey, WrapError>>;

    /// Unwraps `wrapped` with the key that it names.
    ///
    /// # Errors
    ///
    /// [`WrapError::UnknownKey`] if that key no longer exists, [`WrapError::Corrupt`] if the wrapped key or the context
    /// is wrong, [`WrapError::Unavailable`] if the key service does not answer.
    fn unwrap<'a>(&'a self, wrapped: &'a WrappedKey, context: &'a [u8]) -> BoxFuture<'a, Result<DataKey, WrapError>>;
}

pointers! {
    impl KeyWrapper {
        fn primary(&self) -> BoxFuture<'_, Result<String, WrapError>> {
            T::primary(self)
        }
        fn wrap<'a>(&'a self, key: &'a DataKey, context: &'a [u8]) -> BoxFuture<'a, Result<WrappedKey, WrapError>> {
            T::wrap(self, key, context)
        }
        fn unwrap<'a>(&'a self, wrapped: &'a WrappedKey, context: &'a [u8]) -> BoxFuture<'a, Result<DataKey, WrapError>> {
            T::unwrap(self, wrapped, context)
        }
    }
}

/// Why a data key was not wrapped or unwrapped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WrapError {
    /// The key service did not answer or cannot be reached. A retry may help.
    #[error("the key service is unavailable")]
    Unavailable(#[source] Box<dyn StdError + Send + Sync>),
    /// The wrapping key no longer exists.
    #[error("the wrapping key no longer exists")]
    UnknownKey,
    /// The wrapped key was altered, or belongs to another context.
    #[error("the data key cannot be unwrapped: it was altered or belongs to another record")]
    Corrupt,
    /// The wrapped key or the id of its key is longer than [`WrappedKey::MAX_LEN`].
    #[error("a wrapped data key and its key id must be at most {} bytes, got {got}", WrappedKey::MAX_LEN)]
    #[non_exhaustive]
    TooLong {
        /// The length, in bytes.
        got: usize,
    },
}

impl WrapError {
    /// Creates [`Unavailable`](Self::Unavailable), caused by `source`.
    pub fn unavailable(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Unavailable(source.into())
    }
}
