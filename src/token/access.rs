//! Access tokens: sealed claims that nobody but a holder of the access key can read.
//!
//! `mcpat_ ‖ base64url(version ‖ key id ‖ nonce ‖ XChaCha20-Poly1305(claims))`, prefix and header as associated data.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{ACCESS, VERSION};
use crate::access_keys::{AccessKey, AccessKeys};
use crate::base64url;
use crate::claims::AccessClaims;
use crate::client::Binding;
use crate::crypto;
use crate::family::FamilyId;
use crate::grant::{Grant, Resource, Scope};
use crate::keyring::KeyId;
use crate::shared_str::SharedStr;
use crate::time::Timestamp;

const HEADER: usize = 1 + 4;
const OVERHEAD: usize = HEADER + crypto::NONCE + crypto::TAG;
/// Claims beyond the strings of the grant: identifiers, numbers, a binding, length prefixes.
const MAX_CLAIMS: usize = Grant::MAX_BYTES + 256;
const MAX_BYTES: usize = OVERHEAD + MAX_CLAIMS;
const MAX_CHARS: usize = (MAX_BYTES * 4).div_ceil(3);
const USUAL_BYTES: usize = 384;
const USUAL_CHARS: usize = USUAL_BYTES / 3 * 4;

/// The claims on the wire, borrowed, so that reading them allocates nothing.
#[derive(Serialize, Deserialize)]
pub(crate) struct WireClaims<'a> {
    family: [u8; 16],
    generation: u64,
    issued_at: u64,
    pub(crate) expires_at: u64,
    /// Subject, client id, scope and audience as lines of one text, so that owning all of them takes one allocation; none
    /// of them has control characters. The resources of the audience are separated by spaces, of which a URI has none.
    #[serde(borrow)]
    text: &'a str,
    pub(crate) binding: Option<Binding>,
    /// The application's claims in an encoding of their own: empty if there are none.
    claims: &'a [u8],
}

impl<'a> WireClaims<'a> {
    /// Subject, client id, scope and audience.
    pub(crate) fn texts(&self) -> Option<[&'a str; 4]> {
        let mut lines = self.text.splitn(4, '\n');
        Some([lines.next()?, lines.next()?, lines.next()?, lines.next()?])
    }

    pub(crate) fn to_owned(&self) -> Option<AccessClaims> {
        let (whole, mut start) = (self.text.into(), 0);
        let mut piece = |text: &str| {
            let piece = SharedStr::piece(&whole, start, text.len());
            start += text.len() + 1;
            piece
        };
        let [subject, client_id, scope, audience] = self.texts()?;
        let claims = if self.claims.is_empty() { BTreeMap::new() } else { postcard::from_bytes(self.claims).ok()? };
        Some(AccessClaims {
            family: FamilyId::from_bytes(self.family),
            generation: self.generation,
            subject: piece(subject),
            client_id: piece(client_id),
            scope: Scope::from_canonical(piece(scope)),
            audience: audience.split(' ').map(|uri| Resource::from_canonical(piece(uri))).collect(),
            issued_at: Timestamp::from_unix(self.issued_at),
            expires_at: Timestamp::from_unix(self.expires_at),
            binding: self.binding,
            claims,
        })
    }
}

fn associated_data(header: &[u8; HEADER]) -> [u8; ACCESS.len() + HEADER] {
    let mut ad = [0; ACCESS.len() + HEADER];
    ad[..ACCESS.len()].copy_from_slice(ACCESS.as_bytes());
    ad[ACCESS.len()..].copy_from_slice(header);
    ad
}

/// The access token for `claims`. `None` if they are larger than any token may be.
pub(crate) fn seal(claims: &AccessClaims, key: &AccessKey, nonce: &[u8; 24]) -> Option<Zeroizing<String>> {
    let mut text = String::with_capacity(256);
    text.extend([&claims.subject, "\n", &claims.client_id, "\n", claims.scope.as_str()]);
    for (resource, separator) in claims.audience.iter().zip(std::iter::once("\n").chain(std::iter::repeat(" "))) {
        text.extend([separator, resource.as_str()]);
    }
    let wire = WireClaims {
        family: *claims.family.as_bytes(),
        generation: claims.generation,
        issued_at: claims.issued_at.as_unix(),
        expires_at: claims.expires_at.as_unix(),
        text: &text,
        binding: claims.binding,
        claims: &if claims.claims.is_empty() { Vec::new() } else { postcard::to_allocvec(&claims.claims).ok()? },
    };
    let mut header = [VERSION; HEADER];
    header[1..].copy_from_slice(&key.id.to_bytes());
    let mut bytes = Vec::with_capacity(512);
    bytes.extend_from_slice(&header);
    bytes.extend_from_slice(nonce);
    let mut bytes = postcard::to_extend(&wire, bytes).ok()?;
    key.aead.seal(nonce, &associated_data(&header), &mut bytes, HEADER + crypto::NONCE)?;
    if bytes.len() > MAX_BYTES {
        return None;
    }
    base64url::encode_fast(ACCESS, &bytes)
}

/// Open `token` and hand its claims to `read`. `None` unless it is authentic; nothing is allocated for that.
pub(crate) fn open<T>(token: &str, keys: &AccessKeys, read: impl FnOnce(&WireClaims<'_>) -> T) -> Option<T> {
    let chars = token.strip_prefix(ACCESS)?;
    match chars.len() {
        // Nearly all: the larger buffer takes longer to clear than the token to decode.
        length if length <= USUAL_CHARS => open_in(&mut [0; USUAL_BYTES], chars, keys, read),
        length if length <= MAX_CHARS => open_in(&mut [0; MAX_BYTES], chars, keys, read),
        _ => None,
    }
}

fn open_in<T>(buffer: &mut [u8], chars: &str, keys: &AccessKeys, read: impl FnOnce(&WireClaims<'_>) -> T) -> Option<T> {
    let bytes = base64url::decode_fast(chars, buffer)?;
    let (header, rest) = bytes.split_first_chunk_mut::<HEADER>()?;
    let (nonce, sealed) = rest.split_first_chunk_mut::<{ crypto::NONCE }>()?;
    let [version, key_id @ ..] = *header;
    if version != VERSION {
        return None;
    }
    let key = keys.get(KeyId::from_bytes(key_id))?;
    let claims = key.aead.open(nonce, &associated_data(header), sealed)?;
    let (wire, rest) = postcard::take_from_bytes(claims).ok()?;
    rest.is_empty().then(|| read(&wire))
}
