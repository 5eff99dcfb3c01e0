//! Access tokens: sealed claims that only a holder of the access key can read.
//!
//! `mcpat_ ‖ base64url(version ‖ key id ‖ audience tag ‖ nonce ‖ XChaCha20-Poly1305(claims))`. The associated data is
//! the prefix and the header, which is everything before the nonce. The tag is the first 16 bytes of the SHA-256 of the
//! audience as the claims contain it. The key belongs to that audience alone: `HMAC-SHA256(access subkey, "audience" ‖
//! tag ‖ 1)`.

use zeroize::Zeroizing;

use super::{ACCESS, VERSION};
use crate::crypto::{self, base64url};
use crate::grant::{AccessClaims, Audience, Binding, Grant, Scope, SubjectAndClient};
use crate::id::FamilyId;
use crate::keys::access::AudienceTag;
use crate::keys::{AccessKeys, KeyId};
use crate::time::Timestamp;

const HEADER: usize = 1 + 4 + AudienceTag::LEN;
const OVERHEAD: usize = HEADER + crypto::NONCE + crypto::TAG;
/// The largest encoded claims in bytes: the grant, and 256 bytes for identifiers, numbers, a binding and length
/// prefixes.
const MAX_CLAIMS: usize = Grant::MAX_BYTES + 256;
const MAX_BYTES: usize = OVERHEAD + MAX_CLAIMS;
const MAX_CHARS: usize = (MAX_BYTES * 4).div_ceil(3);
/// The flag of a token that is valid only with a live check.
const LIVE_ONLY: u8 = 1;
const USUAL_BYTES: usize = 384;
const USUAL_CHARS: usize = USUAL_BYTES / 3 * 4;

/// The claims of an authentic token, borrowed from the buffer that it was decrypted in, so that reading them allocates
/// nothing.
///
/// `family ‖ generation ‖ issued at ‖ expires at ‖ flags ‖ lengths ‖ binding ‖ subject ‖ client id ‖ scope ‖ audience ‖
/// application's claims`. Numbers have eight bytes and the four lengths, of the texts in their order, two, all
/// big-endian: a fixed layout is fast to read at every request. Bit 0 of the flags marks a token that is valid only
/// with a live check. The binding and the application's claims are in postcard; the latter are left out if there are
/// none.
pub(crate) struct OpenClaims<'a> {
    family: FamilyId,
    generation: u64,
    issued_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    live_only: bool,
    pub(crate) binding: Option<Binding>,
    names: &'a str,
    subject_len: usize,
    pub(crate) scope: &'a str,
    /// Resources separated by spaces, which a URI cannot contain.
    pub(crate) audience: &'a str,
    own: &'a [u8],
}

impl<'a> OpenClaims<'a> {
    fn read(mut bytes: &'a [u8]) -> Option<Self> {
        let family = FamilyId::from_bytes(*take(&mut bytes)?);
        let generation = u64::from_be_bytes(*take(&mut bytes)?);
        let issued_at = Timestamp::from_bytes(*take(&mut bytes)?);
        let expires_at = Timestamp::from_bytes(*take(&mut bytes)?);
        let live_only = match take(&mut bytes)? {
            [0] => false,
            [LIVE_ONLY] => true,
            _ => return None,
        };
        let mut length = || Some(usize::from(u16::from_be_bytes(*take(&mut bytes)?)));
        let [subject_len, client_id_len, scope_len, audience_len] = [length()?, length()?, length()?, length()?];
        let (binding, rest) = postcard::take_from_bytes(bytes).ok()?;
        let (texts, own) = rest.split_at_checked(subject_len + client_id_len + scope_len + audience_len)?;
        let (names, texts) = str::from_utf8(texts).ok()?.split_at_checked(subject_len + client_id_len)?;
        let (scope, audience) = texts.split_at_checked(scope_len)?;
        Some(Self {
            family,
            generation,
            issued_at,
            expires_at,
            live_only,
            binding,
            names,
            subject_len,
            scope,
            audience,
            own,
        })
    }

    pub(crate) fn to_owned(&self) -> Option<AccessClaims> {
        let (claims, rest) = match self.own {
            [] => Default::default(),
            own => postcard::take_from_bytes(own).ok()?,
        };
        rest.is_empty().then_some(())?;
        Some(AccessClaims {
            family: self.family,
            generation: self.generation,
            names: SubjectAndClient::split(self.names, self.subject_len)?,
            scope: Scope::from_canonical(self.scope),
            audience: Audience::split(self.audience),
            issued_at: self.issued_at,
            expires_at: self.expires_at,
            binding: self.binding,
            live_only: self.live_only,
            claims,
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

/// Seals `claims` with the key `id` of their audience. Returns `None` if there is no such key, or if the claims are too
/// large for a token.
pub(crate) fn seal(
    claims: &AccessClaims,
    keys: &AccessKeys,
    id: KeyId,
    nonce: &[u8; crypto::NONCE],
) -> Option<Zeroizing<String>> {
    let audience = claims.audience.join();
    let tag = keys.tag(&audience);
    keys.keep(id, tag, &audience);
    keys.find(id, tag, |key| {
        let mut header = [VERSION; HEADER];
        header[1..5].copy_from_slice(&id.to_bytes());
        header[5..].copy_from_slice(&tag.0);
        let mut bytes = Vec::with_capacity(512);
        [&header[..], nonce].into_iter().for_each(|part| bytes.extend_from_slice(part));
        let mut bytes = encode(claims, &audience, bytes)?;
        key.aead.seal(nonce, &associated_data(&header), &mut bytes, HEADER + crypto::NONCE)?;
        if bytes.len() > MAX_BYTES { None } else { base64url::encode_fast(ACCESS, &bytes) }
    })
}

/// Appends the claims to `bytes` in the format that [`OpenClaims::read`] reads.
fn encode(claims: &AccessClaims, audience: &str, mut bytes: Vec<u8>) -> Option<Vec<u8>> {
    let texts = [claims.subject(), claims.client_id(), claims.scope.as_str(), audience];
    let numbers = [claims.generation.to_be_bytes(), claims.issued_at.to_bytes(), claims.expires_at.to_bytes()];
    [claims.family.as_bytes(), numbers.as_flattened()].into_iter().for_each(|part| bytes.extend_from_slice(part));
    bytes.push(if claims.live_only { LIVE_ONLY } else { 0 });
    for text in texts {
        bytes.extend_from_slice(&u16::try_from(text.len()).ok()?.to_be_bytes());
    }
    bytes = postcard::to_extend(&claims.binding, bytes).ok()?;
    texts.iter().for_each(|text| bytes.extend_from_slice(text.as_bytes()));
    if claims.claims.is_empty() { Some(bytes) } else { postcard::to_extend(&claims.claims, bytes).ok() }
}

/// Opens `token` and passes its claims to `read`. Returns `None` unless the token is authentic. Opening allocates
/// nothing.
pub(crate) fn open<T>(token: &str, keys: &AccessKeys, read: impl FnOnce(&OpenClaims<'_>) -> T) -> Option<T> {
    let chars = token.strip_prefix(ACCESS)?;
    match chars.len() {
        // Nearly all tokens fit into the small buffer. Clearing the large one takes longer than decoding the token: the
        // row "`verify` ÷ bare open" of the benchmarks.
        length if length <= USUAL_CHARS => open_in(&mut [0; USUAL_BYTES], chars, keys, read),
        length if length <= MAX_CHARS => open_in(&mut [0; MAX_BYTES], chars, keys, read),
        _ => None,
    }
}

fn open_in<T>(buffer: &mut [u8], chars: &str, keys: &AccessKeys, read: impl FnOnce(&OpenClaims<'_>) -> T) -> Option<T> {
    let bytes = base64url::decode_fast(chars, buffer)?;
    let (header, rest) = bytes.split_first_chunk_mut::<HEADER>()?;
    let (nonce, sealed) = rest.split_first_chunk_mut::<{ crypto::NONCE }>()?;
    let ad = associated_data(header);
    let ([version, key_id @ ..], tag) = header.split_first_chunk::<5>()?;
    if *version != VERSION {
        return None;
    }
    let (id, tag) = (KeyId::from_bytes(*key_id), AudienceTag(*tag.first_chunk()?));
    let claims = keys.find(id, tag, |key| {
        let claims = OpenClaims::read(key.aead.open(nonce, &ad, sealed)?)?;
        // The holder of a key may have sealed any claims with it, but they count only for the audience of the key.
        let is_own = match &key.audience {
            Some(own) => **own == *claims.audience,
            None => AudienceTag::of(claims.audience) == tag,
        };
        if is_own && key.audience.is_none() {
            keys.keep(id, tag, claims.audience);
        }
        is_own.then_some(claims)
    })?;
    Some(read(&claims))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grant::Resource;

    const SUBJECT: &str = "Jürgen";
    const CLIENT: &str = "clïent";

    fn claims(resources: &[&str], own: &[(&str, &str)]) -> AccessClaims {
        let resources: Vec<_> = resources.iter().map(|uri| Resource::parse(uri).unwrap()).collect();
        AccessClaims {
            family: FamilyId::from_bytes([1; 16]),
            generation: 2,
            names: SubjectAndClient::new(SUBJECT, CLIENT),
            scope: Scope::parse("a b").unwrap(),
            audience: Audience::from(&*resources),
            issued_at: Timestamp::from_unix(3),
            expires_at: Timestamp::from_unix(4),
            binding: Some(Binding::DpopKey([5; 32])),
            live_only: true,
            claims: own.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        }
    }

    fn read(bytes: &[u8]) -> Option<AccessClaims> {
        OpenClaims::read(bytes)?.to_owned()
    }

    fn encode(claims: &AccessClaims, bytes: Vec<u8>) -> Option<Vec<u8>> {
        super::encode(claims, &claims.audience.join(), bytes)
    }

    #[test]
    fn read_returns_what_was_encoded() {
        let longest = format!("https://a.example/{}", "x".repeat(1_900));
        for resources in [&["https://a.example"][..], &["https://a.example", "https://b.example/mcp"], &[&longest]] {
            for own in [&[][..], &[("tenant", "7")]] {
                let claims = claims(resources, own);
                assert_eq!(read(&encode(&claims, Vec::new()).unwrap()), Some(claims));
            }
        }
    }

    #[test]
    fn read_refuses_claims_cut_off_or_lengthened() {
        let bare = encode(&claims(&["https://a.example"], &[]), Vec::new()).unwrap();
        let whole = encode(&claims(&["https://a.example"], &[("tenant", "7")]), Vec::new()).unwrap();
        for length in (0..whole.len()).filter(|length| *length != bare.len()) {
            assert_eq!(read(&whole[..length]), None, "{length} bytes");
        }
        assert_eq!(read(&[&whole[..], &[0]].concat()), None);
    }

    /// The offsets of the four lengths and of the tag of the binding.
    const LENGTHS: usize = 16 + 3 * 8 + 1;
    const BINDING: usize = LENGTHS + 4 * 2;

    #[test]
    fn read_refuses_a_length_that_cuts_a_character_or_overruns() {
        let whole = encode(&claims(&["https://a.example"], &[]), Vec::new()).unwrap();
        let with_lengths = |lengths: [u16; 4]| {
            let mut bytes = whole.clone();
            bytes[LENGTHS..BINDING].copy_from_slice(lengths.map(u16::to_be_bytes).as_flattened());
            read(&bytes)
        };
        let [subject, client] = [SUBJECT, CLIENT].map(|text| text.len() as u16);
        assert_eq!(with_lengths([subject, client, 3, 17]).unwrap().audience()[0].as_str(), "https://a.example");
        // The second byte of an umlaut is the third byte of the subject, and the fourth of the client id.
        for lengths in [
            [2, client + subject - 2, 3, 17],
            [subject, 3, 3 + client - 3, 17],
            [subject - 3, client - 1, 7, 17],
            [subject + 3, client - 3, 3, 17],
            [u16::MAX; 4],
        ] {
            assert_eq!(with_lengths(lengths), None, "{lengths:?}");
        }
    }

    #[test]
    fn read_refuses_an_unknown_binding_and_invalid_text() {
        let whole = encode(&claims(&["https://a.example"], &[]), Vec::new()).unwrap();
        for (at, byte) in [(BINDING, 2), (BINDING + 1, 3), (BINDING + 34, 0xff)] {
            let mut bytes = whole.clone();
            bytes[at] = byte;
            assert_eq!(read(&bytes), None, "byte {at}");
        }
    }
}
