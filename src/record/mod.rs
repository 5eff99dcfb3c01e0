//! A family as a sealed record: how it is sealed for the store and opened again.

mod compare_and_swap;
pub(crate) mod sealed;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

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

/// The part of a family that has a fixed width, so that a record does not grow with its rotations:
/// `generation ‖ secret ‖ three times of issue`. A time of issue is `seconds since the family began, plus one ‖ issuer`,
/// and zero if there was no such generation. Numbers are big-endian.
///
/// It is one piece because serde encodes an array of bytes one by one.
type Fixed = [u8; FIXED];
const FIXED: usize = 8 + 32 + 3 * (4 + 4);

/// The encoding of a family.
#[derive(Serialize, Deserialize)]
struct StoredFamily<'a> {
    #[serde(borrow)]
    fixed: &'a [u8],
    created_at: Timestamp,
    used_at: Timestamp,
    absolute_expires_at: Timestamp,
    status: Status,
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

fn fixed(family: &TokenFamily) -> Zeroizing<Fixed> {
    let mut fixed = Zeroizing::new([0; FIXED]);
    let (generation, rest) = fixed.split_at_mut(8);
    generation.copy_from_slice(&family.generation.to_be_bytes());
    let (secret, issued) = rest.split_at_mut(32);
    secret.copy_from_slice(&family.secret.0);
    for (stored, Issued { at, by }) in issued.chunks_exact_mut(8).zip(family.issued) {
        let since = at.as_unix().checked_sub(family.created_at.as_unix()).map_or(0, |since| since.saturating_add(1));
        stored[..4].copy_from_slice(&u32::try_from(since).unwrap_or(u32::MAX).to_be_bytes());
        stored[4..].copy_from_slice(&by.0.to_be_bytes());
    }
    fixed
}

impl<'a> StoredFamily<'a> {
    fn of(family: &'a TokenFamily, fixed: &'a Fixed) -> Self {
        let grant = &*family.grant;
        Self {
            fixed,
            created_at: family.created_at,
            used_at: family.used_at,
            absolute_expires_at: family.absolute_expires_at,
            status: family.status,
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

    fn into_family(self, id: FamilyId) -> Option<TokenFamily> {
        let (generation, rest) = self.fixed.split_first_chunk()?;
        let (secret, issued) = rest.split_first_chunk()?;
        let (issued, _) = issued.as_chunks::<4>();
        let [at, by, at_before, by_before, at_first, by_first] = issued.first_chunk()?.map(u32::from_be_bytes);
        let issued = [(at, by), (at_before, by_before), (at_first, by_first)].map(|(at, by)| {
            let at =
                u64::from(at).checked_sub(1).map(|since| self.created_at.saturating_add(Duration::from_secs(since)));
            Issued { at: at.unwrap_or_default(), by: IssuerId(by) }
        });
        let grant = Grant {
            subject: self.subject.into(),
            client_id: self.client_id.into(),
            scope: Scope::from_canonical(self.scope),
            resources: Audience::split(&self.resources),
            claims: self.claims.into_owned(),
        };
        Some(TokenFamily {
            id,
            grant: Arc::new(grant),
            generation: u64::from_be_bytes(*generation),
            created_at: self.created_at,
            issued,
            used_at: self.used_at,
            absolute_expires_at: self.absolute_expires_at,
            status: self.status,
            secret: FamilySecret(*secret).into(),
            code: self.code.map(Arc::new),
            binding: self.binding.map(Arc::new),
            retries: self.retries,
            confirmed: self.confirmed,
            key_id: KeyId::new(self.key_id),
        })
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
    sealed::seal(Kind::FAMILY, record, &sealed::encode(&StoredFamily::of(family, &fixed(family)))?, keys, nonce)
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
    stored.into_family(id).filter(|_| rest.is_empty()).ok_or_else(corrupt)
}
