//! A family as a sealed record: what the store gets, and how it is opened again.
//!
//! `version ‖ key id ‖ nonce ‖ XChaCha20-Poly1305(family)`. Everything else of the record is associated data, so no record can
//! be swapped with another, with an older version of itself, or be given another expiry or index unnoticed.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use postcard::ser_flavors::Size;
use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

use crate::client::Binding;
use crate::crypto;
use crate::error::{Error, ErrorKind};
use crate::family::{CodeCheck, FamilyId, FamilySecret, Status, TokenFamily};
use crate::grant::{Grant, Resource, Scope};
use crate::keyring::{KeyId, KeySet, Keyring};
use crate::store::{IndexKey, Record};
use crate::time::Timestamp;

const VERSION: u8 = 1;
const HEADER: usize = 1 + 4;

/// The blind index by subject.
pub(crate) const SUBJECT_INDEX: &str = "subject";
/// The blind index by client.
pub(crate) const CLIENT_INDEX: &str = "client";

/// The family as bytes. The generation has a fixed width, so that a record does not grow with its rotations.
#[derive(Serialize, Deserialize)]
struct Stored<'a> {
    #[serde(with = "postcard::fixint::le")]
    generation: u64,
    created_at: Timestamp,
    rotated_at: Timestamp,
    used_at: Timestamp,
    absolute_expires_at: Timestamp,
    status: Status,
    secret: FamilySecret,
    code: Option<CodeCheck>,
    binding: Option<Binding>,
    retries: u32,
    confirmed: bool,
    key_id: u32,
    #[serde(borrow)]
    subject: &'a str,
    client_id: &'a str,
    scope: &'a str,
    resources: Vec<&'a str>,
    claims: Cow<'a, BTreeMap<String, String>>,
}

impl<'a> Stored<'a> {
    fn of(family: &'a TokenFamily) -> Self {
        let grant = &*family.grant;
        Self {
            generation: family.generation,
            created_at: family.created_at,
            rotated_at: family.rotated_at,
            used_at: family.used_at,
            absolute_expires_at: family.absolute_expires_at,
            status: family.status,
            secret: family.secret.clone(),
            code: family.code,
            binding: family.binding,
            retries: family.retries,
            confirmed: family.confirmed,
            key_id: family.key_id.get(),
            subject: grant.subject(),
            client_id: grant.client_id(),
            scope: grant.scope().as_str(),
            resources: grant.resources().iter().map(Resource::as_str).collect(),
            claims: Cow::Borrowed(grant.claims()),
        }
    }

    fn into_family(self, id: FamilyId) -> TokenFamily {
        let grant = Grant {
            subject: self.subject.into(),
            client_id: self.client_id.into(),
            scope: Scope::from_canonical(self.scope),
            resources: self.resources.into_iter().map(Resource::from_canonical).collect(),
            claims: self.claims.into_owned(),
        };
        TokenFamily {
            id,
            grant: Arc::new(grant),
            generation: self.generation,
            created_at: self.created_at,
            rotated_at: self.rotated_at,
            used_at: self.used_at,
            absolute_expires_at: self.absolute_expires_at,
            status: self.status,
            secret: self.secret,
            code: self.code,
            binding: self.binding,
            retries: self.retries,
            confirmed: self.confirmed,
            key_id: KeyId::new(self.key_id),
        }
    }
}

/// A family as it was found in the store.
pub(crate) struct Found {
    pub(crate) family: TokenFamily,
    /// The version that a write has to replace.
    pub(crate) version: u64,
    /// The key its record is sealed with.
    pub(crate) sealed_with: KeyId,
    /// The index keys, made with that key.
    pub(crate) indexes: Vec<IndexKey>,
}

/// The index keys of `family`.
pub(crate) fn indexes(family: &TokenFamily, keys: &KeySet) -> Vec<IndexKey> {
    vec![keys.index(SUBJECT_INDEX, family.grant.subject()), keys.index(CLIENT_INDEX, family.grant.client_id())]
}

/// Seal `family` as the given version of its record.
pub(crate) fn seal(
    family: &TokenFamily,
    version: u64,
    expires_at: Timestamp,
    indexes: Vec<IndexKey>,
    keys: &KeySet,
    nonce: &[u8; crypto::NONCE],
) -> Result<Record, Error> {
    let corrupt = || Error::new(ErrorKind::CorruptRecord);
    let stored = Stored::of(family);
    // Of exactly the length it will have: a vector that grew would leave a copy of the secret behind, and a longer one would
    // be kept by a store in memory.
    let length = postcard::serialize_with_flavor(&stored, Size::default()).map_err(|_| corrupt())?;
    let payload = Vec::with_capacity(HEADER + crypto::NONCE + length + crypto::TAG);
    let mut record = Record::new(family.id.record_key(), version, expires_at, indexes, payload);
    let mut header = [VERSION; HEADER];
    header[1..].copy_from_slice(&keys.id.to_bytes());
    let ad = associated_data(&record, &header);
    record.payload.extend_from_slice(&header);
    record.payload.extend_from_slice(nonce);
    record.payload = postcard::to_extend(&stored, record.payload).map_err(|_| corrupt())?;
    keys.record.seal(nonce, &ad, &mut record.payload, HEADER + crypto::NONCE).ok_or_else(corrupt)?;
    Ok(record)
}

/// The key that `record` says it is sealed with.
pub(crate) fn key_id(record: &Record) -> Option<KeyId> {
    let (_, rest) = record.payload.split_first()?;
    rest.first_chunk().map(|id| KeyId::from_bytes(*id))
}

/// Open `record`.
///
/// # Errors
///
/// [`ErrorKind::UnknownKey`] if its key is not in the keyring, [`ErrorKind::CorruptRecord`] if it was altered.
pub(crate) fn open(mut record: Record, keyring: &Keyring) -> Result<Found, Error> {
    let corrupt = || Error::new(ErrorKind::CorruptRecord);
    let mut payload = std::mem::take(&mut record.payload);
    let (header, rest) = payload.split_first_chunk_mut::<HEADER>().ok_or_else(corrupt)?;
    let (nonce, sealed) = rest.split_first_chunk_mut::<{ crypto::NONCE }>().ok_or_else(corrupt)?;
    let [version, key_id @ ..] = *header;
    if version != VERSION {
        return Err(corrupt());
    }
    let sealed_with = KeyId::from_bytes(key_id);
    let keys = keyring.get(sealed_with).ok_or_else(|| Error::new(ErrorKind::UnknownKey(sealed_with)))?;
    let stored = keys.record.open(nonce, &associated_data(&record, header), sealed).ok_or_else(corrupt)?;
    let family = postcard::take_from_bytes::<Stored<'_>>(stored)
        .ok()
        .filter(|(_, rest)| rest.is_empty())
        .map(|(stored, _)| stored.into_family(FamilyId::from_bytes(*record.key.as_bytes())));
    stored.zeroize();
    let Record { version, indexes, .. } = record;
    Ok(Found { family: family.ok_or_else(corrupt)?, version, sealed_with, indexes })
}

/// Everything that the store holds in the clear.
fn associated_data(record: &Record, header: &[u8; HEADER]) -> Vec<u8> {
    let Record { key, version, expires_at, indexes, payload: _ } = record;
    let mut ad = Vec::with_capacity(HEADER + 16 + 8 + 8 + 16 * Record::MAX_INDEXES);
    ad.extend_from_slice(header);
    ad.extend_from_slice(key.as_bytes());
    ad.extend_from_slice(&version.to_be_bytes());
    ad.extend_from_slice(&expires_at.to_bytes());
    indexes.iter().for_each(|index| ad.extend_from_slice(index.as_bytes()));
    ad
}
