//! Why keys could not be loaded.

use std::io;

use super::id::KeyId;
use crate::crypto::shown::shown_mode;

/// Why a [`Keyring`] could not be made. No variant carries key material.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyringError {
    /// A key that is not 32 bytes long.
    #[error("{} must have 32 bytes, got {found}", key.map_or("a key".to_owned(), |id| format!("key {id}")))]
    Length {
        /// The id that it goes by, if it has one.
        key: Option<KeyId>,
        /// Its length in bytes.
        found: usize,
    },
    /// There is no key.
    #[error("a keyring must have at least one key, got none")]
    NoKey,
    /// Two keys go by one id.
    #[error("key id {0} must be there once, got it twice")]
    DuplicateId(KeyId),
    /// One key goes by two ids: a rotation that did not change anything.
    #[error("keys {0} and {1} must differ, got the same bytes")]
    DuplicateKey(KeyId, KeyId),
    /// An entry that is not `id:base64`, or of access keys `id:base64@resource`.
    #[error("entry {entry} must be an id up to 4294967295, a colon and Base64; it is not shown, since it may be a key")]
    Malformed {
        /// Which entry, counted from 1.
        entry: usize,
    },
    /// The environment variable is not set.
    #[error("environment variable {0} must be set")]
    NoVariable(String),
    /// The environment variable is not Unicode.
    #[error("environment variable {0} must be Unicode; it is not shown, since it may be a key")]
    NotUnicode(String),
    /// The text in an environment variable is no keyring.
    #[error("environment variable {name}: {error}")]
    InVariable {
        /// Its name.
        name: String,
        /// Why not.
        error: Box<Self>,
    },
    /// The key file may be read by others than its owner.
    #[error("key file {path} must have mode 600 or 400, has {mode:03o}")]
    Permissions {
        /// The file.
        path: String,
        /// The permission bits found.
        mode: u32,
    },
    /// The key file could not be read.
    #[error("key file {path}{} could not be read", shown_mode(*mode))]
    Io {
        /// The file.
        path: String,
        /// Its permission bits, if they can be found out.
        mode: Option<u32>,
        /// Why not.
        source: io::Error,
    },
    /// The text in the key file is no keyring.
    #[error("key file {path}: {error}")]
    InFile {
        /// The file.
        path: String,
        /// Why not.
        error: Box<Self>,
    },
}
