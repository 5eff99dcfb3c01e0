//! The keyring: the master keys of a deployment, by id.

use std::fmt;

use super::access::AccessKeys;
use super::entry::distinct;
use super::error::KeyringError;
use super::id::KeyId;
use super::master::MasterKey;
use super::subkeys::KeySet;

/// The keys of a deployment: a primary key that makes everything new, and retired keys that still open what is old.
///
/// # Rotating the primary key
///
/// 1. Add the new key as a retired key on every server, so that all servers can open what it seals. Its [`KeyId`] must
///    be higher than that of any key before it.
/// 2. On every server, make the new key the primary and the old one retired.
/// 3. Let [`TokenIssuer::rekey`](crate::TokenIssuer::rekey) move the idle records to the new key. Tokens move as they
///    are used.
/// 4. Drop the old key once no client can hold a token that was made with it, which is an idle lifetime later. From
///    then on, bytes sealed with it, in free pages or in backups, cannot be decrypted.
///
/// A server whose primary key is not the newest leaves a record that is sealed with a newer key under that key. To undo
/// a rotation, add one more key with a higher id.
///
/// # Example
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
// The key sets are boxed, so that a keyring that moves or grows leaves no copies of the keys behind.
pub struct Keyring {
    primary: Box<KeySet>,
    #[allow(clippy::vec_box, reason = "see above")]
    retired: Vec<Box<KeySet>>,
}

impl Keyring {
    /// Creates a keyring with one key, the primary.
    pub fn new(id: KeyId, key: MasterKey) -> Self {
        Self { primary: KeySet::derive(id, &key), retired: Vec::new() }
    }

    /// Adds a retired key.
    ///
    /// # Errors
    ///
    /// * [`KeyringError::DuplicateId`] if the keyring has a key with this id.
    /// * [`KeyringError::DuplicateKey`] if the keyring has this key under another id.
    pub fn with_retired(mut self, id: KeyId, key: MasterKey) -> Result<Self, KeyringError> {
        let keys = KeySet::derive(id, &key);
        distinct(self.iter().map(|keys| keys.access.named()), keys.access.named())?;
        self.retired.push(keys);
        Ok(self)
    }

    /// Returns the id of the primary key.
    pub fn primary_id(&self) -> KeyId {
        self.primary.id
    }

    /// Returns the keys that seal and verify access tokens, for each resource.
    ///
    /// Give a resource server only the keys of its own resource: see [`AccessKeys::for_resource`].
    pub fn access_keys(&self) -> AccessKeys {
        AccessKeys::new(self.iter().map(|keys| keys.access.copy()))
    }

    pub(crate) fn primary(&self) -> &KeySet {
        &self.primary
    }

    pub(crate) fn get(&self, id: KeyId) -> Option<&KeySet> {
        self.iter().find(|keys| keys.id == id)
    }

    /// Returns the key for the next version of a record that is sealed with `current`: the primary, or `current` if
    /// that is newer. So no record moves to a lower id.
    pub(crate) fn for_next_version(&self, current: KeyId) -> &KeySet {
        self.get(current).filter(|keys| keys.id > self.primary.id).unwrap_or(&self.primary)
    }

    /// Returns the keys by rising id: the order for a listing that must not miss a record that moves meanwhile.
    pub(crate) fn oldest_first(&self) -> Vec<&KeySet> {
        let mut keys: Vec<_> = self.iter().collect();
        keys.sort_unstable_by_key(|keys| keys.id);
        keys
    }

    /// Iterates over the primary first, then the retired keys.
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
