//! Loading a [`Keyring`] from text, from a file, from the environment.

use std::path::Path;

use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

use crate::keyring::{KeyId, Keyring, KeyringError, MasterKey};

/// The entries of a keyring text, in order.
pub(crate) fn entries(text: &str) -> Result<Vec<(KeyId, MasterKey)>, KeyringError> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    let entries = lines.flat_map(|line| line.split(',')).map(str::trim).filter(|entry| !entry.is_empty());
    entries.enumerate().map(|(at, entry)| parse_entry(entry, at + 1)).collect()
}

fn parse_entry(entry: &str, number: usize) -> Result<(KeyId, MasterKey), KeyringError> {
    let malformed = || KeyringError::Malformed { entry: number };
    let (id, key) = entry.split_once(':').ok_or_else(malformed)?;
    let id = id.trim().parse().map_err(|_| malformed())?;
    let key = Zeroizing::new(Base64::decode_vec(key.trim()).map_err(|_| malformed())?);
    Ok((KeyId::new(id), MasterKey::from_slice(&key)?))
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
        let mut entries = entries(text)?.into_iter();
        let (id, key) = entries.next().ok_or(KeyringError::NoKey)?;
        entries.try_fold(Self::new(id, key), |keyring, (id, key)| keyring.with_retired(id, key))
    }

    /// A keyring from a file in the format of [`Keyring::parse`].
    ///
    /// # Errors
    ///
    /// As [`Keyring::parse`]; and on Unix [`KeyringError::Permissions`] if anyone but the owner may read or write the file.
    /// On other systems the permissions are not looked at.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, KeyringError> {
        let file = std::fs::File::open(path)?;
        // Of the open file, not of the path, which may by now be another.
        check_permissions(&file)?;
        Self::parse(&Zeroizing::new(std::io::read_to_string(file)?))
    }

    /// A keyring from an environment variable in the format of [`Keyring::parse`].
    ///
    /// The variable stays in the environment of the process, where child processes and crash dumps can find it.
    ///
    /// # Errors
    ///
    /// As [`Keyring::parse`]; [`KeyringError::NoVariable`] if it is not set.
    pub fn from_env(name: &str) -> Result<Self, KeyringError> {
        let text = std::env::var(name).map_err(|_| KeyringError::NoVariable(name.to_owned()))?;
        Self::parse(&Zeroizing::new(text))
    }
}

#[cfg(unix)]
fn check_permissions(file: &std::fs::File) -> Result<(), KeyringError> {
    use std::os::unix::fs::PermissionsExt;
    let mode = file.metadata()?.permissions().mode() & 0o777;
    if mode & 0o077 == 0 { Ok(()) } else { Err(KeyringError::Permissions { mode }) }
}

#[cfg(not(unix))]
fn check_permissions(_: &std::fs::File) -> Result<(), KeyringError> {
    Ok(())
}
