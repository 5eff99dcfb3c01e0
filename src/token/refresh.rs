//! Refresh tokens, and authorization codes as generation 0 of their family: derived from the family, never stored.
//!
//! `prefix ‖ base64url(version ‖ key id ‖ family id ‖ generation ‖ masked issued at ‖ guard ‖ MAC)`: 78 bytes, a
//! multiple of three, so that 104 characters encode them in exactly one way. Guard and mask are parts of one keyed hash
//! over the fields before the masked time. The time of issue is masked because it would show a thief when the access
//! token that was issued with it expires.

use std::fmt;

use zeroize::Zeroizing;

use super::{CODE, REFRESH, VERSION};
use crate::crypto::{base64url, equal, truncated};
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
/// The length of the part that contains body and guard, in bytes and in characters.
const FRONT_BYTES: usize = (BODY + GUARD).next_multiple_of(3);
const FRONT_CHARS: usize = FRONT_BYTES / 3 * 4;

/// The fields that a token claims before it is authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Body {
    key_id: KeyId,
    family: FamilyId,
    generation: u64,
    issued_at: Timestamp,
}

impl Body {
    /// Returns the fields of the current token of `family`.
    fn current(family: &TokenFamily) -> Self {
        let TokenFamily { key_id, id, generation, .. } = family;
        Self { key_id: *key_id, family: *id, generation: *generation, issued_at: family.rotated_at() }
    }

    /// Returns the prefix, which differs for codes and refresh tokens.
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

    /// Computes the guard, and the mask of the time of issue.
    fn guard(prefix: &str, keys: &KeySet, head: &[u8]) -> ([u8; GUARD], [u8; ISSUED_AT]) {
        let tag = keys.guard.tag([prefix.as_bytes(), head]);
        (truncated(tag), std::array::from_fn(|at| tag[GUARD + at]))
    }

    /// Computes the MAC. What of it stayed on the stack could get into a future with a value that is not initialized.
    fn mac(&self, keys: &KeySet, bytes: &[u8; BODY], secret: &FamilySecret) -> Zeroizing<[u8; MAC]> {
        let mut mac = Zeroizing::new([0; MAC]);
        keys.refresh.tag_into([self.prefix().as_bytes(), bytes, &secret.0], &mut mac);
        mac
    }
}

/// Derives the current token of `family`. The same family always gives the same token, so a retry gets the token that
/// was lost.
///
/// Returns `None` if the key that the token was made with is not in the keyring.
pub(crate) fn derive(family: &TokenFamily, keyring: &Keyring) -> Option<Zeroizing<String>> {
    let body = Body::current(family);
    let keys = keyring.get(body.key_id)?;
    let head = body.to_bytes();
    let mut bytes = Zeroizing::new([0; BYTES]);
    let (guard, mask) = Body::guard(body.prefix(), keys, &head[..HEAD]);
    bytes[..BODY].copy_from_slice(&head);
    apply(&mask, &mut bytes[HEAD..BODY]);
    bytes[BODY..BODY + GUARD].copy_from_slice(&guard);
    bytes[BODY + GUARD..].copy_from_slice(&body.mac(keys, &head, &family.secret)[..]);
    base64url::encode(body.prefix(), bytes.as_ref())
}

fn apply(mask: &[u8; ISSUED_AT], bytes: &mut [u8]) {
    bytes.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
}

/// A refresh token or authorization code with the right form and guard, which is not authenticated yet.
pub struct Presented {
    body: Body,
    /// Behind a pointer: moving the value, as into a future, leaves no copy of the MAC.
    mac: Box<Zeroizing<[u8; MAC]>>,
}

impl Presented {
    /// Parses a refresh token, without asking a store. Returns `None` for a text that this keyring cannot have made.
    pub fn refresh_token(token: &str, keyring: &Keyring) -> Option<Self> {
        Self::any(token, keyring).filter(|presented| presented.body.generation > 0)
    }

    /// Parses an authorization code, without asking a store. Returns `None` for a text that this keyring cannot have
    /// made.
    pub fn code(token: &str, keyring: &Keyring) -> Option<Self> {
        Self::any(token, keyring).filter(|presented| presented.body.generation == 0)
    }

    /// Parses a refresh token or an authorization code. Returns `None` for a text that this keyring cannot have made.
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
        // The rest is decoded only if the guard is right.
        right.then(|| base64url::decode(back, &mut bytes[FRONT_BYTES..]))??;
        let mut mac = Box::<Zeroizing<[u8; MAC]>>::default();
        mac.copy_from_slice(bytes.last_chunk::<MAC>()?);
        Some(Self { body, mac })
    }

    /// Returns the family that the token claims to belong to, which is the one to load.
    pub fn family(&self) -> FamilyId {
        self.body.family
    }

    /// Authenticates the token against the loaded family. Returns `None` if the token is forged.
    pub fn authenticate(&self, family: &TokenFamily, keyring: &Keyring) -> Option<VerifiedToken> {
        let keys = keyring.get(self.body.key_id)?;
        let mac = self.body.mac(keys, &self.body.to_bytes(), &family.secret);
        (self.body.family == family.id && equal(&mac[..], &self.mac[..])).then_some(VerifiedToken(self.body))
    }
}

impl fmt::Debug for Presented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presented").field("family", &self.body.family).finish_non_exhaustive()
    }
}

/// A token that was authenticated against its family, which the decisions require. Only [`Presented::authenticate`]
/// creates one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifiedToken(Body);

impl VerifiedToken {
    /// Returns the generation of the token.
    pub fn generation(&self) -> u64 {
        self.0.generation
    }

    /// Returns when the token was issued.
    pub fn issued_at(&self) -> Timestamp {
        self.0.issued_at
    }

    /// Whether the token is the current token of `family`, made with any of its keys.
    pub(crate) fn is_current(&self, family: &TokenFamily) -> bool {
        let current = Body::current(family);
        self.0 == Body { key_id: self.0.key_id, ..current }
    }
}
