//! Envelope encryption: every credential is sealed with a data key of its own, and the data key is wrapped by a key that may
//! never leave a key management service.

use std::error::Error as StdError;
use std::fmt;

use zeroize::Zeroizing;

use crate::crypto::redacted::redacted;
use crate::store::BoxFuture;

/// 32 random bytes that seal one credential. Zeroized on drop.
pub struct DataKey(Zeroizing<[u8; 32]>);

impl DataKey {
    /// The key with these bytes, as an unwrapping gives them back.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes, to be wrapped.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

redacted!(DataKey);

/// A data key as it is stored: of use to nobody without the wrapping key.
#[derive(Clone, PartialEq, Eq)]
pub struct WrappedKey {
    key_id: String,
    bytes: Vec<u8>,
}

impl WrappedKey {
    /// The most bytes of a key id and of a wrapped key.
    pub const MAX_LEN: usize = 1024;

    /// A data key wrapped with the key of this id into these bytes.
    pub fn new(key_id: impl Into<String>, bytes: Vec<u8>) -> Self {
        Self { key_id: key_id.into(), bytes }
    }

    /// The id of the wrapping key: a version, a resource name. It is public.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The wrapped bytes.
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
/// `context` is associated data: what was wrapped with one context must not unwrap with another. It is no secret, and at most
/// 64 bytes. A service without associated data may leave it out: the record is bound to its place by its own seal too.
///
/// # Security
///
/// What unwraps must have been wrapped by somebody who may: authenticated encryption with a symmetric key. A public key alone, such
/// as one for RSA-OAEP, wraps for everybody; whoever can write to the store could then seal a record of his own, under a data key
/// of his own. Wrap with a [`Keyring`](crate::Keyring) first and that around it, as `docs/key-wrappers.md` shows for Azure.
pub trait KeyWrapper: Send + Sync {
    /// The id of the key that [`wrap`](Self::wrap) uses now. A data key wrapped with another one is wrapped anew by
    /// `CredentialVault::rewrap`.
    fn primary(&self) -> BoxFuture<'_, Result<String, WrapError>>;

    /// Wrap `key` with the primary key.
    fn wrap<'a>(&'a self, key: &'a DataKey, context: &'a [u8]) -> BoxFuture<'a, Result<WrappedKey, WrapError>>;

    /// Unwrap `wrapped`, with whichever key it was wrapped.
    fn unwrap<'a>(&'a self, wrapped: &'a WrappedKey, context: &'a [u8]) -> BoxFuture<'a, Result<DataKey, WrapError>>;
}

/// Why a data key was not wrapped or unwrapped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WrapError {
    /// The key service does not answer, or is not to be reached: worth another try.
    #[error("the key service is unavailable")]
    Unavailable(#[source] Box<dyn StdError + Send + Sync>),
    /// The wrapping key is not there any more.
    #[error("there is no wrapping key of this id")]
    UnknownKey,
    /// The wrapped key was altered, or belongs to another context.
    #[error("the data key does not unwrap")]
    Corrupt,
    /// The wrapped key, or the id of its key, is longer than [`WrappedKey::MAX_LEN`].
    #[error("a wrapped data key and its key id must be at most {} bytes, got {got}", WrappedKey::MAX_LEN)]
    #[non_exhaustive]
    TooLong {
        /// How long.
        got: usize,
    },
}

impl WrapError {
    /// The key service is unavailable because of `source`.
    pub fn unavailable(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Unavailable(source.into())
    }
}
