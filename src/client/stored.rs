//! What is stored: one byte for the version, then the state in postcard.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::error::StorageError;
use crate::record::sealed::encode;
use crate::time::Timestamp;
use crate::vault::TokenSet;
use crate::vault::stored_tokens::StoredTokens;

const VERSION: u8 = 2;

/// The state of a login.
#[derive(Debug)]
pub(super) enum Stored {
    /// It works, as far as is known.
    Held(Held),
    /// The authorization server has ended it.
    Ended { answer_lost: bool },
}

/// Tokens, and how refreshing them went.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) tokens: TokenSet,
    pub(super) obtained_at: Timestamp,
    /// How often a refresh has failed since then.
    pub(super) failures: u32,
    /// When the last one has failed.
    pub(super) failed_at: Timestamp,
    /// Before this instant it is not tried again.
    pub(super) retry_at: Timestamp,
    /// Since when the server has refused for a reason that is not known.
    pub(super) refused_since: Option<Timestamp>,
    /// The answer to a refresh was lost, so the server may have given tokens of which nobody knows.
    pub(super) answer_lost: bool,
}

impl Held {
    /// A second copy, made where it is seen.
    pub(super) fn copy(&self) -> Self {
        Self { tokens: self.tokens.copy(), ..*self }
    }

    /// As it is noted down before a refresh: should the process end, its answer is lost.
    pub(super) fn asked(&self) -> Self {
        Self { answer_lost: true, ..self.copy() }
    }
}

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
