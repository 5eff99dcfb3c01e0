//! A family as a sealed record: how it is sealed for the store and opened again.

mod compare_and_swap;
pub(crate) mod sealed;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub(crate) use self::compare_and_swap::{MAX_ATTEMPTS, compare_and_swap};
use self::sealed::{Kind, Opened, corrupt};
use crate::crypto;
use crate::error::Error;
use crate::family::{CodeCheck, FamilySecret, Issued, Status, TokenFamily};
use crate::grant::{Audience, Binding, Grant, Scope};
use crate::id::{FamilyId, IndexKey, IssuerId};
use crate::keys::{KeyId, KeySet, Keyring};
use crate::store::Record;
use crate::time::Timestamp;

/// The name of the blind index by subject.
pub(crate) const SUBJECT_INDEX: &str = "subject";
/// The name of the blind index by client.
pub(crate) const CLIENT_INDEX: &str = "client";

/// When a generation was issued, in a fixed width, so that a record does not grow with its rotations.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct StoredIssued {
    #[serde(with = "postcard::fixint::le")]
    at: u64,
    #[serde(with = "postcard::fixint::le")]
    by: u32,
}

/// The encoding of a family. The generation has a fixed width, so that a record does not grow with its rotations.
#[derive(Serialize, Deserialize)]
struct StoredFamily<'a> {
    #[serde(with = "postcard::fixint::le")]
    generation: u64,
    created_at: Timestamp,
    issued: [StoredIssued; 3],
    used_at: Timestamp,
    absolute_expires_at: Timestamp,
    status: Status,
    secret: FamilySecret,
    code: Option<CodeCheck>,
    binding: Option<Binding>,
    retries: u32,
    confirmed: bool,
    key_id: u32,
    subject: &'a str,
    client_id: &'a str,
    scope: &'a str,
    #[serde(borrow)]
    resources: Cow<'a, str>,
    claims: Cow<'a, BTreeMap<String, String>>,
}

impl<'a> StoredFamily<'a> {
    fn of(family: &'a TokenFamily) -> Self {
        let grant = &*family.grant;
        Self {
            generation: family.generation,
            created_at: family.created_at,
            issued: family.issued.map(|issued| StoredIssued { at: issued.at.as_unix(), by: issued.by.0 }),
            used_at: family.used_at,
            absolute_expires_at: family.absolute_expires_at,
            status: family.status,
            secret: (*family.secret).clone(),
            code: family.code.as_deref().copied(),
            binding: family.binding().copied(),
            retries: family.retries,
            confirmed: family.confirmed,
            key_id: family.key_id.get(),
            subject: grant.subject(),
            client_id: grant.client_id(),
            scope: grant.scope().as_str(),
            resources: grant.resources.join(),
            claims: Cow::Borrowed(grant.claims()),
        }
    }

    fn into_family(self, id: FamilyId) -> TokenFamily {
        let grant = Grant {
            subject: self.subject.into(),
            client_id: self.client_id.into(),
            scope: Scope::from_canonical(self.scope),
            resources: Audience::split(&self.resources),
            claims: self.claims.into_owned(),
        };
        TokenFamily {
            id,
            grant: Arc::new(grant),
            generation: self.generation,
            created_at: self.created_at,
            issued: self.issued.map(|stored| Issued { at: Timestamp::from_unix(stored.at), by: IssuerId(stored.by) }),
            used_at: self.used_at,
            absolute_expires_at: self.absolute_expires_at,
            status: self.status,
            secret: self.secret.into(),
            code: self.code.map(Arc::new),
            binding: self.binding.map(Arc::new),
            retries: self.retries,
            confirmed: self.confirmed,
            key_id: KeyId::new(self.key_id),
        }
    }
}

/// A family that was found in the store.
pub(crate) struct Found {
    pub(crate) family: TokenFamily,
    /// The version that a write must replace.
    pub(crate) version: u64,
    /// The key that the record is sealed with.
    pub(crate) sealed_with: KeyId,
    /// The index keys of the record, computed with that key.
    pub(crate) indexes: Vec<IndexKey>,
}

/// Computes the index keys of `family`.
pub(crate) fn indexes(family: &TokenFamily, keys: &KeySet) -> Vec<IndexKey> {
    vec![keys.index(SUBJECT_INDEX, family.grant.subject()), keys.index(CLIENT_INDEX, family.grant.client_id())]
}

/// Seals `family` as the given version of its record.
pub(crate) fn seal(
    family: &TokenFamily,
    version: u64,
    expires_at: Timestamp,
    indexes: Vec<IndexKey>,
    keys: &KeySet,
    nonce: &[u8; crypto::NONCE],
) -> Result<Record, Error> {
    let record = Record::new(family.id.record_key(), version, expires_at, indexes, Vec::new());
    sealed::seal(Kind::FAMILY, record, &sealed::encode(&StoredFamily::of(family))?, keys, nonce)
}

/// Opens `record`.
///
/// # Errors
///
/// As [`sealed::open`]; also [`ErrorKind::CorruptRecord`](crate::ErrorKind::CorruptRecord) if the record does not
/// contain a family.
pub(crate) fn open(mut record: Record, keyring: &Keyring) -> Result<Found, Error> {
    let opened = sealed::open(&mut record, keyring)?;
    let family = read(&record, &opened)?;
    Ok(Found { family, version: record.version, sealed_with: opened.sealed_with, indexes: record.indexes })
}

/// Decodes the family in a record that was opened.
pub(crate) fn read(record: &Record, opened: &Opened) -> Result<TokenFamily, Error> {
    if opened.kind != Kind::FAMILY {
        return Err(corrupt());
    }
    let (stored, rest) = postcard::take_from_bytes::<StoredFamily<'_>>(opened.content()).map_err(|_| corrupt())?;
    let id = FamilyId::from_bytes(*record.key.as_bytes());
    if rest.is_empty() { Ok(stored.into_family(id)) } else { Err(corrupt()) }
}
