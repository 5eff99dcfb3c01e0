//! What keeps a client from its access token.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::keys::KeyId;
use crate::vault::UpstreamError;

/// Why there is no access token. No variant carries a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenManagerError {
    /// Nothing is stored: the user has not logged in, or has logged out.
    #[error("nobody has logged in")]
    NoCredentials,
    /// The refresh token is not honoured any more, or there is none: the user has to log in again.
    #[error("the user has to log in again")]
    NeedsAuthorization,
    /// The authorization server did not answer, or refused for a reason other than the credential. Nothing is lost.
    #[error("there is no access token at the moment")]
    #[non_exhaustive]
    Unavailable {
        /// When it is worth another try: in so long.
        retry_after: Duration,
        /// What the authorization server answered, if it was this call that asked.
        source: Option<UpstreamError>,
    },
    /// The user is logged out here, and the old tokens are revoked or dead. But the answer to the last refresh was lost: unless
    /// the server has ended all that came from the same login, it may go on to honour new tokens of which nobody knows. If it
    /// matters, the user ends the login there.
    #[error("logged out, but the server may honour tokens that never arrived")]
    AnswerLost,
    /// The credential could not be read or written.
    #[error("the credential storage failed")]
    Storage(#[from] StorageError),
}

impl TokenManagerError {
    pub(super) fn unavailable(retry_after: Duration, source: Option<UpstreamError>) -> Self {
        Self::Unavailable { retry_after, source }
    }
}

/// Why the credential could not be read or written. No variant carries anything of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// Others than its owner may read or write the file, or write to a folder above it.
    #[error("{} is open to others: its mode is {mode:04o}, and must have none of the bits {bits:04o}", path.display())]
    #[non_exhaustive]
    Permissions {
        /// The file or folder.
        path: PathBuf,
        /// The permission bits found.
        mode: u32,
        /// The permission bits of which there must be none.
        bits: u32,
    },
    /// A symbolic link, a folder, a device.
    #[error("{} is not a regular file", .0.display())]
    NotAFile(PathBuf),
    /// The file system did not do what was asked.
    #[error("the file system failed at {}", path.display())]
    #[non_exhaustive]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// What is stored was altered, sealed or not sealed against expectation, or written by another version.
    #[error("the stored credential{} is malformed", In(path))]
    #[non_exhaustive]
    Malformed {
        /// The file, if it is in one.
        path: Option<PathBuf>,
    },
    /// The file is longer than any credential.
    #[error("{} is {got} bytes long, and must have less than {limit}", path.display())]
    #[non_exhaustive]
    TooLong {
        /// The file.
        path: PathBuf,
        /// Its length.
        got: u64,
        /// What it must be shorter than.
        limit: u64,
    },
    /// What is stored was sealed with a key that is not in the keyring.
    #[error("key {0} is not in the keyring")]
    UnknownKey(KeyId),
    /// Another kind of storage failed.
    #[error("the storage failed")]
    Other(#[source] Box<dyn StdError + Send + Sync>),
}

impl StorageError {
    /// The file system failed at `path` because of `source`.
    pub fn io(path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Io { path: path.into(), source }
    }

    pub(super) fn malformed() -> Self {
        Self::Malformed { path: None }
    }

    /// The same, of the file at `path`.
    pub(super) fn at(self, path: Option<&Path>) -> Self {
        match self {
            Self::Malformed { .. } => Self::Malformed { path: path.map(Path::to_owned) },
            other => other,
        }
    }

    /// Another kind of storage failed because of `source`, which must not carry anything of what is stored.
    pub fn other(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Other(source.into())
    }
}

/// ` in` and a path, if there is one.
struct In<'a>(&'a Option<PathBuf>);

impl fmt::Display for In<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |path| write!(f, " in {}", path.display()))
    }
}

pub(super) fn still_busy() -> TokenManagerError {
    TokenManagerError::unavailable(Duration::from_secs(1), None)
}
