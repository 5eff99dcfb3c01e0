//! Access tokens: sealed claims that nobody but a holder of the access key can read.
//!
//! `mcpat_ ‖ base64url(version ‖ key id ‖ nonce ‖ XChaCha20-Poly1305(claims))`, prefix and header as associated data.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use super::{ACCESS, VERSION};
use crate::access_keys::{AccessKey, AccessKeys};
use crate::base64url;
use crate::claims::{AccessClaims, Audience, Names};
use crate::client::Binding;
use crate::crypto;
use crate::family::FamilyId;
use crate::grant::{Grant, Resource, Scope};
use crate::keyring::KeyId;
use crate::time::Timestamp;

const HEADER: usize = 1 + 4;
const OVERHEAD: usize = HEADER + crypto::NONCE + crypto::TAG;
/// Claims beyond the strings of the grant: identifiers, numbers, a binding, length prefixes.
const MAX_CLAIMS: usize = Grant::MAX_BYTES + 256;
const MAX_BYTES: usize = OVERHEAD + MAX_CLAIMS;
const MAX_CHARS: usize = (MAX_BYTES * 4).div_ceil(3);
const USUAL_BYTES: usize = 384;
const USUAL_CHARS: usize = USUAL_BYTES / 3 * 4;

/// The claims of an authentic token, still in the buffer that it was opened in, so that reading them allocates nothing.
///
/// `family ‖ generation ‖ issued at ‖ expires at ‖ lengths of the texts ‖ binding ‖ subject ‖ client id ‖ scope ‖ audience ‖
/// application's claims`: read at every request, so of fixed widths, eight bytes a number and two a length. Binding and
/// application's claims are in postcard, the latter empty if there are none.
pub(crate) struct OpenClaims<'a> {
    family: FamilyId,
    generation: u64,
    issued_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    pub(crate) binding: Option<Binding>,
    subject_len: usize,
    names: &'a str,
    pub(crate) scope: &'a str,
    /// Separated by spaces, of which a URI has none.
    pub(crate) audience: &'a str,
    claims: &'a [u8],
}

impl<'a> OpenClaims<'a> {
    fn read(mut bytes: &'a [u8]) -> Option<Self> {
        let family = FamilyId::from_bytes(*take(&mut bytes)?);
        let generation = u64::from_be_bytes(*take(&mut bytes)?);
        let issued_at = Timestamp::from_bytes(*take(&mut bytes)?);
        let expires_at = Timestamp::from_bytes(*take(&mut bytes)?);
        let mut length = || Some(usize::from(u16::from_be_bytes(*take(&mut bytes)?)));
        let [subject_len, client_id_len, scope_len, audience_len] = [length()?, length()?, length()?, length()?];
        let (binding, rest) = postcard::take_from_bytes(bytes).ok()?;
        let (text, claims) = rest.split_at_checked(subject_len + client_id_len + scope_len + audience_len)?;
        // One text is read faster than four.
        let (names, text) = str::from_utf8(text).ok()?.split_at_checked(subject_len + client_id_len)?;
        let (scope, audience) = text.split_at_checked(scope_len)?;
        let names = names.is_char_boundary(subject_len).then_some(names)?;
        Some(Self { family, generation, issued_at, expires_at, binding, subject_len, names, scope, audience, claims })
    }

    pub(crate) fn to_owned(&self) -> Option<AccessClaims> {
        let own = if self.claims.is_empty() { BTreeMap::new() } else { postcard::from_bytes(self.claims).ok()? };
        Some(AccessClaims {
            family: self.family,
            generation: self.generation,
            names: Names { text: self.names.into(), subject_len: self.subject_len },
            scope: Scope::from_canonical(self.scope),
            audience: match self.audience.contains(' ') {
                false => Audience::One(Resource::from_canonical(self.audience)),
                true => Audience::Many(self.audience.split(' ').map(Resource::from_canonical).collect()),
            },
            issued_at: self.issued_at,
            expires_at: self.expires_at,
            binding: self.binding,
            claims: own,
        })
    }
}

fn take<'a, const N: usize>(bytes: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (chunk, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(chunk)
}

fn associated_data(header: &[u8; HEADER]) -> [u8; ACCESS.len() + HEADER] {
    let mut ad = [0; ACCESS.len() + HEADER];
    ad[..ACCESS.len()].copy_from_slice(ACCESS.as_bytes());
    ad[ACCESS.len()..].copy_from_slice(header);
    ad
}

/// The access token for `claims`. `None` if they are larger than any token may be.
pub(crate) fn seal(claims: &AccessClaims, key: &AccessKey, nonce: &[u8; 24]) -> Option<Zeroizing<String>> {
    let AccessClaims { family, generation, names, scope, audience: _, issued_at, expires_at, binding, claims: own } =
        claims;
    let (scope, audience) = (scope.as_str(), claims.audience().iter().map(Resource::as_str));
    let audience_len = audience.clone().map(|resource| resource.len() + 1).sum::<usize>().checked_sub(1)?;
    let mut header = [VERSION; HEADER];
    header[1..].copy_from_slice(&key.id.to_bytes());
    let mut bytes = Vec::with_capacity(512);
    let numbers = [generation.to_be_bytes(), issued_at.to_bytes(), expires_at.to_bytes()];
    [&header[..], nonce, family.as_bytes(), numbers.as_flattened()]
        .iter()
        .for_each(|part| bytes.extend_from_slice(part));
    for length in [claims.subject().len(), claims.client_id().len(), scope.len(), audience_len] {
        bytes.extend_from_slice(&u16::try_from(length).ok()?.to_be_bytes());
    }
    bytes = postcard::to_extend(binding, bytes).ok()?;
    [&*names.text, scope].iter().for_each(|part| bytes.extend_from_slice(part.as_bytes()));
    for (at, resource) in audience.enumerate() {
        bytes.extend_from_slice(if at == 0 { b"" } else { b" " });
        bytes.extend_from_slice(resource.as_bytes());
    }
    if !own.is_empty() {
        bytes = postcard::to_extend(own, bytes).ok()?;
    }
    key.aead.seal(nonce, &associated_data(&header), &mut bytes, HEADER + crypto::NONCE)?;
    if bytes.len() > MAX_BYTES {
        return None;
    }
    base64url::encode_fast(ACCESS, &bytes)
}

/// Open `token` and hand its claims to `read`. `None` unless it is authentic; nothing is allocated for that.
pub(crate) fn open<T>(token: &str, keys: &AccessKeys, read: impl FnOnce(&OpenClaims<'_>) -> T) -> Option<T> {
    let chars = token.strip_prefix(ACCESS)?;
    match chars.len() {
        // Nearly all: the larger buffer takes longer to clear than the token to decode.
        length if length <= USUAL_CHARS => open_in(&mut [0; USUAL_BYTES], chars, keys, read),
        length if length <= MAX_CHARS => open_in(&mut [0; MAX_BYTES], chars, keys, read),
        _ => None,
    }
}

fn open_in<T>(buffer: &mut [u8], chars: &str, keys: &AccessKeys, read: impl FnOnce(&OpenClaims<'_>) -> T) -> Option<T> {
    let bytes = base64url::decode_fast(chars, buffer)?;
    let (header, rest) = bytes.split_first_chunk_mut::<HEADER>()?;
    let (nonce, sealed) = rest.split_first_chunk_mut::<{ crypto::NONCE }>()?;
    let [version, key_id @ ..] = *header;
    if version != VERSION {
        return None;
    }
    let key = keys.get(KeyId::from_bytes(key_id))?;
    let claims = key.aead.open(nonce, &associated_data(header), sealed)?;
    OpenClaims::read(claims).map(|claims| read(&claims))
}
