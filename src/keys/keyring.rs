//! Master keys, their identifiers, and the subkeys derived from them.

use std::fmt;

use super::access::AccessKeys;
use super::entry::distinct;
use super::error::KeyringError;
use super::id::KeyId;
use super::master::MasterKey;
use super::subkeys::KeySet;

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
