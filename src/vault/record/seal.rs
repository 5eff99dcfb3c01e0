//! The payload of a vault record: this module alone makes and opens it.
//!
//! `kind 3 ‖ key id ‖ wrapped data key ‖ nonce ‖ XChaCha20-Poly1305(content) ‖ tag`, with the lengths of key id and
//! wrapped key in front of each.
//!
//! The content is bound to the kind and to the key of the record. The tag is an HMAC, under another subkey of the data
//! key, over everything that the store sees. So the data key can be wrapped with another key while nonce and ciphertext
//! stay as they are. An older payload under a newer version does not open, nor a payload under the key of another
//! record.

use zeroize::Zeroizing;

use crate::crypto;
use crate::id::RecordKey;
use crate::record::sealed::Kind;
use crate::store::Record;
use crate::vault::WrappedKey;
use crate::vault::keys::Envelope;
use crate::vault::vault_error::{VaultError, corrupt};

const TAG: usize = 32;

/// The associated data for wrapping the data key of the record under `key`.
pub(crate) fn context(key: RecordKey) -> [u8; 45] {
    let mut context = *b"mcp-token-lifecycle upstream 0123456789abcdef";
    context[29..].copy_from_slice(key.as_bytes());
    context
}

/// Seals `content` into `record`.
pub(crate) fn seal(
    record: Record,
    content: &[u8],
    envelope: &Envelope,
    nonce: &[u8; crypto::NONCE],
) -> Result<Record, VaultError> {
    let mut payload = header(&envelope.wrapped, crypto::NONCE + content.len() + crypto::TAG)?;
    payload.extend_from_slice(nonce);
    let from = payload.len();
    payload.extend_from_slice(content);
    let sealed = envelope.content.seal(nonce, &content_data(record.key), &mut payload, from);
    sealed.ok_or_else(|| VaultError::too_large("the content of a record", content.len(), Record::MAX_PAYLOAD))?;
    finish(Record { payload, ..record }, envelope)
}

/// Returns the wrapped data key of `record`: the id of the wrapping key, and the bytes.
pub(crate) fn wrapped(record: &Record) -> Result<(&str, &[u8]), VaultError> {
    let (id, bytes, _) = split(record).ok_or_else(corrupt)?;
    Ok((id, bytes))
}

/// Opens the content of `record`.
pub(crate) fn open(record: &Record, envelope: &Envelope) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let body = authentic(record, envelope)?;
    let (nonce, sealed) = body.split_first_chunk().ok_or_else(corrupt)?;
    let mut content = Zeroizing::new(sealed.to_vec());
    let length = envelope.content.open(nonce, &content_data(record.key), &mut content).ok_or_else(corrupt)?.len();
    content.truncate(length);
    Ok(content)
}

/// Returns the next version of `record`, with its data key wrapped as in `envelope`. The content is not decrypted.
pub(crate) fn rewrap(record: &Record, envelope: &Envelope) -> Result<Record, VaultError> {
    let body = authentic(record, envelope)?;
    let mut payload = header(&envelope.wrapped, body.len())?;
    payload.extend_from_slice(body);
    let version = record.version.saturating_add(1);
    let next = Record::new(record.key, version, record.expires_at, record.indexes.clone(), payload);
    finish(next, envelope)
}

/// The header of a payload, with capacity for the rest.
fn header(wrapped: &WrappedKey, body: usize) -> Result<Vec<u8>, VaultError> {
    let (id, bytes) = (wrapped.key_id().as_bytes(), wrapped.as_bytes());
    let length = |part: &[u8]| match u16::try_from(part.len()) {
        Ok(length) if part.len() <= WrappedKey::MAX_LEN => Ok(length.to_be_bytes()),
        _ => Err(VaultError::too_large("a wrapped data key and its key id", part.len(), WrappedKey::MAX_LEN)),
    };
    let mut payload = Vec::with_capacity(1 + 2 + id.len() + 2 + bytes.len() + body + TAG);
    payload.push(Kind::UPSTREAM);
    [&length(id)?, id, &length(bytes)?, bytes].into_iter().for_each(|part| payload.extend_from_slice(part));
    Ok(payload)
}

/// Appends the tag, and checks the length.
fn finish(mut record: Record, envelope: &Envelope) -> Result<Record, VaultError> {
    let tag = tag(&record, &record.payload, envelope);
    record.payload.extend_from_slice(&tag);
    let length = record.payload.len();
    match length > Record::MAX_PAYLOAD {
        true => Err(VaultError::too_large("the payload of a record", length, Record::MAX_PAYLOAD)),
        false => Ok(record),
    }
}

/// Checks the tag, and returns nonce and ciphertext.
fn authentic<'a>(record: &'a Record, envelope: &Envelope) -> Result<&'a [u8], VaultError> {
    let (tagged, found) = record.payload.split_last_chunk::<TAG>().ok_or_else(corrupt)?;
    if !crypto::equal(&tag(record, tagged, envelope), found) {
        return Err(corrupt());
    }
    Ok(split(record).ok_or_else(corrupt)?.2)
}

/// Splits a payload into key id, wrapped key, and the rest up to the tag.
fn split(record: &Record) -> Option<(&str, &[u8], &[u8])> {
    fn counted(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
        let (length, rest) = bytes.split_first_chunk()?;
        rest.split_at_checked(u16::from_be_bytes(*length).into())
    }
    let (tagged, _) = record.payload.split_last_chunk::<TAG>()?;
    let (kind, rest) = tagged.split_first()?;
    let (id, rest) = counted(rest)?;
    let (bytes, body) = counted(rest)?;
    let id = std::str::from_utf8(id).ok()?;
    (*kind == Kind::UPSTREAM).then_some((id, bytes, body))
}

/// The HMAC over everything that the store sees in plaintext, and `tagged`, the payload up to the tag.
fn tag(record: &Record, tagged: &[u8], envelope: &Envelope) -> [u8; TAG] {
    let Record { key: place, version, expires_at, indexes, payload: _ } = record;
    let count = indexes.len() as u64;
    let head = [&place.as_bytes()[..], &version.to_be_bytes(), &expires_at.to_bytes(), &count.to_be_bytes()];
    let indexes = indexes.iter().map(|index| &index.as_bytes()[..]);
    envelope.tag.tag(head.into_iter().chain(indexes).chain([tagged]))
}

/// The associated data of the content: the kind and the key of the record.
fn content_data(key: RecordKey) -> [u8; 17] {
    let mut data = [Kind::UPSTREAM; 17];
    data[1..].copy_from_slice(key.as_bytes());
    data
}
