//! Server-side faults, and nothing else: what a client did wrong is an answer, not an error.

use std::error::Error as StdError;
use std::fmt;

use crate::crypto::random::EntropyError;
use crate::keys::KeyId;
use crate::store::StoreError;

/// Why the server could not carry out a request. Answer 503 with [`ErrorResponse::unavailable`]: the request has not been
/// refused, and the client loses nothing by trying again with the same token.
///
/// [`ErrorResponse::unavailable`]: crate::ErrorResponse::unavailable
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// What kind of fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The store did not answer; nothing was written.
    StoreUnavailable,
    /// The store did not confirm a write, which may have happened. A retry finds out.
    StoreUncertain,
    /// There is no randomness.
    Entropy,
    /// A record does not open: it was altered, or swapped with another.
    CorruptRecord,
    /// A record or the token to derive was made with a key that is not in the keyring, or another server seals records with such a
    /// key.
    UnknownKey(KeyId),
    /// The clock of this server is further behind the one that a record was written by than
    /// [`CLOCK_TOLERANCE`](crate::CLOCK_TOLERANCE). Nothing was decided.
    ClockSkew,
    /// Too many others wrote the same record at the same time.
    Contention,
    /// The application's [`GrantCheck`](crate::GrantCheck) failed.
    GrantCheck,
    /// What the user agreed to makes no grant, such as one that is too long for a token.
    Grant,
}

impl ErrorKind {
    /// A stable name for logs and metrics.
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

    /// What kind of fault it is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether other records may well be fine.
    pub(crate) fn is_about_one_record(&self) -> bool {
        matches!(self.kind, ErrorKind::CorruptRecord | ErrorKind::UnknownKey(_))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            ErrorKind::StoreUnavailable => f.write_str("the token store is unavailable"),
            ErrorKind::StoreUncertain => f.write_str("the token store did not confirm a write"),
            ErrorKind::Entropy => f.write_str("the random source failed"),
            ErrorKind::CorruptRecord => f.write_str("a token record does not open"),
            ErrorKind::UnknownKey(id) => write!(f, "key {id} is not in the keyring"),
            ErrorKind::ClockSkew => f.write_str("the clock is behind the one that a token record was written by"),
            ErrorKind::Contention => f.write_str("too many concurrent writes of one token family"),
            ErrorKind::GrantCheck => f.write_str("the grant could not be checked"),
            ErrorKind::Grant => f.write_str("what the user agreed to makes no grant"),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|source| &**source as &(dyn StdError + 'static))
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
