//! Master keys, and where they are loaded from: bytes, text, a file, the environment.

use std::env::VarError;
use std::fs::File;
use std::io;
use std::path::Path;

use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

use crate::entropy::{EntropyError, OsEntropy, random};
use crate::keyring::{KeyId, Keyring};
use crate::redacted::redacted;
use crate::shown::{mode, mode_of, shown_mode, shown_path};

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
        random(&OsEntropy).map(Self::from_bytes)
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

/// The entries of a keyring text, in order; one by one, because a list of them would leave copies of the keys behind.
pub(crate) fn entries(text: &str) -> impl Iterator<Item = Result<(KeyId, MasterKey), KeyringError>> {
    raw_entries(text).enumerate().map(|(at, entry)| parse_entry(entry, at + 1))
}

/// The entries as they are written. One that names a resource has a line of its own, because a URI may have commas.
pub(crate) fn raw_entries(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    let entries = lines.flat_map(|line| line.split(if line.contains('@') { '\n' } else { ',' }));
    entries.map(str::trim).filter(|entry| !entry.is_empty())
}

pub(crate) fn parse_entry(entry: &str, number: usize) -> Result<(KeyId, MasterKey), KeyringError> {
    let malformed = || KeyringError::Malformed { entry: number };
    let (id, key) = entry.split_once(':').ok_or_else(malformed)?;
    let id = id.trim().parse().map(KeyId::new).map_err(|_| malformed())?;
    let key = Zeroizing::new(Base64::decode_vec(key.trim()).map_err(|_| malformed())?);
    let too_long_or_short = |_| KeyringError::Length { key: Some(id), found: key.len() };
    MasterKey::from_slice(&key).map(|key| (id, key)).map_err(too_long_or_short)
}

impl Keyring {
    /// A keyring from text: entries `id:base64`, one a line or separated by commas, the primary first; `#` begins a comment.
    ///
    /// `openssl rand -base64 32` makes such a key.
    ///
    /// # Errors
    ///
    /// [`KeyringError`] says which entry is malformed, short, or a duplicate, or that there is none.
    pub fn parse(text: &str) -> Result<Self, KeyringError> {
        let mut entries = entries(text);
        let (id, key) = entries.next().ok_or(KeyringError::NoKey)??;
        entries.try_fold(Self::new(id, key), |keyring, entry| {
            let (id, key) = entry?;
            keyring.with_retired(id, key)
        })
    }

    /// A keyring from a file in the format of [`Keyring::parse`].
    ///
    /// # Errors
    ///
    /// [`KeyringError::Io`], [`KeyringError::InFile`] with what [`Keyring::parse`] says; and on Unix [`KeyringError::Permissions`] if
    /// anyone but the owner may read or write the file. On other systems the permissions are not looked at.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, KeyringError> {
        let path = path.as_ref();
        let failed = |source| KeyringError::Io { path: shown_path(path), mode: mode_of(path), source };
        let file = File::open(path).map_err(failed)?;
        // Of the open file, not of the path, which may by now be another.
        let mode = mode(&file.metadata().map_err(failed)?);
        if let Some(mode) = mode.filter(|mode| mode & 0o077 != 0) {
            return Err(KeyringError::Permissions { path: shown_path(path), mode });
        }
        let text = Zeroizing::new(io::read_to_string(file).map_err(failed)?);
        Self::parse(&text).map_err(|error| KeyringError::InFile { path: shown_path(path), error: Box::new(error) })
    }

    /// A keyring from an environment variable in the format of [`Keyring::parse`].
    ///
    /// The variable stays in the environment of the process, where child processes and crash dumps can find it.
    ///
    /// # Errors
    ///
    /// [`KeyringError::InVariable`] with what [`Keyring::parse`] says; [`KeyringError::NoVariable`] if it is not set;
    /// [`KeyringError::NotUnicode`].
    pub fn from_env(name: &str) -> Result<Self, KeyringError> {
        let text = std::env::var(name).map(Zeroizing::new).map_err(|error| match error {
            VarError::NotPresent => KeyringError::NoVariable(name.to_owned()),
            VarError::NotUnicode(_) => KeyringError::NotUnicode(name.to_owned()),
        })?;
        Self::parse(&text).map_err(|error| KeyringError::InVariable { name: name.to_owned(), error: Box::new(error) })
    }
}
