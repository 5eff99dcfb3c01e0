//! The stored form of tokens. The vault seals it; a client stores it in its credential storage.

use serde::{Deserialize, Serialize};

use super::credential::{SecretText, TokenSet};
use crate::grant::Scope;
use crate::time::Timestamp;

// A new field changes the format: raise the version of each record that contains it.
/// The tokens of a [`TokenSet`], as they are serialized.
#[derive(Serialize, Deserialize)]
pub(crate) struct StoredTokens<'a> {
    access_token: &'a str,
    refresh_token: Option<&'a str>,
    expires_at: Option<Timestamp>,
    refresh_expires_at: Option<Timestamp>,
    scope: &'a str,
}

impl<'a> StoredTokens<'a> {
    pub(crate) fn of(tokens: &'a TokenSet) -> Self {
        let TokenSet { access_token, refresh_token, expires_at, refresh_expires_at, scope } = tokens;
        Self {
            access_token: access_token.expose(),
            refresh_token: refresh_token.as_ref().map(SecretText::expose),
            expires_at: *expires_at,
            refresh_expires_at: *refresh_expires_at,
            scope: scope.as_str(),
        }
    }

    pub(crate) fn into_tokens(self) -> TokenSet {
        TokenSet {
            access_token: SecretText::new(self.access_token),
            refresh_token: self.refresh_token.map(SecretText::new),
            expires_at: self.expires_at,
            refresh_expires_at: self.refresh_expires_at,
            scope: Scope::from_canonical(self.scope),
        }
    }
}
