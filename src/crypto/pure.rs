//! XChaCha20-Poly1305 in pure Rust, by RustCrypto's `chacha20poly1305`.
//!
//! The key, the state of the cipher and the state of Poly1305 are zeroized on drop.

use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{Tag, XChaCha20Poly1305, XNonce};

use super::{NONCE, TAG};

pub(crate) struct Aead(XChaCha20Poly1305);

impl Aead {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        Self(XChaCha20Poly1305::new(key.into()))
    }

    /// Encrypts `buffer[from..]` in place and appends the tag. Returns `None` if `from` is out of range or the text is
    /// too long for the cipher.
    pub(crate) fn seal(&self, nonce: &[u8; NONCE], ad: &[u8], buffer: &mut Vec<u8>, from: usize) -> Option<()> {
        let plaintext = buffer.get_mut(from..)?;
        let tag = self.0.encrypt_inout_detached(<&XNonce>::from(nonce), ad, plaintext.into()).ok()?;
        buffer.extend_from_slice(&tag);
        Some(())
    }

    /// Decrypts `sealed` (ciphertext and tag) in place. Returns `None` unless it is authentic; the plaintext is then
    /// not released.
    pub(crate) fn open<'a>(&self, nonce: &[u8; NONCE], ad: &[u8], sealed: &'a mut [u8]) -> Option<&'a mut [u8]> {
        let (ciphertext, tag) = sealed.split_last_chunk_mut::<TAG>()?;
        let tag = Tag::from(*tag);
        self.0.decrypt_inout_detached(<&XNonce>::from(nonce), ad, (&mut *ciphertext).into(), &tag).ok()?;
        Some(ciphertext)
    }
}
