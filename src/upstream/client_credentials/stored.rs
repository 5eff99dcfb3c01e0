//! What is stored: one byte for the version, then the state in postcard.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::error::StorageError;
use crate::sealed::encode;
use crate::time::Timestamp;
use crate::upstream::TokenSet;
use crate::upstream::stored_tokens::StoredTokens;

const VERSION: u8 = 1;

/// The state of a login.
#[derive(Debug)]
pub(super) enum Stored {
    /// It works, as far as is known.
    Held(Held),
    /// The authorization server has ended it.
    Ended,
}

/// Tokens, and how refreshing them went.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) tokens: TokenSet,
    pub(super) obtained_at: Timestamp,
    /// How often a refresh has failed since then.
    pub(super) failures: u32,
    /// Before this instant it is not tried again.
    pub(super) retry_at: Timestamp,
}

impl Held {
    /// A second copy, made where it is seen.
    pub(super) fn copy(&self) -> Self {
        Self { tokens: self.tokens.copy(), ..*self }
    }
}

#[derive(Serialize, Deserialize)]
enum State<'a> {
    Held {
        #[serde(borrow)]
        tokens: StoredTokens<'a>,
        obtained_at: Timestamp,
        failures: u32,
        retry_at: Timestamp,
    },
    Ended,
}

impl Stored {
    pub(super) fn encode(&self) -> Result<Zeroizing<Vec<u8>>, StorageError> {
        let state = match self {
            Self::Held(Held { tokens, obtained_at, failures, retry_at }) => State::Held {
                tokens: StoredTokens::of(tokens),
                obtained_at: *obtained_at,
                failures: *failures,
                retry_at: *retry_at,
            },
            Self::Ended => State::Ended,
        };
        Ok(encode(&(VERSION, state))?)
    }

    pub(super) fn decode(content: &[u8]) -> Result<Self, StorageError> {
        match postcard::from_bytes(content) {
            Ok((VERSION, State::Held { tokens, obtained_at, failures, retry_at })) => {
                Ok(Self::Held(Held { tokens: tokens.into_tokens(), obtained_at, failures, retry_at }))
            }
            Ok((VERSION, State::Ended)) => Ok(Self::Ended),
            _ => Err(StorageError::Malformed),
        }
    }
}
