//! Master keys, their identifiers, and the subkeys derived from them.

use std::fmt;

use crate::access_keys::{AccessKeys, AccessRoot, distinct};
use crate::crypto::{Aead, Mac, subkey};
use crate::master_key::{KeyringError, MasterKey};
use crate::store::IndexKey;

/// The number that a key goes by in tokens and records. It is public.
///
/// Ids rise: each new key has a higher id than all before it. Records move from a lower id to a higher one and never back, so a
/// revocation that lists them from the lowest to the highest misses none, with any primary keys of the servers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct KeyId(u32);

impl KeyId {
    /// The key id `id`. A date such as `20261121` rises by itself.
    pub const fn new(id: u32) -> Self {
        Self(id)
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0
    }

    pub(crate) const fn to_bytes(self) -> [u8; 4] {
        self.0.to_be_bytes()
    }

    pub(crate) const fn from_bytes(bytes: [u8; 4]) -> Self {
        Self(u32::from_be_bytes(bytes))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Everything that is derived from one master key. Each subkey has one purpose and reveals nothing about the others.
pub(crate) struct KeySet {
    pub(crate) id: KeyId,
    /// MAC of refresh tokens and authorization codes.
    pub(crate) refresh: Mac,
    /// The short MAC that turns garbage away before the store is asked.
    pub(crate) guard: Mac,
    /// What the keys of access tokens derive from, one for each audience.
    access: AccessRoot,
    /// Sealing of records.
    pub(crate) record: Aead,
    /// Blind index keys.
    index: Mac,
}

impl KeySet {
    fn derive(id: KeyId, master: &MasterKey) -> Box<Self> {
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

    /// The blind index key of `value` in the index `name`: 128 bits of a keyed hash.
    pub(crate) fn index(&self, name: &str, value: &str) -> IndexKey {
        let tag = self.index.tag([name.as_bytes(), &[0], value.as_bytes()]);
        let mut key = [0; 16];
        key.copy_from_slice(&tag[..16]);
        IndexKey::from_bytes(key)
    }
}

/// The keys of one deployment: a primary, with which everything new is made, and retired ones that still open what is old.
///
/// To rotate: add the new key, with a higher [`KeyId`] than any before it, as retired on every server, so that all can read it;
/// then, on every server, make it the primary and the old one retired; then let
/// [`TokenIssuer::rekey`](crate::TokenIssuer::rekey) move the idle records over. Tokens move over as they are used. Drop the old
/// key once no client can hold a token made with it, which is an idle lifetime later. From that moment every sealed byte left
/// over from it, in free pages or in backups, is unreadable for good.
///
/// A server whose primary key is not the newest leaves a record that is sealed with a newer key under that key. To go back on a
/// rotation, add one more key with a higher id.
///
/// ```
/// use mcp_token_lifecycle::{KeyId, Keyring, MasterKey};
///
/// let old = MasterKey::generate()?;
/// let new = MasterKey::generate()?;
/// let keyring = Keyring::new(KeyId::new(2), new).with_retired(KeyId::new(1), old)?;
/// assert_eq!(keyring.primary_id(), KeyId::new(2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
// In boxes: a keyring that is moved, or grows, leaves no copies of the keys behind.
pub struct Keyring {
    primary: Box<KeySet>,
    #[allow(clippy::vec_box, reason = "see above")]
    retired: Vec<Box<KeySet>>,
}

impl Keyring {
    /// A keyring of one key.
    pub fn new(id: KeyId, key: MasterKey) -> Self {
        Self { primary: KeySet::derive(id, &key), retired: Vec::new() }
    }

    /// Add a retired key.
    ///
    /// # Errors
    ///
    /// [`KeyringError::DuplicateId`], [`KeyringError::DuplicateKey`].
    pub fn with_retired(mut self, id: KeyId, key: MasterKey) -> Result<Self, KeyringError> {
        let keys = KeySet::derive(id, &key);
        distinct(self.iter().map(|keys| keys.access.named()), keys.access.named())?;
        self.retired.push(keys);
        Ok(self)
    }

    /// The id of the primary key.
    pub fn primary_id(&self) -> KeyId {
        self.primary.id
    }

    /// The part of the keyring that verifies access tokens, for every resource. Give a resource server those of its own resource
    /// alone: [`AccessKeys::for_resource`].
    pub fn access_keys(&self) -> AccessKeys {
        AccessKeys::new(self.iter().map(|keys| keys.access.copy()).collect())
    }

    pub(crate) fn primary(&self) -> &KeySet {
        &self.primary
    }

    pub(crate) fn get(&self, id: KeyId) -> Option<&KeySet> {
        self.iter().find(|keys| keys.id == id)
    }

    /// The key for the next version of a record that is sealed with `current`: the primary, or `current` where that is newer.
    /// No record moves to a lower id.
    pub(crate) fn for_next_version(&self, current: KeyId) -> &KeySet {
        self.get(current).filter(|keys| keys.id > self.primary.id).unwrap_or(&self.primary)
    }

    /// The keys by rising id: the order for a listing that must not miss a record that moves meanwhile.
    pub(crate) fn oldest_first(&self) -> Vec<&KeySet> {
        let mut keys: Vec<_> = self.iter().collect();
        keys.sort_unstable_by_key(|keys| keys.id);
        keys
    }

    /// The primary first, then the retired.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &KeySet> {
        std::iter::once(&self.primary).chain(&self.retired).map(|keys| &**keys)
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { primary, retired } = self;
        f.debug_struct("Keyring")
            .field("primary", &primary.id)
            .field("retired", &retired.iter().map(|keys| keys.id).collect::<Vec<_>>())
            .finish()
    }
}
