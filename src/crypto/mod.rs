//! The three primitives, each behind one internal interface: a MAC, an AEAD and a key derivation.
//!
//! No other module names the crates that implement them. The AEAD has two implementations, in pure Rust and on ring;
//! the feature `ring` selects one. Both produce the same bytes.

pub(crate) mod base64url;
// The tests compare both implementations, so they build both.
#[cfg(any(test, not(feature = "ring")))]
mod pure;
pub(crate) mod random;
pub(crate) mod redacted;
#[cfg(test)]
mod tests;
#[cfg(feature = "ring")]
mod with_ring;

use hkdf::Hkdf;
use hmac::digest::FixedOutput;
use hmac::{Hmac, KeyInit, Mac as _};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

#[cfg(not(feature = "ring"))]
pub(crate) use self::pure::Aead;
#[cfg(feature = "ring")]
pub(crate) use self::with_ring::Aead;

/// The length of a nonce in bytes, large enough for random nonces.
pub(crate) const NONCE: usize = 24;
/// The length in bytes of the tag that follows a ciphertext.
pub(crate) const TAG: usize = 16;

/// HMAC-SHA256 whose key schedule is computed once.
pub(crate) struct Mac(Hmac<Sha256>);

impl Mac {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        // HMAC pads a key that is shorter than the block of 64 bytes with zeros (RFC 2104 §2).
        let mut block = Zeroizing::new([0; 64]);
        block[..32].copy_from_slice(key);
        Self(<Hmac<Sha256> as KeyInit>::new((&*block).into()))
    }

    /// Returns the tag over the concatenation of `parts`. The caller must use fixed lengths or separators, so that
    /// different parts never concatenate to the same bytes.
    pub(crate) fn tag<'p>(&self, parts: impl IntoIterator<Item = &'p [u8]>) -> [u8; 32] {
        let mut tag = [0; 32];
        self.tag_into(parts, &mut tag);
        tag
    }

    /// Computes the same tag into `tag`, without a copy beside it.
    pub(crate) fn tag_into<'p>(&self, parts: impl IntoIterator<Item = &'p [u8]>, tag: &mut [u8; 32]) {
        let mut mac = self.0.clone();
        parts.into_iter().for_each(|part| mac.update(part));
        FixedOutput::finalize_into(mac, tag.into());
    }
}

/// Derives the subkey of `master` for the single purpose `label` (HKDF-SHA256, RFC 5869).
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

/// Returns the first bytes of a hash.
pub(crate) fn truncated<const N: usize>(hash: [u8; 32]) -> [u8; N] {
    std::array::from_fn(|at| hash[at])
}

/// Compares in a time that depends only on the lengths.
pub(crate) fn equal(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}
