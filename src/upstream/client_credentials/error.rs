//! What keeps a client from its access token.

use std::error::Error as StdError;
use std::path::PathBuf;
use std::time::Duration;

use crate::keyring::KeyId;
use crate::upstream::UpstreamError;

/// Why there is no access token. No variant carries a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientCredentialsError {
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

impl ClientCredentialsError {
    pub(super) fn unavailable(retry_after: Duration, source: Option<UpstreamError>) -> Self {
        Self::Unavailable { retry_after, source }
    }
}

/// Why the credential could not be read or written. No variant carries anything of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// Others than its owner may read or write the file, or write to a folder above it.
    #[error("{} is open to others (mode {mode:o})", path.display())]
    #[non_exhaustive]
    Permissions {
        /// The file or folder.
        path: PathBuf,
        /// The permission bits found.
        mode: u32,
    },
    /// A symbolic link, a folder, a device.
    #[error("{} is not a regular file", .0.display())]
    NotAFile(PathBuf),
    /// The file system did not do what was asked.
    #[error("the file system failed")]
    Io(#[from] std::io::Error),
    /// What is stored was altered, sealed or not sealed against expectation, or written by a later version.
    #[error("the stored credential is malformed")]
    Malformed,
    /// What is stored was sealed with a key that is not in the keyring.
    #[error("key {0} is not in the keyring")]
    UnknownKey(KeyId),
    /// Another kind of storage failed.
    #[error("the storage failed")]
    Other(#[source] Box<dyn StdError + Send + Sync>),
}

impl StorageError {
    /// Another kind of storage failed because of `source`, which must not carry anything of what is stored.
    pub fn other(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Other(source.into())
    }
}
