//! Refresh tokens, and authorization codes as their generation 0: derived from the family, never stored.
//!
//! `prefix ‖ base64url(version ‖ key id ‖ family id ‖ generation ‖ masked issued at ‖ guard ‖ MAC)`: 78 bytes, a multiple of
//! three, so that 104 characters spell it in exactly one way. Guard and mask are parts of one keyed hash over what stands before
//! them: when a token was issued would show a thief when the access token that came with it expires.

use std::fmt;

use zeroize::Zeroizing;

use super::{CODE, REFRESH, VERSION};
use crate::crypto::{base64url, equal};
use crate::family::{FamilySecret, TokenFamily};
use crate::id::FamilyId;
use crate::keys::{KeyId, KeySet, Keyring};
use crate::time::Timestamp;

const HEAD: usize = 1 + 4 + 16 + 8;
const ISSUED_AT: usize = 8;
const BODY: usize = HEAD + ISSUED_AT;
const GUARD: usize = 9;
const MAC: usize = 32;
const BYTES: usize = BODY + GUARD + MAC;
const CHARS: usize = BYTES / 3 * 4;
/// The first characters that spell body and guard, and the bytes they spell.
const FRONT_BYTES: usize = (BODY + GUARD).next_multiple_of(3);
const FRONT_CHARS: usize = FRONT_BYTES / 3 * 4;

/// What a token says of itself before anything of it is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Body {
    key_id: KeyId,
    family: FamilyId,
    generation: u64,
    issued_at: Timestamp,
}

impl Body {
    /// What the current token of `family` says.
    fn current(family: &TokenFamily) -> Self {
        let TokenFamily { key_id, id, generation, .. } = family;
        Self { key_id: *key_id, family: *id, generation: *generation, issued_at: family.rotated_at() }
    }

    /// The prefix keeps codes and refresh tokens apart.
    fn prefix(&self) -> &'static str {
        if self.generation == 0 { CODE } else { REFRESH }
    }

    fn to_bytes(self) -> [u8; BODY] {
        let mut bytes = [VERSION; BODY];
        bytes[1..5].copy_from_slice(&self.key_id.to_bytes());
        bytes[5..21].copy_from_slice(self.family.as_bytes());
        bytes[21..29].copy_from_slice(&self.generation.to_be_bytes());
        bytes[29..].copy_from_slice(&self.issued_at.to_bytes());
        bytes
    }

    fn parse(bytes: &[u8; BODY]) -> Option<Self> {
        let (version, rest) = bytes.split_first()?;
        let (key_id, rest) = rest.split_first_chunk()?;
        let (family, rest) = rest.split_first_chunk()?;
        let (generation, rest) = rest.split_first_chunk()?;
        let body = Self {
            key_id: KeyId::from_bytes(*key_id),
            family: FamilyId::from_bytes(*family),
            generation: u64::from_be_bytes(*generation),
            issued_at: Timestamp::from_bytes(rest.try_into().ok()?),
        };
        (*version == VERSION).then_some(body)
    }

    /// The guard, and what masks the time of issue.
    fn guard(prefix: &str, keys: &KeySet, head: &[u8]) -> ([u8; GUARD], [u8; ISSUED_AT]) {
        let tag = keys.guard.tag([prefix.as_bytes(), head]);
        let (mut guard, mut mask) = ([0; GUARD], [0; ISSUED_AT]);
        guard.copy_from_slice(&tag[..GUARD]);
        mask.copy_from_slice(&tag[GUARD..GUARD + ISSUED_AT]);
        (guard, mask)
    }

    fn mac(&self, keys: &KeySet, bytes: &[u8; BODY], secret: &FamilySecret) -> [u8; MAC] {
        keys.refresh.tag([self.prefix().as_bytes(), bytes, secret.as_bytes()])
    }
}

/// The text of the current token of `family`: always the same for the same family, so that a retry gets what was lost.
/// `None` if the key it was made with has been dropped.
pub(crate) fn derive(family: &TokenFamily, keyring: &Keyring) -> Option<Zeroizing<String>> {
    let body = Body::current(family);
    let keys = keyring.get(body.key_id)?;
    let head = body.to_bytes();
    let mut bytes = Zeroizing::new([0; BYTES]);
    let (guard, mask) = Body::guard(body.prefix(), keys, &head[..HEAD]);
    bytes[..BODY].copy_from_slice(&head);
    apply(&mask, &mut bytes[HEAD..BODY]);
    bytes[BODY..BODY + GUARD].copy_from_slice(&guard);
    bytes[BODY + GUARD..].copy_from_slice(&body.mac(keys, &head, &family.secret));
    base64url::encode(body.prefix(), bytes.as_ref())
}

fn apply(mask: &[u8; ISSUED_AT], bytes: &mut [u8]) {
    bytes.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
}

/// A refresh token or authorization code that has the right form and guard, and is still to be authenticated.
pub struct Presented {
    body: Body,
    mac: Zeroizing<[u8; MAC]>,
}

impl Presented {
    /// Parse a refresh token. `None` for anything that this keyring cannot have made; no store was asked for that.
    pub fn refresh_token(token: &str, keyring: &Keyring) -> Option<Self> {
        Self::any(token, keyring).filter(|presented| presented.body.generation > 0)
    }

    /// Parse an authorization code, likewise.
    pub fn code(token: &str, keyring: &Keyring) -> Option<Self> {
        Self::any(token, keyring).filter(|presented| presented.body.generation == 0)
    }

    /// Parse either.
    pub fn any(token: &str, keyring: &Keyring) -> Option<Self> {
        let chars = token.strip_prefix(REFRESH).or_else(|| token.strip_prefix(CODE))?;
        if chars.len() != CHARS {
            return None;
        }
        let (front, back) = chars.split_at_checked(FRONT_CHARS)?;
        let mut bytes = Zeroizing::new([0; BYTES]);
        base64url::decode(front, &mut bytes[..FRONT_BYTES])?;
        let (body, rest) = bytes.split_first_chunk::<BODY>()?;
        let (guard, _) = rest.split_first_chunk::<GUARD>()?;
        let mut clear = *body;
        let (prefix, keys) = Body::parse(&clear).map(|body| (body.prefix(), keyring.get(body.key_id)))?;
        let (expected, mask) = Body::guard(prefix, keys?, &clear[..HEAD]);
        apply(&mask, &mut clear[HEAD..]);
        let body = Body::parse(&clear)?;
        let right = token.starts_with(prefix) && equal(guard, &expected);
        // What the guard turns away is not even decoded to its end.
        right.then(|| base64url::decode(back, &mut bytes[FRONT_BYTES..]))??;
        let mac = bytes.last_chunk::<MAC>()?;
        Some(Self { body, mac: Zeroizing::new(*mac) })
    }

    /// The family it claims to belong to: the one to load.
    pub fn family(&self) -> FamilyId {
        self.body.family
    }

    /// Check it against the family that was loaded. `None` if it is forged.
    pub fn authenticate(&self, family: &TokenFamily, keyring: &Keyring) -> Option<VerifiedToken> {
        let keys = keyring.get(self.body.key_id)?;
        let mac = self.body.mac(keys, &self.body.to_bytes(), &family.secret);
        (self.body.family == family.id && equal(&mac, self.mac.as_ref())).then_some(VerifiedToken(self.body))
    }
}

impl fmt::Debug for Presented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presented").field("family", &self.body.family).finish_non_exhaustive()
    }
}

/// A token that was made for its family: what the decisions take. Only [`Presented::authenticate`] makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifiedToken(Body);

impl VerifiedToken {
    /// Its generation.
    pub fn generation(&self) -> u64 {
        self.0.generation
    }

    /// When it was issued.
    pub fn issued_at(&self) -> Timestamp {
        self.0.issued_at
    }

    /// Whether it is the current token of `family`, made with whichever key.
    pub(crate) fn is_current(&self, family: &TokenFamily) -> bool {
        let current = Body::current(family);
        self.0 == Body { key_id: self.0.key_id, ..current }
    }
}
