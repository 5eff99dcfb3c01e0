//! The keys of access tokens: one for each audience, derived from one subkey of each master key.

use std::fmt;
use std::sync::OnceLock;

use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

use super::entry::{distinct, parse_entry, raw_entries};
use super::error::KeyringError;
use super::id::KeyId;
use crate::crypto::{Aead, Mac, sha256};
use crate::grant::Resource;

/// The number of resources whose derived keys are kept. A server protects one resource, or a few.
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
pub struct AccessKeys {
    /// The subkeys that the key of every audience derives from, one for each master key. Empty if these are the keys of
    /// certain resources.
    roots: Vec<AccessRoot>,
    /// The keys of certain resources.
    exported: Vec<AudienceKeys>,
    /// The keys of single resources, derived from the roots when they were first needed.
    kept: [OnceLock<Box<AudienceKeys>>; KEPT],
}

/// The subkey that the keys of all audiences derive from.
pub(crate) struct AccessRoot {
    id: KeyId,
    bytes: Zeroizing<[u8; 32]>,
    mac: Mac,
}

/// The keys of one audience.
struct AudienceKeys {
    audience: Box<str>,
    tag: AudienceTag,
    keys: Vec<AccessKey>,
}

/// A key of one audience.
pub(crate) struct AccessKey {
    id: KeyId,
    bytes: Zeroizing<[u8; 32]>,
    pub(crate) aead: Aead,
}

/// A hash of the audience of a token. The token contains it in the clear, so that its key can be derived.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct AudienceTag([u8; Self::LEN]);

impl AudienceTag {
    pub(crate) const LEN: usize = 16;

    /// Computes the tag of an audience: resources separated by spaces.
    pub(crate) fn of(audience: &str) -> Self {
        let mut tag = [0; Self::LEN];
        tag.copy_from_slice(&sha256(audience.as_bytes())[..Self::LEN]);
        Self(tag)
    }

    pub(crate) const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    pub(crate) const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
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
    fn derive(&self, tag: AudienceTag) -> AccessKey {
        AccessKey::new(self.id, Zeroizing::new(self.mac.tag([&b"audience"[..], tag.as_bytes(), &[1]])))
    }
}

impl AccessKey {
    fn new(id: KeyId, bytes: Zeroizing<[u8; 32]>) -> Self {
        let aead = Aead::new(&bytes);
        Self { id, bytes, aead }
    }
}

impl AudienceKeys {
    fn get(&self, id: KeyId) -> Option<&AccessKey> {
        self.keys.iter().find(|key| key.id == id)
    }
}

impl AccessKeys {
    pub(crate) fn new(roots: Vec<AccessRoot>) -> Self {
        Self::of(roots, Vec::new())
    }

    fn of(roots: Vec<AccessRoot>, exported: Vec<AudienceKeys>) -> Self {
        Self { roots, exported, kept: std::array::from_fn(|_| OnceLock::new()) }
    }

    /// Returns the keys of `resource` alone.
    ///
    /// If these are keys of other resources only, the result has no key and verifies no token.
    pub fn for_resource(&self, resource: &Resource) -> Self {
        let (audience, tag) = (resource.as_str(), AudienceTag::of(resource.as_str()));
        let exported = self.exported.iter().filter(|keys| keys.tag == tag).flat_map(|keys| &keys.keys);
        let exported = exported.map(|key| AccessKey::new(key.id, key.bytes.clone()));
        // The vector must not grow, because growing leaves copies of keys behind; an iterator of unknown length would
        // make it grow.
        let mut keys =
            Vec::with_capacity(self.roots.len() + self.exported.iter().map(|keys| keys.keys.len()).sum::<usize>());
        keys.extend(self.roots.iter().map(|root| root.derive(tag)).chain(exported));
        Self::of(Vec::new(), vec![AudienceKeys { audience: audience.into(), tag, keys }])
    }

    /// Calls `with` with the key of `tag` and id `id`, and with the audience if that is known. Returns `None` if there
    /// is no such key.
    pub(crate) fn find<T>(
        &self,
        id: KeyId,
        tag: AudienceTag,
        with: impl FnOnce(&AccessKey, Option<&str>) -> Option<T>,
    ) -> Option<T> {
        match self.known().find(|known| known.tag == tag) {
            Some(known) => with(known.get(id)?, Some(&known.audience)),
            None => with(&self.root(id)?.derive(tag), None),
        }
    }

    /// Calls `with` with the key of `audience` and id `id`, and with the tag of `audience`. Returns `None` if there is
    /// no such key.
    pub(crate) fn find_for<T>(
        &self,
        id: KeyId,
        audience: &str,
        with: impl FnOnce(&AccessKey, AudienceTag) -> Option<T>,
    ) -> Option<T> {
        if let Some(known) = self.known().find(|known| *known.audience == *audience) {
            return with(known.get(id)?, known.tag);
        }
        let tag = AudienceTag::of(audience);
        self.keep(audience, tag);
        with(&self.root(id)?.derive(tag), tag)
    }

    /// Keeps the keys of `audience` if there is room and it is a single resource. There are many sets of resources, and
    /// a client chooses among them, so keys of sets are not kept.
    pub(crate) fn keep(&self, audience: &str, tag: AudienceTag) {
        if self.roots.is_empty() || audience.contains(' ') {
            return;
        }
        let derived = || {
            let keys = self.roots.iter().map(|root| root.derive(tag)).collect();
            Box::new(AudienceKeys { audience: audience.into(), tag, keys })
        };
        // Another thread may take a slot meanwhile, perhaps for the same audience. Then nothing is kept, and the next
        // token tries again.
        let _ = self.kept.iter().map(|slot| slot.get_or_init(derived)).find(|kept| kept.tag == tag);
    }

    fn known(&self) -> impl Iterator<Item = &AudienceKeys> {
        self.exported.iter().chain(self.kept.iter().map_while(|slot| slot.get().map(|kept| &**kept)))
    }

    fn root(&self, id: KeyId) -> Option<&AccessRoot> {
        self.roots.iter().find(|root| root.id == id)
    }

    /// Writes the keys as text for a resource server: entries `id:base64@resource`, one a line, without `@resource` for
    /// the keys of every resource.
    ///
    /// The text is secret. It is zeroized on drop.
    pub fn export(&self) -> Zeroizing<String> {
        let roots = self.roots.iter().map(|root| (root.id, &root.bytes, ""));
        let of_audience = |known: &'_ AudienceKeys| known.audience.len() * known.keys.len();
        let exported =
            self.exported.iter().flat_map(|of| of.keys.iter().map(|key| (key.id, &key.bytes, &*of.audience)));
        // An entry has up to ten digits, 44 characters of Base64 and three separators. The text must not grow, because
        // growing leaves copies of keys behind.
        let keys = self.roots.len() + self.exported.iter().map(|known| known.keys.len()).sum::<usize>();
        let capacity = keys * 57 + self.exported.iter().map(of_audience).sum::<usize>();
        let mut text = Zeroizing::new(String::with_capacity(capacity));
        for (id, bytes, audience) in roots.chain(exported) {
            let bytes = Zeroizing::new(Base64::encode_string(bytes.as_ref()));
            let at = if audience.is_empty() { "" } else { "@" };
            [&id.to_string(), ":", &bytes, at, audience, "\n"].into_iter().for_each(|part| text.push_str(part));
        }
        text
    }

    /// Parses what [`AccessKeys::export`] wrote. Exports for several resources may be concatenated; the result has the
    /// keys of all of them.
    ///
    /// # Errors
    ///
    /// As [`Keyring::parse`](crate::Keyring::parse). Also [`KeyringError::Malformed`] if a resource is malformed, or if
    /// entries with and without a resource are mixed.
    pub fn parse(text: &str) -> Result<Self, KeyringError> {
        // These vectors must not grow either.
        let most = text.len() / 44;
        let (mut roots, mut exported) = (Vec::<AccessRoot>::with_capacity(most), Vec::<AudienceKeys>::new());
        for (at, entry) in raw_entries(text).enumerate() {
            let malformed = || KeyringError::Malformed { entry: at + 1 };
            let (key, resource) = entry.split_once('@').map_or((entry, None), |(key, uri)| (key, Some(uri)));
            let (id, key) = parse_entry(key, at + 1)?;
            let bytes = Zeroizing::new(*key.as_bytes());
            let Some(uri) = resource else {
                distinct(roots.iter().map(AccessRoot::named), (id, &bytes))?;
                roots.push(AccessRoot::new(id, bytes));
                continue;
            };
            let resource = Resource::parse(uri).map_err(|_| malformed())?;
            let of_resource = exported.iter_mut().position(|known| *known.audience == *resource.as_str());
            let place = of_resource.unwrap_or_else(|| {
                let (audience, tag) = (resource.as_str().into(), AudienceTag::of(resource.as_str()));
                exported.push(AudienceKeys { audience, tag, keys: Vec::with_capacity(most) });
                exported.len() - 1
            });
            if let Some(known) = exported.get_mut(place) {
                distinct(known.keys.iter().map(|key| (key.id, &key.bytes)), (id, &bytes))?;
                known.keys.push(AccessKey::new(id, bytes));
            }
        }
        match (roots.is_empty(), exported.is_empty()) {
            (true, true) => Err(KeyringError::NoKey),
            (false, false) => Err(KeyringError::Malformed { entry: 1 }),
            _ => Ok(Self::of(roots, exported)),
        }
    }
}

impl fmt::Debug for AccessKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { roots, exported, kept: _ } = self;
        let ids = |keys: &AudienceKeys| keys.keys.iter().map(|key| key.id).collect::<Vec<_>>();
        f.debug_map()
            .entries(roots.iter().map(|root| ("every resource", root.id)))
            .entries(exported.iter().map(|keys| (&keys.audience, ids(keys))))
            .finish()
    }
}
