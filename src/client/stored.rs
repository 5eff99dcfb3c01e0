//! The stored form of a login: one byte for the version, then the state in postcard.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::error::StorageError;
use crate::record::sealed::encode;
use crate::time::Timestamp;
use crate::vault::TokenSet;
use crate::vault::stored_tokens::StoredTokens;

/// The version of this format. Raise it with each change of [`State`].
const VERSION: u8 = 2;

/// The state of a login.
#[derive(Debug)]
pub(super) enum Stored {
    /// The login is good, as far as is known.
    Held(Held),
    /// The authorization server has ended the login.
    Ended { answer_lost: bool },
}

/// Tokens, and the refreshes since they were obtained.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) tokens: TokenSet,
    pub(super) obtained_at: Timestamp,
    /// The number of failed refreshes since then.
    pub(super) failures: u32,
    /// When the last refresh failed.
    pub(super) failed_at: Timestamp,
    /// When the next refresh may begin.
    pub(super) retry_at: Timestamp,
    /// Since when the server has refused with a code that is not known.
    pub(super) refused_since: Option<Timestamp>,
    /// Whether the answer to a refresh was lost, so that the server may have issued tokens that are not known here.
    pub(super) answer_lost: bool,
}

impl Held {
    /// Copies the state. The type is not `Clone`, so that each copy is visible in the code.
    pub(super) fn copy(&self) -> Self {
        Self { tokens: self.tokens.copy(), ..*self }
    }

    /// The state that is stored before a refresh: if the process ends, the answer is lost.
    pub(super) fn asked(&self) -> Self {
        Self { answer_lost: true, ..self.copy() }
    }
}

/// The serialized form of [`Stored`].
#[derive(Serialize, Deserialize)]
enum State<'a> {
    Held {
        #[serde(borrow)]
        tokens: StoredTokens<'a>,
        obtained_at: Timestamp,
        failures: u32,
        failed_at: Timestamp,
        retry_at: Timestamp,
        refused_since: Option<Timestamp>,
        answer_lost: bool,
    },
    Ended {
        answer_lost: bool,
    },
}

impl Stored {
    /// Encodes the state.
    pub(super) fn encode(&self) -> Result<Zeroizing<Vec<u8>>, StorageError> {
        let state = match self {
            Self::Held(held) => {
                let Held { tokens, obtained_at, failures, failed_at, retry_at, refused_since, answer_lost } = held;
                State::Held {
                    tokens: StoredTokens::of(tokens),
                    obtained_at: *obtained_at,
                    failures: *failures,
                    failed_at: *failed_at,
                    retry_at: *retry_at,
                    refused_since: *refused_since,
                    answer_lost: *answer_lost,
                }
            }
            Self::Ended { answer_lost } => State::Ended { answer_lost: *answer_lost },
        };
        Ok(encode(&(VERSION, state))?)
    }

    /// Decodes what [`encode`](Self::encode) made.
    pub(super) fn decode(content: &[u8]) -> Result<Self, StorageError> {
        match postcard::from_bytes(content) {
            Ok((
                VERSION,
                State::Held { tokens, obtained_at, failures, failed_at, retry_at, refused_since, answer_lost },
            )) => {
                let tokens = tokens.into_tokens();
                let held = Held { tokens, obtained_at, failures, failed_at, retry_at, refused_since, answer_lost };
                Ok(Self::Held(held))
            }
            Ok((VERSION, State::Ended { answer_lost })) => Ok(Self::Ended { answer_lost }),
            _ => Err(StorageError::malformed()),
        }
    }
}
