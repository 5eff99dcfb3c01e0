//! What is stored: one byte for the version, then the state in postcard.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::error::StorageError;
use crate::grant::Scope;
use crate::sealed::encode;
use crate::time::Timestamp;
use crate::upstream::{SecretText, TokenSet};

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
        access_token: &'a str,
        refresh_token: Option<&'a str>,
        expires_at: Option<Timestamp>,
        refresh_expires_at: Option<Timestamp>,
        scope: &'a str,
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
                access_token: tokens.access_token.expose(),
                refresh_token: tokens.refresh_token.as_ref().map(SecretText::expose),
                expires_at: tokens.expires_at,
                refresh_expires_at: tokens.refresh_expires_at,
                scope: tokens.scope.as_str(),
                obtained_at: *obtained_at,
                failures: *failures,
                retry_at: *retry_at,
            },
            Self::Ended => State::Ended,
        };
        Ok(encode(&(VERSION, state))?)
    }

    pub(super) fn decode(content: &[u8]) -> Result<Self, StorageError> {
        match content.split_first() {
            Some((&VERSION, state)) => match postcard::from_bytes(state) {
                Ok(state) => Self::from_state(state),
                Err(_) => Err(StorageError::Malformed),
            },
            _ => Err(StorageError::Malformed),
        }
    }

    fn from_state(state: State<'_>) -> Result<Self, StorageError> {
        Ok(match state {
            State::Held {
                access_token,
                refresh_token,
                expires_at,
                refresh_expires_at,
                scope,
                obtained_at,
                failures,
                retry_at,
            } => {
                let tokens = TokenSet {
                    access_token: SecretText::new(access_token),
                    refresh_token: refresh_token.map(SecretText::new),
                    expires_at,
                    refresh_expires_at,
                    scope: Scope::parse(scope).map_err(|_| StorageError::Malformed)?,
                };
                Self::Held(Held { tokens, obtained_at, failures, retry_at })
            }
            State::Ended => Self::Ended,
        })
    }
}
