//! The three primitives behind one internal face each: a MAC, an AEAD and a key derivation.
//!
//! Nothing else in the crate names the crates they come from.

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{KeyInit, Tag, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

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
    pub(crate) fn tag(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = self.0.clone();
        parts.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes().into()
    }
}

/// XChaCha20-Poly1305. The nonce is long enough to be random.
pub(crate) struct Aead(XChaCha20Poly1305);

impl Aead {
    pub(crate) const NONCE: usize = 24;
    pub(crate) const TAG: usize = 16;

    pub(crate) fn new(key: &[u8; 32]) -> Self {
        Self(XChaCha20Poly1305::new(&(*key).into()))
    }

    /// Encrypt `buffer[from..]` in place and append the tag. `None` if it is absurdly long.
    pub(crate) fn seal(&self, nonce: &[u8; 24], ad: &[u8], buffer: &mut Vec<u8>, from: usize) -> Option<()> {
        let plaintext = buffer.get_mut(from..)?;
        let tag = self.0.encrypt_inout_detached(&XNonce::from(*nonce), ad, plaintext.into()).ok()?;
        buffer.extend_from_slice(&tag);
        Some(())
    }

    /// Decrypt `sealed` (ciphertext and tag) in place. `None`, and the plaintext is not released, unless it is authentic.
    pub(crate) fn open<'a>(&self, nonce: &[u8; 24], ad: &[u8], sealed: &'a mut [u8]) -> Option<&'a mut [u8]> {
        let (ciphertext, tag) = sealed.split_last_chunk_mut::<{ Self::TAG }>()?;
        let tag = Tag::from(*tag);
        self.0.decrypt_inout_detached(&XNonce::from(*nonce), ad, (&mut *ciphertext).into(), &tag).ok()?;
        Some(ciphertext)
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
