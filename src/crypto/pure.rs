//! XChaCha20-Poly1305 in pure Rust, by orion.
//!
//! Keys and the state of cipher and MAC are zeroized; the subkey of each call passes through the stack and stays there until that
//! is overwritten. It opens what one nonce has sealed.

use orion::hazardous::aead::xchacha20poly1305::{Nonce, SecretKey, Tag, XChaCha20Poly1305};

use super::{NONCE, TAG};

pub(crate) struct Aead(SecretKey);

impl Aead {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        Self(SecretKey::from(*key))
    }

    /// Encrypt `buffer[from..]` in place and append the tag. `None` if it is absurdly long.
    pub(crate) fn seal(&self, nonce: &[u8; NONCE], ad: &[u8], buffer: &mut Vec<u8>, from: usize) -> Option<()> {
        let plaintext = buffer.get_mut(from..)?;
        let tag = XChaCha20Poly1305::seal_inplace(&self.0, &Nonce::from(*nonce), Some(ad), plaintext).ok()?;
        buffer.extend_from_slice(tag.unprotected_as_ref());
        Some(())
    }

    /// Decrypt `sealed` (ciphertext and tag) in place. `None`, and the plaintext is not released, unless it is authentic.
    pub(crate) fn open<'a>(&self, nonce: &[u8; NONCE], ad: &[u8], sealed: &'a mut [u8]) -> Option<&'a mut [u8]> {
        let (ciphertext, tag) = sealed.split_last_chunk_mut::<TAG>()?;
        let tag = Tag::from(*tag);
        XChaCha20Poly1305::open_inplace(&self.0, &Nonce::from(*nonce), &tag, Some(ad), ciphertext).ok()?;
        Some(ciphertext)
    }
}
