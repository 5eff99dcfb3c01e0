//! The subkeys that a resource server needs, and no more.

use std::fmt;

use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

use crate::crypto::{Aead, equal};
use crate::keyring::KeyId;
use crate::master_key::{KeyringError, entries};

/// The key that access tokens are sealed with: enough to verify them, and of no use for anything else.
///
/// Made by [`Keyring::access_keys`](crate::Keyring::access_keys). A resource server that holds it can open and mint access tokens, because the cipher is
/// symmetric; it can mint no refresh token, open no record and compute no index key.
pub struct AccessKeys(Vec<AccessKey>);

pub(crate) struct AccessKey {
    pub(crate) id: KeyId,
    bytes: Zeroizing<[u8; 32]>,
    pub(crate) aead: Aead,
}

impl AccessKey {
    pub(crate) fn new(id: KeyId, bytes: Zeroizing<[u8; 32]>) -> Self {
        let aead = Aead::new(&bytes);
        Self { id, bytes, aead }
    }

    pub(crate) fn copy(&self) -> Self {
        Self::new(self.id, self.bytes.clone())
    }
}

impl AccessKeys {
    pub(crate) fn new(keys: Vec<AccessKey>) -> Self {
        Self(keys)
    }

    /// The access key that goes by `id`.
    pub(crate) fn get(&self, id: KeyId) -> Option<&AccessKey> {
        self.0.iter().find(|key| key.id == id)
    }

    /// As text, for the resource server: the format of [`Keyring::parse`](crate::Keyring::parse).
    pub fn export(&self) -> Zeroizing<String> {
        // Ten digits, 44 characters of Base64, and two: it never grows, since that would leave copies of the keys behind.
        let mut text = Zeroizing::new(String::with_capacity(self.0.len() * 56));
        for key in &self.0 {
            let bytes = Zeroizing::new(Base64::encode_string(key.bytes.as_ref()));
            [&key.id.to_string(), ":", &bytes, "\n"].into_iter().for_each(|part| text.push_str(part));
        }
        text
    }

    /// What [`AccessKeys::export`] wrote.
    ///
    /// # Errors
    ///
    /// As [`Keyring::parse`](crate::Keyring::parse).
    pub fn parse(text: &str) -> Result<Self, KeyringError> {
        // It never grows either.
        let mut keys = Vec::<AccessKey>::with_capacity(text.len() / 44);
        for entry in entries(text) {
            let (id, key) = entry?;
            let key = AccessKey::new(id, Zeroizing::new(*key.as_bytes()));
            distinct(keys.iter(), &key)?;
            keys.push(key);
        }
        if keys.is_empty() { Err(KeyringError::NoKey) } else { Ok(Self(keys)) }
    }
}

impl fmt::Debug for AccessKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|key| key.id)).finish()
    }
}

/// Check that `new` brings in neither an id nor a key that is there already.
pub(crate) fn distinct<'a>(keys: impl Iterator<Item = &'a AccessKey>, new: &AccessKey) -> Result<(), KeyringError> {
    for key in keys {
        if key.id == new.id {
            return Err(KeyringError::DuplicateId(new.id));
        }
        if equal(key.bytes.as_ref(), new.bytes.as_ref()) {
            return Err(KeyringError::DuplicateKey(key.id, new.id));
        }
    }
    Ok(())
}
