//! Access keys as text.

use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

use crate::grant::Resource;
use crate::keys::entry::{parse_entry, raw_entries};
use crate::keys::{AccessKeys, KeyringError};

impl AccessKeys {
    /// Writes the keys as text for a resource server: entries `id:base64@resource`, one a line, without `@resource` for
    /// the keys of every resource.
    ///
    /// The text is secret. It is zeroized on drop.
    pub fn export(&self) -> Zeroizing<String> {
        // An entry has up to ten digits, 44 characters of Base64 and three separators. The text must not grow, because
        // growing leaves copies of keys behind.
        let capacity = self.all().map(|(.., audience)| 57 + audience.map_or(0, str::len)).sum();
        let mut text = Zeroizing::new(String::with_capacity(capacity));
        for (id, bytes, audience) in self.all() {
            let bytes = Zeroizing::new(Base64::encode_string(bytes.as_ref()));
            let at = if audience.is_some() { "@" } else { "" };
            let parts = [&id.to_string(), ":", &bytes, at, audience.unwrap_or_default(), "\n"];
            parts.into_iter().for_each(|part| text.push_str(part));
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
        let mut keys = Self::default();
        for (at, entry) in raw_entries(text).enumerate() {
            let (key, uri) = entry.split_once('@').map_or((entry, None), |(key, uri)| (key, Some(uri)));
            let (id, key) = parse_entry(key, at + 1)?;
            let resource = uri.map(Resource::parse).transpose();
            let resource = resource.map_err(|_| KeyringError::Malformed { entry: at + 1 })?;
            keys.add(id, Zeroizing::new(*key.as_bytes()), resource.as_ref())?;
        }
        let with_resource = keys.all().filter(|(.., audience)| audience.is_some()).count();
        match (keys.all().count(), with_resource) {
            (0, _) => Err(KeyringError::NoKey),
            (all, with_resource) if with_resource > 0 && with_resource < all => {
                Err(KeyringError::Malformed { entry: 1 })
            }
            _ => Ok(keys),
        }
    }
}
