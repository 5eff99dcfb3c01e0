//! The subkeys that derive from one master key.

use super::access::AccessRoot;
use super::id::KeyId;
use super::master::MasterKey;
use crate::crypto::{Aead, Mac, subkey, truncated};
use crate::id::IndexKey;

/// All subkeys of one master key. Each has one purpose and reveals nothing about the others.
pub(crate) struct KeySet {
    pub(crate) id: KeyId,
    /// The MAC of refresh tokens and authorization codes.
    pub(crate) refresh: Mac,
    /// The short MAC that refuses malformed tokens before the store is asked.
    pub(crate) guard: Mac,
    /// The subkey that the keys of access tokens derive from, one for each audience.
    pub(super) access: AccessRoot,
    /// Seals records.
    pub(crate) record: Aead,
    /// Computes blind index keys.
    index: Mac,
}

impl KeySet {
    pub(super) fn derive(id: KeyId, master: &MasterKey) -> Box<Self> {
        let subkey = |label| subkey(master.as_bytes(), label);
        Box::new(Self {
            id,
            refresh: Mac::new(&subkey("refresh")),
            guard: Mac::new(&subkey("guard")),
            access: AccessRoot::new(id, subkey("access")),
            record: Aead::new(&subkey("record")),
            index: Mac::new(&subkey("index")),
        })
    }

    /// Computes the blind index key of `value` in the index `name`: 128 bits of a keyed hash.
    pub(crate) fn index(&self, name: &str, value: &str) -> IndexKey {
        IndexKey::from_bytes(truncated(self.index.tag([name.as_bytes(), &[0], value.as_bytes()])))
    }
}
