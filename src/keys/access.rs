//! The keys of access tokens: one for each audience, derived from one subkey of each master key.

use std::fmt;
use std::sync::OnceLock;

use zeroize::Zeroizing;

use super::entry::distinct;
use super::error::KeyringError;
use super::id::KeyId;
use crate::crypto::{Aead, Mac, sha256, truncated};
use crate::grant::Resource;

/// The number of derived keys that are kept. A server protects one resource, or a few.
const KEPT: usize = 16;

/// The keys that access tokens are sealed with, either for each resource or for certain resources.
///
/// [`Keyring::access_keys`](crate::Keyring::access_keys) returns the keys for each resource. Give a resource server
/// only the keys of [its own resource](Self::for_resource).
///
/// # Security
///
/// With the keys of one resource, a server verifies the tokens for that resource offline. The cipher is symmetric, so
/// the server can also mint such tokens. They pass only where verification is offline:
/// [`TokenIssuer::verify_live`](crate::TokenIssuer::verify_live) compares a token with the record of its family. The
/// keys of one resource open and mint no token for another resource. They mint no refresh token, open no record and
/// compute no index key.
///
/// A token for several resources is sealed with a key that belongs to the set and to none of its resources: a server
/// that could verify it for one resource could mint it for the others. Only the keys for each resource open it, so a
/// server of one resource refuses it. A client that uses several such servers requests one token for each with
/// [`RefreshRequest::resource`](crate::RefreshRequest::resource) (RFC 8707 §2.2).
///
/// # Example
///
/// ```
/// use mcp_token_lifecycle::{AccessKeys, AccessVerifier, KeyId, Keyring, MasterKey, Resource};
///
/// let keyring = Keyring::new(KeyId::new(1), MasterKey::generate()?);
/// let here = Resource::parse("https://mcp.example.com/mcp")?;
/// let exported = keyring.access_keys().for_resource(&here).export();
/// // At the resource server:
/// let verifier = AccessVerifier::new(AccessKeys::parse(&exported)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Default)]
// The keys are boxed, so that a list that grows leaves no copies of them behind.
#[allow(clippy::vec_box, reason = "see above")]
pub struct AccessKeys {
    /// The subkeys that the key of every audience derives from, one for each master key. Empty if these are the keys of
    /// certain resources.
    roots: Vec<Box<AccessRoot>>,
    /// The keys of certain resources.
    exported: Vec<Box<AccessKey>>,
    /// The keys of single resources, derived from the roots when they were first needed.
    kept: [OnceLock<Box<AccessKey>>; KEPT],
}

/// The subkey that the keys of all audiences derive from.
pub(crate) struct AccessRoot {
    id: KeyId,
    bytes: Zeroizing<[u8; 32]>,
    mac: Mac,
}

/// A key of one audience.
pub(crate) struct AccessKey {
    id: KeyId,
    tag: AudienceTag,
    /// The audience, if it is known: its tag does not reveal it.
    pub(crate) audience: Option<Box<str>>,
    bytes: Zeroizing<[u8; 32]>,
    pub(crate) aead: Aead,
}

/// A hash of the audience of a token. The token contains it in the clear, so that its key can be derived.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct AudienceTag(pub(crate) [u8; Self::LEN]);

impl AudienceTag {
    pub(crate) const LEN: usize = 16;

    /// Computes the tag of an audience: resources separated by spaces.
    pub(crate) fn of(audience: &str) -> Self {
        Self(truncated(sha256(audience.as_bytes())))
    }
}

impl AccessRoot {
    pub(crate) fn new(id: KeyId, bytes: Zeroizing<[u8; 32]>) -> Self {
        let mac = Mac::new(&bytes);
        Self { id, bytes, mac }
    }

    pub(crate) fn copy(&self) -> Self {
        Self::new(self.id, self.bytes.clone())
    }

    /// Returns the id and bytes that [`distinct`] compares.
    pub(crate) fn named(&self) -> (KeyId, &Zeroizing<[u8; 32]>) {
        (self.id, &self.bytes)
    }

    /// Computes the one block of HKDF-Expand (RFC 5869 §2.3). The extract step is not needed, because the subkey is a
    /// pseudorandom key already.
    fn derive(&self, tag: AudienceTag, audience: Option<&str>) -> AccessKey {
        let bytes = Zeroizing::new(self.mac.tag([&b"audience"[..], &tag.0, &[1]]));
        AccessKey::new(self.id, tag, audience, bytes)
    }
}

impl AccessKey {
    fn new(id: KeyId, tag: AudienceTag, audience: Option<&str>, bytes: Zeroizing<[u8; 32]>) -> Self {
        Self { id, tag, audience: audience.map(Box::from), aead: Aead::new(&bytes), bytes }
    }

    fn is(&self, id: KeyId, tag: AudienceTag) -> bool {
        self.id == id && self.tag == tag
    }
}

impl AccessKeys {
    pub(crate) fn new(roots: impl Iterator<Item = AccessRoot>) -> Self {
        Self { roots: roots.map(Box::new).collect(), ..Self::default() }
    }

    /// Returns the keys of `resource` alone.
    ///
    /// If these are keys of other resources only, the result has no key and verifies no token.
    pub fn for_resource(&self, resource: &Resource) -> Self {
        let (audience, tag) = (Some(resource.as_str()), AudienceTag::of(resource.as_str()));
        let derived = self.roots.iter().map(|root| root.derive(tag, audience));
        let exported = self.exported.iter().filter(|key| key.tag == tag);
        let exported = exported.map(|key| AccessKey::new(key.id, tag, audience, key.bytes.clone()));
        Self { exported: derived.chain(exported).map(Box::new).collect(), ..Self::default() }
    }

    /// Adds a key: the subkey that serves each audience, or a key of `resource`.
    ///
    /// # Errors
    ///
    /// [`KeyringError::DuplicateId`] or [`KeyringError::DuplicateKey`] if there is such a key.
    pub(crate) fn add(
        &mut self,
        id: KeyId,
        bytes: Zeroizing<[u8; 32]>,
        resource: Option<&Resource>,
    ) -> Result<(), KeyringError> {
        let audience = resource.map(Resource::as_str);
        let known = self.all().filter(|(.., other)| *other == audience).map(|(id, bytes, _)| (id, bytes));
        distinct(known, (id, &bytes))?;
        match audience {
            None => self.roots.push(Box::new(AccessRoot::new(id, bytes))),
            Some(uri) => self.exported.push(Box::new(AccessKey::new(id, AudienceTag::of(uri), audience, bytes))),
        }
        Ok(())
    }

    /// Returns each key with the resource that it belongs to; `None` for the subkeys of every audience.
    pub(crate) fn all(&self) -> impl Iterator<Item = (KeyId, &Zeroizing<[u8; 32]>, Option<&str>)> {
        let roots = self.roots.iter().map(|root| (root.id, &root.bytes, None));
        roots.chain(self.exported.iter().map(|key| (key.id, &key.bytes, key.audience.as_deref())))
    }

    /// Calls `with` with the key of `tag` and id `id`. Returns `None` if there is no such key.
    pub(crate) fn find<T>(&self, id: KeyId, tag: AudienceTag, with: impl FnOnce(&AccessKey) -> Option<T>) -> Option<T> {
        match self.known().find(|key| key.is(id, tag)) {
            Some(key) => with(key),
            None => with(&self.root(id)?.derive(tag, None)),
        }
    }

    /// Keeps the key of `audience` if there is room and it is a single resource. There are many sets of resources, and a
    /// client chooses among them, so keys of sets are not kept.
    pub(crate) fn keep(&self, id: KeyId, tag: AudienceTag, audience: &str) {
        let Some(root) = self.root(id).filter(|_| !audience.contains(' ')) else { return };
        let derived = || Box::new(root.derive(tag, Some(audience)));
        // Another thread may take a slot meanwhile, perhaps for the same audience. Then nothing is kept, and the next
        // token tries again.
        let _ = self.kept.iter().map(|slot| slot.get_or_init(derived)).find(|kept| kept.is(id, tag));
    }

    /// Returns the tag of `audience`, which is computed only if no key of that audience is known.
    pub(crate) fn tag(&self, audience: &str) -> AudienceTag {
        let known = self.known().find(|key| key.audience.as_deref() == Some(audience));
        known.map_or_else(|| AudienceTag::of(audience), |key| key.tag)
    }

    /// Returns the keys of single audiences that need not be derived.
    fn known(&self) -> impl Iterator<Item = &AccessKey> {
        self.exported.iter().chain(self.kept.iter().map_while(OnceLock::get)).map(|key| &**key)
    }

    fn root(&self, id: KeyId) -> Option<&AccessRoot> {
        self.roots.iter().find(|root| root.id == id).map(|root| &**root)
    }
}

impl fmt::Debug for AccessKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.all().map(|(id, _, audience)| (audience.unwrap_or("every resource"), id));
        f.debug_map().entries(entries).finish()
    }
}
