//! Faults of the server. A refused request is not an error but an answer: see [`Answer`](crate::Answer).

use std::error::Error as StdError;

use crate::crypto::random::EntropyError;
use crate::keys::KeyId;
use crate::store::StoreError;
use crate::time::CLOCK_TOLERANCE;

/// Why the server could not carry out a request.
///
/// Answer the client with 503 and [`ErrorResponse::unavailable`]. The request was not refused: the client may try again
/// with the same token.
///
/// [`ErrorResponse::unavailable`]: crate::ErrorResponse::unavailable
#[derive(Debug, thiserror::Error)]
#[error("{kind}")]
pub struct Error {
    kind: ErrorKind,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The kinds of server fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The store did not answer, and nothing was written.
    #[error("the token store is unavailable")]
    StoreUnavailable,
    /// The store did not confirm a write, which may have happened. A retry with the same token finds out.
    #[error("the token store did not confirm a write")]
    StoreUncertain,
    /// The random source failed.
    #[error("the random source failed")]
    Entropy,
    /// A record did not authenticate or could not be decoded: it was altered, or exchanged with another record.
    #[error("a token record is corrupt")]
    CorruptRecord,
    /// A key is missing from the keyring: a record is sealed with it, the current token of a family is made with it, or
    /// another server seals records with it.
    #[error("key {0} is not in the keyring")]
    UnknownKey(KeyId),
    /// A record was written by a clock that is ahead of this server's clock by more than
    /// [`CLOCK_TOLERANCE`](crate::CLOCK_TOLERANCE). No decision was made.
    #[error(
        "the clock of this server is more than {} s behind the clock that wrote a token record",
        CLOCK_TOLERANCE.as_secs()
    )]
    ClockSkew,
    /// A write met too many conflicts with concurrent writes to the same record.
    #[error("too many concurrent writes to one record")]
    Contention,
    /// The application's [`GrantCheck`](crate::GrantCheck) returned an error.
    #[error("the grant check failed")]
    GrantCheck,
    /// The grant that the user consented to is not valid, for instance because it is too large for a token.
    #[error("the grant that the user consented to is not valid")]
    Grant,
}

impl ErrorKind {
    /// Returns a stable name for logs and metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::StoreUnavailable => "store_unavailable",
            Self::StoreUncertain => "store_uncertain",
            Self::Entropy => "entropy",
            Self::CorruptRecord => "corrupt_record",
            Self::UnknownKey(_) => "unknown_key",
            Self::ClockSkew => "clock_skew",
            Self::Contention => "contention",
            Self::GrantCheck => "grant_check",
            Self::Grant => "grant",
        }
    }
}

impl Error {
    pub(crate) fn new(kind: ErrorKind) -> Self {
        Self { kind, source: None }
    }

    pub(crate) fn grant_check(source: Box<dyn StdError + Send + Sync>) -> Self {
        Self { kind: ErrorKind::GrantCheck, source: Some(source) }
    }

    #[cfg(feature = "http")]
    pub(crate) fn grant(source: crate::grant::GrantError) -> Self {
        Self { kind: ErrorKind::Grant, source: Some(Box::new(source)) }
    }

    /// Returns the kind of fault.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether the fault concerns one record, so that other records may still be usable.
    pub(crate) fn is_about_one_record(&self) -> bool {
        matches!(self.kind, ErrorKind::CorruptRecord | ErrorKind::UnknownKey(_))
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        let (kind, source) = match error {
            StoreError::Unavailable(source) => (ErrorKind::StoreUnavailable, source),
            StoreError::Uncertain(source) => (ErrorKind::StoreUncertain, source),
        };
        Self { kind, source: Some(source) }
    }
}

impl From<EntropyError> for Error {
    fn from(error: EntropyError) -> Self {
        Self { kind: ErrorKind::Entropy, source: Some(Box::new(error)) }
    }
}
