//! The error type of the vault: faults of the store, the keys, the random source or the configuration.

use std::error::Error as StdError;
use std::fmt;

use crate::crypto::random::EntropyError;
use crate::error::{Error, ErrorKind};
use crate::store::StoreError;
use crate::vault::{WrapError, WrappedKey};

/// A fault of the vault. Neither the user nor the service caused it.
///
/// Answer 503, so that the client retries. The error carries no secret.
#[derive(Debug)]
pub struct VaultError {
    kind: VaultErrorKind,
    /// The subject of the fault, or the bound and the value.
    about: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The kind of a [`VaultError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum VaultErrorKind {
    /// The store did not answer. Nothing was written.
    StoreUnavailable,
    /// The store did not confirm a write, which may have happened. A retry finds out.
    StoreUncertain,
    /// The key service did not answer.
    KeyUnavailable,
    /// The key that wrapped a data key is no longer available.
    UnknownKey,
    /// A record does not open: it was altered, or swapped with another.
    CorruptRecord,
    /// The random source failed.
    Entropy,
    /// Other processes wrote the same record in each attempt.
    Contention,
    /// The credential with its metadata is longer than 12 KiB, or its wrapped data key is longer than
    /// [`WrappedKey::MAX_LEN`](crate::vault::WrappedKey::MAX_LEN).
    TooLarge,
    /// The vault has no provider for the service: [`with_provider`](crate::vault::CredentialVault::with_provider) sets
    /// it.
    NoProvider,
    /// The runtime dropped the task, as it does when it shuts down.
    Stopped,
}

impl VaultError {
    pub(crate) fn new(kind: VaultErrorKind) -> Self {
        Self { kind, about: None, source: None }
    }

    fn caused(kind: VaultErrorKind, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { source: Some(source.into()), ..Self::new(kind) }
    }

    /// Adds what the fault is about to the text.
    pub(crate) fn about(self, what: impl Into<String>) -> Self {
        Self { about: Some(what.into()), ..self }
    }

    /// Creates [`TooLarge`](VaultErrorKind::TooLarge): `what` has `got` bytes and may have `most`.
    pub(crate) fn too_large(what: &str, got: usize, most: usize) -> Self {
        Self::new(VaultErrorKind::TooLarge).about(format!("{what} must be at most {most} bytes, got {got}"))
    }

    /// Returns the kind of fault.
    pub fn kind(&self) -> VaultErrorKind {
        self.kind
    }

    /// Whether the fault concerns one record, so that work on other records can continue.
    pub(crate) fn is_about_one_record(&self) -> bool {
        use VaultErrorKind::{CorruptRecord, TooLarge, UnknownKey};
        matches!(self.kind, CorruptRecord | UnknownKey | TooLarge)
    }
}

pub(crate) fn corrupt() -> VaultError {
    VaultError::new(VaultErrorKind::CorruptRecord)
}

impl fmt::Display for VaultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            VaultErrorKind::StoreUnavailable => "the store is unavailable",
            VaultErrorKind::StoreUncertain => "the store did not confirm a write",
            VaultErrorKind::KeyUnavailable => "the key service is unavailable",
            VaultErrorKind::UnknownKey => "the key that wrapped a data key no longer exists",
            VaultErrorKind::CorruptRecord => "a record of the vault cannot be opened",
            VaultErrorKind::Entropy => "the random source failed",
            VaultErrorKind::Contention => "other processes wrote the credential in each attempt",
            VaultErrorKind::TooLarge => "the record is too large",
            VaultErrorKind::NoProvider => "the vault has no provider for the service",
            VaultErrorKind::Stopped => "the runtime dropped the task",
        })?;
        self.about.as_ref().map_or(Ok(()), |about| write!(f, ": {about}"))
    }
}

impl StdError for VaultError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|source| &**source as &(dyn StdError + 'static))
    }
}

impl From<StoreError> for VaultError {
    fn from(error: StoreError) -> Self {
        let (kind, source) = match error {
            StoreError::Unavailable(source) => (VaultErrorKind::StoreUnavailable, source),
            StoreError::Uncertain(source) => (VaultErrorKind::StoreUncertain, source),
        };
        Self::caused(kind, source)
    }
}

impl From<WrapError> for VaultError {
    fn from(error: WrapError) -> Self {
        match error {
            WrapError::Unavailable(source) => Self::caused(VaultErrorKind::KeyUnavailable, source),
            WrapError::UnknownKey => Self::new(VaultErrorKind::UnknownKey),
            WrapError::Corrupt => corrupt(),
            WrapError::TooLong { got } => {
                Self::too_large("a wrapped data key and its key id", got, WrappedKey::MAX_LEN)
            }
        }
    }
}

impl From<EntropyError> for VaultError {
    fn from(error: EntropyError) -> Self {
        Self::caused(VaultErrorKind::Entropy, error)
    }
}

/// Maps the errors of the shared record code.
impl From<Error> for VaultError {
    fn from(error: Error) -> Self {
        let kind = match error.kind() {
            ErrorKind::StoreUnavailable | ErrorKind::GrantCheck | ErrorKind::Grant | ErrorKind::ClockSkew => {
                VaultErrorKind::StoreUnavailable
            }
            ErrorKind::StoreUncertain => VaultErrorKind::StoreUncertain,
            ErrorKind::Entropy => VaultErrorKind::Entropy,
            ErrorKind::CorruptRecord => VaultErrorKind::CorruptRecord,
            ErrorKind::UnknownKey(_) => VaultErrorKind::UnknownKey,
            ErrorKind::Contention => VaultErrorKind::Contention,
        };
        Self::caused(kind, error)
    }
}
