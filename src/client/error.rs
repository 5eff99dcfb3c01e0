//! Why a client has no access token, and why its storage failed.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::keys::KeyId;
use crate::vault::UpstreamError;

/// Why a [`TokenManager`](super::TokenManager) did not return a token or complete a logout. No variant carries a
/// secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenManagerError {
    /// Nothing is stored: the user has not logged in, or has logged out.
    #[error("no login is stored")]
    NoCredentials,
    /// The server no longer accepts the refresh token, or there is none. The user has to log in again.
    #[error("the user has to log in again")]
    NeedsAuthorization,
    /// The authorization server did not answer, or refused for another reason than the tokens, or another process holds
    /// the lock of the storage. The login is kept.
    #[error("the request cannot be completed at the moment, retry after {retry_after:?}")]
    #[non_exhaustive]
    Unavailable {
        /// How long to wait before the next attempt.
        retry_after: Duration,
        /// The error of the authorization server, if this call asked it.
        source: Option<UpstreamError>,
    },
    /// The user is logged out in this program, and the stored tokens are revoked or invalid, but the answer to the last
    /// refresh was lost.
    ///
    /// The server may still accept the tokens of that answer, unless it revokes all tokens of a login together. If this
    /// matters, the user should end the login at the server.
    #[error("logged out, but the server may still accept tokens whose response was lost")]
    AnswerLost,
    /// The stored tokens could not be read or written.
    #[error("the stored tokens could not be read or written")]
    Storage(#[from] StorageError),
}

impl TokenManagerError {
    pub(super) fn unavailable(retry_after: Duration, source: Option<UpstreamError>) -> Self {
        Self::Unavailable { retry_after, source }
    }
}

/// Why stored tokens could not be read or written. No variant carries anything of their content.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// Other users than the owner may read or write the file, or write to a folder above it.
    #[error("the mode of {} must have none of the bits {bits:04o}, got {mode:04o}", path.display())]
    #[non_exhaustive]
    Permissions {
        /// The file or folder.
        path: PathBuf,
        /// The permission bits that were found.
        mode: u32,
        /// The permission bits that must not be set.
        bits: u32,
    },
    /// The path is a symbolic link, a folder or a device.
    #[error("{} is not a regular file", .0.display())]
    NotAFile(PathBuf),
    /// The file system returned an error.
    #[error("the file system failed at {}", path.display())]
    #[non_exhaustive]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The error.
        source: io::Error,
    },
    /// The content was altered, is sealed without a keyring or not sealed with one, or comes from another version.
    #[error("the stored tokens{} are malformed", In(path))]
    #[non_exhaustive]
    Malformed {
        /// The file, if the storage is one.
        path: Option<PathBuf>,
    },
    /// The file is longer than any stored login.
    #[error("{} must be shorter than {limit} bytes, got {got}", path.display())]
    #[non_exhaustive]
    TooLong {
        /// The file.
        path: PathBuf,
        /// The length of the file, in bytes.
        got: u64,
        /// The bound, in bytes.
        limit: u64,
    },
    /// The content was sealed with a key that the keyring does not have.
    #[error("the stored tokens are sealed with key {0}, which the keyring does not have")]
    UnknownKey(KeyId),
    /// A storage that is not a file failed.
    #[error("the storage failed")]
    Other(#[source] Box<dyn StdError + Send + Sync>),
}

impl StorageError {
    /// Creates [`Io`](Self::Io): the file system failed at `path` because of `source`.
    pub fn io(path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Io { path: path.into(), source }
    }

    pub(super) fn malformed() -> Self {
        Self::Malformed { path: None }
    }

    /// Adds the path of the file.
    pub(super) fn at(self, path: Option<&Path>) -> Self {
        match self {
            Self::Malformed { .. } => Self::Malformed { path: path.map(Path::to_owned) },
            other => other,
        }
    }

    /// Creates [`Other`](Self::Other), caused by `source`, which must not contain anything of the stored content.
    pub fn other(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Other(source.into())
    }
}

/// Shows ` in` and the path, if there is one.
struct In<'a>(&'a Option<PathBuf>);

impl fmt::Display for In<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |path| write!(f, " in {}", path.display()))
    }
}

/// The error while another caller or the runtime keeps this one from a result.
pub(super) fn still_busy() -> TokenManagerError {
    TokenManagerError::unavailable(Duration::from_secs(1), None)
}
