//! Why keys could not be loaded.

use std::io;

use super::id::KeyId;
use crate::shown::shown_mode;

/// Why a [`Keyring`](crate::Keyring) could not be created. No variant contains key material.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyringError {
    /// A key is not 32 bytes long.
    #[error("{} must have 32 bytes, got {found}", key.map_or("a key".to_owned(), |id| format!("key {id}")))]
    Length {
        /// The id of the key, if it has one.
        key: Option<KeyId>,
        /// The length of the key in bytes.
        found: usize,
    },
    /// The text contains no key.
    #[error("a keyring must have at least one key, got none")]
    NoKey,
    /// Two keys have the same id.
    #[error("key id {0} must be unique, got it twice")]
    DuplicateId(KeyId),
    /// Two ids have the same key, so a rotation did not change the key.
    #[error("keys {0} and {1} must differ, got the same bytes")]
    DuplicateKey(KeyId, KeyId),
    /// An entry is not `id:base64` or, for access keys, `id:base64@resource`.
    #[error("entry {entry} must be an id up to 4294967295, a colon and Base64; it is not shown, since it may be a key")]
    Malformed {
        /// The number of the entry, counted from 1.
        entry: usize,
    },
    /// The environment variable is not set.
    #[error("environment variable {0} must be set")]
    NoVariable(String),
    /// The environment variable is not Unicode.
    #[error("environment variable {0} must be Unicode; it is not shown, since it may be a key")]
    NotUnicode(String),
    /// The text in the environment variable is not a keyring.
    #[error("environment variable {name}: {error}")]
    InVariable {
        /// The name of the variable.
        name: String,
        /// What is wrong with the text.
        error: Box<Self>,
    },
    /// Users other than its owner may access the key file.
    #[error("key file {path} must have mode 600 or 400, has {mode:03o}")]
    Permissions {
        /// The path of the file.
        path: String,
        /// The permission bits of the file.
        mode: u32,
    },
    /// The key file could not be read.
    #[error("key file {path}{} could not be read", shown_mode(*mode))]
    Io {
        /// The path of the file.
        path: String,
        /// The permission bits of the file, if they are known.
        mode: Option<u32>,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The text in the key file is not a keyring.
    #[error("key file {path}: {error}")]
    InFile {
        /// The path of the file.
        path: String,
        /// What is wrong with the text.
        error: Box<Self>,
    },
}
