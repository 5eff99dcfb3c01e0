//! Faults of the vault's own side: store, keys, randomness, configuration.

use std::error::Error as StdError;
use std::fmt;

use crate::crypto::random::EntropyError;
use crate::error::{Error, ErrorKind};
use crate::store::StoreError;
use crate::vault::{WrapError, WrappedKey};

/// Why the vault could not do what it was asked, through no fault of the user's or of the service's. Answer 503: the
/// credential is as it was. It carries no secret.
#[derive(Debug)]
pub struct VaultError {
    kind: VaultErrorKind,
    /// Of what, or the bound and the value.
    about: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// What kind of fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum VaultErrorKind {
    /// The store did not answer; nothing was written.
    StoreUnavailable,
    /// The store did not confirm a write, which may have happened. A retry finds out.
    StoreUncertain,
    /// The key service did not answer.
    KeyUnavailable,
    /// The key that a data key was wrapped with is not there any more.
    UnknownKey,
    /// A record does not open: it was altered, or swapped with another.
    CorruptRecord,
    /// There is no randomness.
    Entropy,
    /// Too many others wrote the same record at the same time.
    Contention,
    /// The credential is longer than 60 KiB with all that is kept with it, or its wrapped data key is longer than
    /// [`WrappedKey::MAX_LEN`](crate::vault::WrappedKey::MAX_LEN).
    TooLarge,
    /// No provider was given for the service.
    NoProvider,
    /// The runtime has dropped the task, as it does when it shuts down.
    Stopped,
}

impl VaultError {
    pub(crate) fn new(kind: VaultErrorKind) -> Self {
        Self { kind, about: None, source: None }
    }

    fn caused(kind: VaultErrorKind, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { source: Some(source.into()), ..Self::new(kind) }
    }

    /// The same, naming what it is about.
    pub(crate) fn about(self, what: impl Into<String>) -> Self {
        Self { about: Some(what.into()), ..self }
    }

    /// `what` is `got` bytes long and may have `most`.
    pub(crate) fn too_large(what: &str, got: usize, most: usize) -> Self {
        Self::new(VaultErrorKind::TooLarge).about(format!("{what} must be at most {most} bytes, got {got}"))
    }

    /// What kind of fault it is.
    pub fn kind(&self) -> VaultErrorKind {
        self.kind
    }

    /// Whether other records may well be fine.
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
            VaultErrorKind::UnknownKey => "a wrapping key is not there any more",
            VaultErrorKind::CorruptRecord => "a record of the vault does not open",
            VaultErrorKind::Entropy => "the random source failed",
            VaultErrorKind::Contention => "too many concurrent writes of one credential",
            VaultErrorKind::TooLarge => "the credential is too long",
            VaultErrorKind::NoProvider => "there is no provider for the service",
            VaultErrorKind::Stopped => "the runtime has dropped the task",
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
                Self::too_large("the wrapped data key, or its key id,", got, WrappedKey::MAX_LEN)
            }
        }
    }
}

impl From<EntropyError> for VaultError {
    fn from(error: EntropyError) -> Self {
        Self::caused(VaultErrorKind::Entropy, error)
    }
}

/// What the core says of its own records.
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
