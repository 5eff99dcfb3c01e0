//! The three primitives behind one internal face each: a MAC, an AEAD and a key derivation.
//!
//! Nothing else in the crate names the crates they come from. The AEAD is there twice, in pure Rust and on ring, which the
//! feature `ring` chooses between: the same bytes, whichever it is.

pub(crate) mod base64url;
// The tests hold both to the same bytes, so they build both.
#[cfg(any(test, not(feature = "ring")))]
mod pure;
pub(crate) mod random;
pub(crate) mod redacted;
pub(crate) mod shown;
#[cfg(test)]
mod tests;
#[cfg(feature = "ring")]
mod with_ring;

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac as _};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

#[cfg(not(feature = "ring"))]
pub(crate) use self::pure::Aead;
#[cfg(feature = "ring")]
pub(crate) use self::with_ring::Aead;

/// Length of a nonce: enough to be random.
pub(crate) const NONCE: usize = 24;
/// Length of the tag behind a ciphertext.
pub(crate) const TAG: usize = 16;

/// HMAC-SHA256 with the key schedule done once.
pub(crate) struct Mac(Hmac<Sha256>);

impl Mac {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        // One block of 64 bytes; a shorter key is padded with zeros (RFC 2104 §2).
        let mut block = Zeroizing::new([0; 64]);
        block[..32].copy_from_slice(key);
        Self(<Hmac<Sha256> as KeyInit>::new((&*block).into()))
    }

    /// The tag over the concatenation of `parts`; the caller keeps that unambiguous by fixed lengths.
    pub(crate) fn tag<'p>(&self, parts: impl IntoIterator<Item = &'p [u8]>) -> [u8; 32] {
        let mut mac = self.0.clone();
        parts.into_iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes().into()
    }
}

/// A subkey of `master` for the purpose `label` alone (HKDF-SHA256, RFC 5869).
pub(crate) fn subkey(master: &[u8; 32], label: &str) -> Zeroizing<[u8; 32]> {
    let mut subkey = Zeroizing::new([0; 32]);
    let hkdf = Hkdf::<Sha256>::new(Some(b"mcp-token-lifecycle v1"), master);
    let expanded = hkdf.expand(label.as_bytes(), subkey.as_mut());
    debug_assert!(expanded.is_ok(), "one block of output is never too much for HKDF");
    subkey
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Equality in a time that depends on the lengths alone.
pub(crate) fn equal(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}
