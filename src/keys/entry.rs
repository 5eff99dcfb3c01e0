//! Keys as text: entries `id:base64`.

use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

use super::error::KeyringError;
use super::id::KeyId;
use super::master::MasterKey;
use crate::crypto::equal;

/// Parses the entries of a keyring text in order. It yields one at a time, because a list of them would leave copies of
/// the keys behind.
pub(crate) fn entries(text: &str) -> impl Iterator<Item = Result<(KeyId, MasterKey), KeyringError>> {
    raw_entries(text).enumerate().map(|(at, entry)| parse_entry(entry, at + 1))
}

/// Splits the text into entries without parsing them. An entry that names a resource takes a whole line, because a URI
/// may contain commas.
pub(crate) fn raw_entries(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    let entries = lines.flat_map(|line| line.split(if line.contains('@') { '\n' } else { ',' }));
    entries.map(str::trim).filter(|entry| !entry.is_empty())
}

pub(crate) fn parse_entry(entry: &str, number: usize) -> Result<(KeyId, MasterKey), KeyringError> {
    let malformed = || KeyringError::Malformed { entry: number };
    let (id, key) = entry.split_once(':').ok_or_else(malformed)?;
    let id = id.trim().parse().map(KeyId::new).map_err(|_| malformed())?;
    let key = Zeroizing::new(Base64::decode_vec(key.trim()).map_err(|_| malformed())?);
    let too_long_or_short = |_| KeyringError::Length { key: Some(id), found: key.len() };
    MasterKey::from_slice(&key).map(|key| (id, key)).map_err(too_long_or_short)
}

/// Checks that neither the id nor the bytes of `new` are among `keys`.
pub(crate) fn distinct<'a>(
    keys: impl Iterator<Item = (KeyId, &'a Zeroizing<[u8; 32]>)>,
    (new_id, new): (KeyId, &Zeroizing<[u8; 32]>),
) -> Result<(), KeyringError> {
    for (id, key) in keys {
        if id == new_id {
            return Err(KeyringError::DuplicateId(id));
        }
        if equal(key.as_ref(), new.as_ref()) {
            return Err(KeyringError::DuplicateKey(id, new_id));
        }
    }
    Ok(())
}
