//! Master keys, their identifiers, and the subkeys derived from them.

use std::fmt;

use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

use crate::crypto::{Aead, Mac, equal, subkey};
use crate::entropy::{EntropyError, OsEntropy, random};
use crate::store::IndexKey;

/// The number that a key goes by in tokens and records. It is public.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct KeyId(u32);

impl KeyId {
    /// The key id `id`. A date such as `20261121` tells when the key came in.
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

/// 32 random bytes from which every key in use is derived. Zeroized on drop.
pub struct MasterKey(Zeroizing<[u8; 32]>);

impl MasterKey {
    /// The key with these bytes, which must be uniformly random: not a password.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The key with these bytes.
    ///
    /// # Errors
    ///
    /// [`KeyringError::Length`] unless there are 32.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, KeyringError> {
        let bytes = bytes.try_into().map_err(|_| KeyringError::Length { found: bytes.len() })?;
        Ok(Self(Zeroizing::new(bytes)))
    }

    /// A new key from the operating system's random source.
    ///
    /// # Errors
    ///
    /// When the random source fails.
    pub fn generate() -> Result<Self, EntropyError> {
        random(&OsEntropy).map(Self::from_bytes)
    }

    /// The key in Base64, as [`Keyring::parse`] reads it: for whoever has to store it, and for nobody else.
    pub fn to_base64(&self) -> Zeroizing<String> {
        Zeroizing::new(Base64::encode_string(self.0.as_ref()))
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(..)")
    }
}

/// Why a [`Keyring`] could not be made. No variant carries key material.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyringError {
    /// A key that is not 32 bytes long.
    #[error("a key must be 32 bytes long, this one has {found}")]
    Length {
        /// Its length in bytes.
        found: usize,
    },
    /// There is no key.
    #[error("there is no key in the keyring")]
    NoKey,
    /// Two keys go by one id.
    #[error("key id {0} is there twice")]
    DuplicateId(KeyId),
    /// One key goes by two ids: a rotation that did not change anything.
    #[error("keys {0} and {1} are the same key")]
    DuplicateKey(KeyId, KeyId),
    /// An entry that is not `id:base64`.
    #[error("entry {entry} is not of the form id:base64")]
    Malformed {
        /// Which entry, counted from 1.
        entry: usize,
    },
    /// The environment variable is not set, or not Unicode.
    #[error("the environment variable {0} is not set")]
    NoVariable(String),
    /// The key file may be read by others than its owner.
    #[error("the key file is open to others (mode {mode:o}): it must be 600 or 400")]
    Permissions {
        /// The permission bits found.
        mode: u32,
    },
    /// The key file could not be read.
    #[error("the key file could not be read")]
    Io(#[from] std::io::Error),
}

/// The key that access tokens are sealed with: enough to verify them, and of no use for anything else.
///
/// Made by [`Keyring::access_keys`]. A resource server that holds it can open and mint access tokens, because the cipher is
/// symmetric; it can mint no refresh token, open no record and compute no index key.
pub struct AccessKeys(Vec<AccessKey>);

pub(crate) struct AccessKey {
    pub(crate) id: KeyId,
    bytes: Zeroizing<[u8; 32]>,
    pub(crate) aead: Aead,
}

impl AccessKey {
    fn new(id: KeyId, bytes: Zeroizing<[u8; 32]>) -> Self {
        let aead = Aead::new(&bytes);
        Self { id, bytes, aead }
    }
}

impl AccessKeys {
    /// The access key that goes by `id`.
    pub(crate) fn get(&self, id: KeyId) -> Option<&AccessKey> {
        self.0.iter().find(|key| key.id == id)
    }

    /// As text, for the resource server: the format of [`Keyring::parse`].
    pub fn export(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::new());
        for key in &self.0 {
            text.push_str(&format!(
                "{}:{}\n",
                key.id,
                Zeroizing::new(Base64::encode_string(key.bytes.as_ref())).as_str()
            ));
        }
        text
    }

    /// What [`AccessKeys::export`] wrote.
    ///
    /// # Errors
    ///
    /// As [`Keyring::parse`].
    pub fn parse(text: &str) -> Result<Self, KeyringError> {
        let mut keys = Vec::<AccessKey>::new();
        for (id, key) in crate::key_source::entries(text)? {
            distinct(keys.iter(), id, &key.0)?;
            keys.push(AccessKey::new(id, key.0));
        }
        if keys.is_empty() { Err(KeyringError::NoKey) } else { Ok(Self(keys)) }
    }
}

impl fmt::Debug for AccessKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|key| key.id)).finish()
    }
}

fn distinct<'a>(
    keys: impl Iterator<Item = &'a AccessKey>,
    id: KeyId,
    bytes: &Zeroizing<[u8; 32]>,
) -> Result<(), KeyringError> {
    for key in keys {
        if key.id == id {
            return Err(KeyringError::DuplicateId(id));
        }
        if equal(key.bytes.as_ref(), bytes.as_ref()) {
            return Err(KeyringError::DuplicateKey(key.id, id));
        }
    }
    Ok(())
}

/// Everything that is derived from one master key. Each subkey has one purpose and reveals nothing about the others.
pub(crate) struct KeySet {
    pub(crate) id: KeyId,
    /// MAC of refresh tokens and authorization codes.
    pub(crate) refresh: Mac,
    /// The short MAC that turns garbage away before the store is asked.
    pub(crate) guard: Mac,
    /// Sealing of access tokens.
    pub(crate) access: AccessKey,
    /// Sealing of records.
    pub(crate) record: Aead,
    /// Blind index keys.
    index: Mac,
}

impl KeySet {
    fn derive(id: KeyId, master: &MasterKey) -> Self {
        let subkey = |label| subkey(&master.0, label);
        Self {
            id,
            refresh: Mac::new(&subkey("refresh")),
            guard: Mac::new(&subkey("guard")),
            access: AccessKey::new(id, subkey("access")),
            record: Aead::new(&subkey("record")),
            index: Mac::new(&subkey("index")),
        }
    }

    /// The blind index key of `value` in the index `name`: 128 bits of a keyed hash.
    pub(crate) fn index(&self, name: &str, value: &str) -> IndexKey {
        let tag = self.index.tag(&[name.as_bytes(), &[0], value.as_bytes()]);
        let mut key = [0; 16];
        key.copy_from_slice(&tag[..16]);
        IndexKey::from_bytes(key)
    }
}

/// The keys of one deployment: a primary, with which everything new is made, and retired ones that still open what is old.
///
/// To rotate: put a new primary in front and keep the old key as retired, on every server, then let
/// [`TokenIssuer::rekey`](crate::TokenIssuer::rekey) move the idle records over. Tokens move over as they are used. Drop the
/// old key once nobody can hold a token made with it, which is an idle lifetime later. From that moment every sealed byte
/// left over from it, in free pages or in backups, is unreadable for good.
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
pub struct Keyring {
    primary: KeySet,
    retired: Vec<KeySet>,
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
        distinct(self.iter().map(|keys| &keys.access), id, &keys.access.bytes)?;
        self.retired.push(keys);
        Ok(self)
    }

    /// The id of the primary key.
    pub fn primary_id(&self) -> KeyId {
        self.primary.id
    }

    /// The part of the keyring that a resource server needs to verify access tokens by itself.
    pub fn access_keys(&self) -> AccessKeys {
        AccessKeys(self.iter().map(|keys| AccessKey::new(keys.id, keys.access.bytes.clone())).collect())
    }

    pub(crate) fn primary(&self) -> &KeySet {
        &self.primary
    }

    pub(crate) fn get(&self, id: KeyId) -> Option<&KeySet> {
        self.iter().find(|keys| keys.id == id)
    }

    /// The order for a listing that must not miss what moves to the primary key meanwhile.
    pub(crate) fn retired_then_primary(&self) -> impl Iterator<Item = &KeySet> {
        self.retired.iter().chain(std::iter::once(&self.primary))
    }

    /// The primary first, then the retired.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &KeySet> {
        std::iter::once(&self.primary).chain(&self.retired)
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
