//! The secrets of one authorization: the state and the code verifier, 256 random bits each.

use zeroize::Zeroizing;

use super::error::ConnectError;
use crate::crypto::{Mac, base64url, sha256, subkey};
use crate::id::RecordKey;
use crate::vault::vault_error::corrupt;
use crate::vault::{SecretText, VaultError};

/// The length of each secret, in bytes.
pub(super) const LEN: usize = 32;

/// The state, which the browser carries and the store does not have. The record key and the hash of the browser session
/// derive from it, so a copy of the store alone tells nothing about either.
pub(super) struct State(Zeroizing<[u8; LEN]>);

impl State {
    pub(super) fn new(random: Zeroizing<[u8; LEN]>) -> Self {
        Self(random)
    }

    /// Parses the `state` of a callback.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut bytes = Zeroizing::new([0; LEN]);
        base64url::decode(text, &mut *bytes)?;
        Some(Self(bytes))
    }

    /// The state as the `state` of a request.
    pub(super) fn text(&self) -> Result<SecretText, VaultError> {
        spelled(&self.0)
    }

    /// Where the authorization is stored.
    pub(super) fn record_key(&self) -> RecordKey {
        let hash = subkey(&self.0, "connect record");
        let mut half = [0; 16];
        half.copy_from_slice(&hash[..16]);
        RecordKey::from_bytes(half)
    }

    /// The keyed hash of a browser session.
    pub(super) fn session_tag(&self, session: &SecretText) -> [u8; 32] {
        Mac::new(&subkey(&self.0, "connect session")).tag([session.expose().as_bytes()])
    }
}

/// The code verifier (RFC 7636 §4.1): 43 characters.
pub(super) fn verifier(random: &Zeroizing<[u8; LEN]>) -> Result<SecretText, VaultError> {
    spelled(random)
}

/// The challenge of a verifier (RFC 7636 §4.2, `S256`).
pub(super) fn challenge(verifier: &SecretText) -> Result<String, ConnectError> {
    let text = base64url::encode("", &sha256(verifier.expose().as_bytes())).ok_or_else(corrupt)?;
    Ok(text.as_str().to_owned())
}

fn spelled(bytes: &[u8; LEN]) -> Result<SecretText, VaultError> {
    let text = base64url::encode("", bytes).ok_or_else(corrupt)?;
    Ok(SecretText::new(text.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7636 §B
    #[test]
    fn challenge_of_the_example_is_that_of_the_rfc() {
        let verifier = SecretText::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        assert_eq!(challenge(&verifier).unwrap(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn state_derives_the_same_key_and_hash_after_its_text() {
        let state = State::new(Zeroizing::new([7; LEN]));
        let again = State::parse(state.text().unwrap().expose()).unwrap();
        let session = SecretText::new("cookie");
        assert_eq!(state.record_key(), again.record_key());
        assert_eq!(state.session_tag(&session), again.session_tag(&session));
        let other = State::new(Zeroizing::new([8; LEN]));
        assert_ne!(state.record_key(), other.record_key());
        assert_ne!(state.session_tag(&session), other.session_tag(&session));
        assert_ne!(state.session_tag(&session), state.session_tag(&SecretText::new("cookie2")));
    }
}
