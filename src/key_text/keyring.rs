//! Keyrings from text, a file or the environment.

use std::env::VarError;
use std::fs::File;
use std::io;
use std::path::Path;

use zeroize::Zeroizing;

use crate::keys::entry::entries;
use crate::keys::{Keyring, KeyringError};
use crate::shown::{mode, mode_of, shown_path};

impl Keyring {
    /// Parses a keyring: entries `id:base64`, one a line or separated by commas, the primary first. `#` begins a
    /// comment.
    ///
    /// `openssl rand -base64 32` generates such a key.
    ///
    /// # Errors
    ///
    /// * [`KeyringError::NoKey`] if there is no entry.
    /// * [`KeyringError::Malformed`] if an entry is not `id:base64`.
    /// * [`KeyringError::Length`] if a key does not have 32 bytes.
    /// * [`KeyringError::DuplicateId`] or [`KeyringError::DuplicateKey`] if an id or a key occurs twice.
    pub fn parse(text: &str) -> Result<Self, KeyringError> {
        let mut entries = entries(text);
        let (id, key) = entries.next().ok_or(KeyringError::NoKey)??;
        entries.try_fold(Self::new(id, key), |keyring, entry| {
            let (id, key) = entry?;
            keyring.with_retired(id, key)
        })
    }

    /// Reads a keyring from a file in the format of [`Keyring::parse`].
    ///
    /// # Errors
    ///
    /// * [`KeyringError::Io`] if the file cannot be read.
    /// * [`KeyringError::Permissions`] if, on Unix, users other than the owner may access the file. On other systems
    ///   the permissions are not checked.
    /// * [`KeyringError::InFile`] with the error of [`Keyring::parse`].
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, KeyringError> {
        let path = path.as_ref();
        let failed = |source| KeyringError::Io { path: shown_path(path), mode: mode_of(path), source };
        let file = File::open(path).map_err(failed)?;
        // The mode is that of the open file. The path may name another file by now.
        let mode = mode(&file.metadata().map_err(failed)?);
        if let Some(mode) = mode.filter(|mode| mode & 0o077 != 0) {
            return Err(KeyringError::Permissions { path: shown_path(path), mode });
        }
        let text = Zeroizing::new(io::read_to_string(file).map_err(failed)?);
        Self::parse(&text).map_err(|error| KeyringError::InFile { path: shown_path(path), error: Box::new(error) })
    }

    /// Reads a keyring from an environment variable in the format of [`Keyring::parse`].
    ///
    /// # Security
    ///
    /// The variable stays in the environment of the process, where child processes and crash dumps can find it.
    ///
    /// # Errors
    ///
    /// * [`KeyringError::NoVariable`] if the variable is not set.
    /// * [`KeyringError::NotUnicode`] if its value is not Unicode.
    /// * [`KeyringError::InVariable`] with the error of [`Keyring::parse`].
    pub fn from_env(name: &str) -> Result<Self, KeyringError> {
        let text = std::env::var(name).map(Zeroizing::new).map_err(|error| match error {
            VarError::NotPresent => KeyringError::NoVariable(name.to_owned()),
            VarError::NotUnicode(_) => KeyringError::NotUnicode(name.to_owned()),
        })?;
        Self::parse(&text).map_err(|error| KeyringError::InVariable { name: name.to_owned(), error: Box::new(error) })
    }
}
