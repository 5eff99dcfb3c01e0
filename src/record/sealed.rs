//! Sealed records: the one place where the payload of a record is sealed and opened.
//!
//! `kind ‖ key id ‖ nonce ‖ XChaCha20-Poly1305(content)`. All other parts of the record are associated data. So a store
//! cannot exchange records, or change the kind, version, expiry or indexes of one, without being detected. A whole
//! record that is restored to an earlier state does open.

use postcard::ser_flavors::Size;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::crypto;
use crate::error::{Error, ErrorKind};
use crate::keys::{KeyId, KeySet, Keyring};
use crate::store::Record;

const HEADER: usize = 1 + 4;
const CONTENT: usize = HEADER + crypto::NONCE;

/// The type of a record's content, and the version of its encoding.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind(u8);

impl Kind {
    pub(crate) const FAMILY: Self = Self(1);
    #[cfg(feature = "http")]
    pub(crate) const CLIENT: Self = Self(2);
    /// A credential of the vault. The vault seals it in another way, so no function of this module opens it.
    pub(crate) const UPSTREAM: u8 = 3;
    /// No content: only the key id in the header matters.
    pub(crate) const NEWEST_KEY: Self = Self(5);
    /// Used in the file of a client, and in no store.
    #[cfg(feature = "client")]
    pub(crate) const TOKEN_MANAGER: Self = Self(4);
}

/// A record that has been authenticated and decrypted.
pub(crate) struct Opened {
    pub(crate) kind: Kind,
    pub(crate) sealed_with: KeyId,
    payload: Zeroizing<Vec<u8>>,
}

impl Opened {
    pub(crate) fn content(&self) -> &[u8] {
        self.payload.get(CONTENT..self.payload.len().saturating_sub(crypto::TAG)).unwrap_or_default()
    }
}

/// Encodes `content`. The vector must not grow, because growing leaves copies of secrets behind.
pub(crate) fn encode(content: &impl Serialize) -> Result<Zeroizing<Vec<u8>>, Error> {
    let length = postcard::serialize_with_flavor(content, Size::default()).map_err(|_| corrupt())?;
    postcard::to_extend(content, Vec::with_capacity(length)).map(Zeroizing::new).map_err(|_| corrupt())
}

/// Seals `content` into `record`.
pub(crate) fn seal(
    kind: Kind,
    record: Record,
    content: &[u8],
    keys: &KeySet,
    nonce: &[u8; crypto::NONCE],
) -> Result<Record, Error> {
    let mut header = [kind.0; HEADER];
    header[1..].copy_from_slice(&keys.id.to_bytes());
    // The vector has exactly its final length, because a store in memory keeps it as it is.
    let mut payload = Vec::with_capacity(CONTENT + content.len() + crypto::TAG);
    [&header[..], nonce, content].into_iter().for_each(|part| payload.extend_from_slice(part));
    keys.record.seal(nonce, &associated_data(&record, &header), &mut payload, CONTENT).ok_or_else(corrupt)?;
    Ok(Record { payload, ..record })
}

/// Whether `record` belongs to the vault, which seals and opens its records by itself.
pub(crate) fn is_upstream(record: &Record) -> bool {
    record.payload.first() == Some(&Kind::UPSTREAM)
}

/// Returns the key that `record` claims to be sealed with.
pub(crate) fn key_id(record: &Record) -> Option<KeyId> {
    record.payload.get(1..)?.first_chunk().map(|id| KeyId::from_bytes(*id))
}

/// Opens `record` and takes the payload out of it.
///
/// # Errors
///
/// [`ErrorKind::UnknownKey`] if the key is not in the keyring, [`ErrorKind::CorruptRecord`] if the record was altered.
pub(crate) fn open(record: &mut Record, keyring: &Keyring) -> Result<Opened, Error> {
    let mut payload = Zeroizing::new(std::mem::take(&mut record.payload));
    let (header, rest) = payload.split_first_chunk_mut::<HEADER>().ok_or_else(corrupt)?;
    let (nonce, sealed) = rest.split_first_chunk_mut::<{ crypto::NONCE }>().ok_or_else(corrupt)?;
    let [kind, key_id @ ..] = *header;
    let sealed_with = KeyId::from_bytes(key_id);
    let keys = keyring.get(sealed_with).ok_or_else(|| Error::new(ErrorKind::UnknownKey(sealed_with)))?;
    keys.record.open(nonce, &associated_data(record, header), sealed).ok_or_else(corrupt)?;
    Ok(Opened { kind: Kind(kind), sealed_with, payload })
}

pub(crate) fn corrupt() -> Error {
    Error::new(ErrorKind::CorruptRecord)
}

/// Concatenates every part that the store holds in the clear.
fn associated_data(record: &Record, header: &[u8; HEADER]) -> Vec<u8> {
    let Record { key, version, expires_at, indexes, payload: _ } = record;
    let mut ad = Vec::with_capacity(HEADER + 16 + 8 + 8 + 16 * Record::MAX_INDEXES);
    let head = [&header[..], key.as_bytes(), &version.to_be_bytes(), &expires_at.to_bytes()];
    head.into_iter().for_each(|part| ad.extend_from_slice(part));
    indexes.iter().for_each(|index| ad.extend_from_slice(index.as_bytes()));
    ad
}
