//! The keys of access tokens: one for each audience, and what they derive from.

use std::fmt;
use std::sync::OnceLock;

use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

use super::entry::{distinct, parse_entry, raw_entries};
use super::error::KeyringError;
use super::id::KeyId;
use crate::crypto::{Aead, Mac, sha256};
use crate::grant::Resource;

/// For so many resources the keys are kept once they have been derived. A server protects one, or a few.
const KEPT: usize = 16;

/// The keys that access tokens are sealed with, of every resource or of certain ones.
///
/// [`Keyring::access_keys`](crate::Keyring::access_keys) has those of every resource. Give a resource server those of
/// [its own resource](Self::for_resource) alone: it can then verify the tokens for that resource offline. It can also mint such
/// tokens, because the cipher is symmetric, and they pass only where verification is offline
/// ([`TokenIssuer::verify_live`](crate::TokenIssuer::verify_live) compares a token with the record). It can open and mint no token
/// for another resource, mint no refresh token, open no record and compute no index key.
///
/// A token for several resources at once is sealed with a key that belongs to none of them: a server that could verify it for one of the
/// resources could mint it for the others. Only the keys of every resource open it, and so a server of one resource refuses it.
/// A client that uses several such servers asks for one token for each, with
/// [`RefreshRequest::resource`](crate::RefreshRequest::resource) (RFC 8707 §2.2).
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
    /// What the key of every audience derives from; of each master key one. Empty if only certain resources are here.
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

/// Which audience a token is for: a hash of it, which the token shows so that its key can be derived.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct AudienceTag([u8; Self::LEN]);

impl AudienceTag {
    pub(crate) const LEN: usize = 16;

    /// The tag of an audience of these resources, separated by spaces.
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

    /// What [`distinct`] compares.
    pub(crate) fn named(&self) -> (KeyId, &Zeroizing<[u8; 32]>) {
        (self.id, &self.bytes)
    }

    /// The one block of HKDF-Expand (RFC 5869 §2.3); the subkey is a pseudorandom key already.
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

    /// The keys of `resource` alone. If these are the keys of other resources alone, there are none, and they verify nothing.
    pub fn for_resource(&self, resource: &Resource) -> Self {
        let (audience, tag) = (resource.as_str(), AudienceTag::of(resource.as_str()));
        let exported = self.exported.iter().filter(|keys| keys.tag == tag).flat_map(|keys| &keys.keys);
        let exported = exported.map(|key| AccessKey::new(key.id, key.bytes.clone()));
        // From an iterator of unknown length it would grow, which leaves copies of keys behind.
        let mut keys =
            Vec::with_capacity(self.roots.len() + self.exported.iter().map(|keys| keys.keys.len()).sum::<usize>());
        keys.extend(self.roots.iter().map(|root| root.derive(tag)).chain(exported));
        Self::of(Vec::new(), vec![AudienceKeys { audience: audience.into(), tag, keys }])
    }

    /// Hand `with` the key of `tag` that goes by `id`, and its audience if that is known. `None` if there is no such key.
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

    /// Hand `with` the tag of `audience` and its key that goes by `id`. `None` if there is no such key.
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

    /// Keep the keys of `audience`, if there is room, and it is one resource: of sets there are many, and a client chooses them.
    pub(crate) fn keep(&self, audience: &str, tag: AudienceTag) {
        if self.roots.is_empty() || audience.contains(' ') {
            return;
        }
        let derived = || {
            let keys = self.roots.iter().map(|root| root.derive(tag)).collect();
            Box::new(AudienceKeys { audience: audience.into(), tag, keys })
        };
        // One that is taken meanwhile, perhaps by the same audience, is good enough: the next token tries again.
        let _ = self.kept.iter().map(|slot| slot.get_or_init(derived)).find(|kept| kept.tag == tag);
    }

    fn known(&self) -> impl Iterator<Item = &AudienceKeys> {
        self.exported.iter().chain(self.kept.iter().map_while(|slot| slot.get().map(|kept| &**kept)))
    }

    fn root(&self, id: KeyId) -> Option<&AccessRoot> {
        self.roots.iter().find(|root| root.id == id)
    }

    /// As text, for a resource server: entries `id:base64@resource`, one a line; the keys of every resource without `@resource`.
    pub fn export(&self) -> Zeroizing<String> {
        let roots = self.roots.iter().map(|root| (root.id, &root.bytes, ""));
        let of_audience = |known: &'_ AudienceKeys| known.audience.len() * known.keys.len();
        let exported =
            self.exported.iter().flat_map(|of| of.keys.iter().map(|key| (key.id, &key.bytes, &*of.audience)));
        // Ten digits, 44 characters of Base64, and three: it never grows, since that would leave copies of the keys behind.
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

    /// What [`AccessKeys::export`] wrote. The exports for several resources, one after the other, are the keys of all of them.
    ///
    /// # Errors
    ///
    /// As [`Keyring::parse`](crate::Keyring::parse); [`KeyringError::Malformed`] also for a resource that is none, and for an
    /// entry without a resource among others with one.
    pub fn parse(text: &str) -> Result<Self, KeyringError> {
        // They never grow either.
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
