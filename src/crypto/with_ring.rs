//! XChaCha20-Poly1305 on ring, which provides ChaCha20-Poly1305 with nonces of 12 bytes.
//!
//! `XChaCha20(key, nonce) = ChaCha20(HChaCha20(key, nonce[..16]), 0000 ‖ nonce[16..])` (draft-irtf-cfrg-xchacha-03
//! §2.3). The key kept here and the subkey of each call are zeroized. The copy of the subkey inside ring's key object
//! is not, because ring does not zeroize: it stays on the stack until that is overwritten, and it opens only what was
//! sealed with that one nonce.

use chacha20::{R20, hchacha};
use ring::aead::{self, Aad, CHACHA20_POLY1305, LessSafeKey, UnboundKey};
use zeroize::Zeroizing;

use super::{NONCE, TAG};

pub(crate) struct Aead(Zeroizing<[u8; 32]>);

impl Aead {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        Self(Zeroizing::new(*key))
    }

    /// Encrypts `buffer[from..]` in place and appends the tag. Returns `None` if `from` is out of range or the text is
    /// too long for the cipher.
    pub(crate) fn seal(&self, nonce: &[u8; NONCE], ad: &[u8], buffer: &mut Vec<u8>, from: usize) -> Option<()> {
        let (key, nonce) = self.for_nonce(nonce)?;
        let tag = key.seal_in_place_separate_tag(nonce, Aad::from(ad), buffer.get_mut(from..)?).ok()?;
        buffer.extend_from_slice(tag.as_ref());
        Some(())
    }

    /// Decrypts `sealed` (ciphertext and tag) in place. Returns `None` unless it is authentic; the plaintext is then
    /// not released.
    pub(crate) fn open<'a>(&self, nonce: &[u8; NONCE], ad: &[u8], sealed: &'a mut [u8]) -> Option<&'a mut [u8]> {
        let (key, nonce) = self.for_nonce(nonce)?;
        let (ciphertext, tag) = sealed.split_last_chunk_mut::<TAG>()?;
        key.open_in_place_separate_tag(nonce, Aad::from(ad), (*tag).into(), ciphertext, 0..).ok()
    }

    // Inlined, because ring's key object is large and some builds would move it.
    #[inline(always)]
    fn for_nonce(&self, nonce: &[u8; NONCE]) -> Option<(LessSafeKey, aead::Nonce)> {
        let (first, last) = nonce.split_first_chunk::<16>()?;
        let subkey = Zeroizing::new(<[u8; 32]>::from(hchacha::<R20>(&(*self.0).into(), &(*first).into())));
        let mut short = [0; aead::NONCE_LEN];
        short[4..].copy_from_slice(last);
        let key = UnboundKey::new(&CHACHA20_POLY1305, subkey.as_ref()).ok()?;
        Some((LessSafeKey::new(key), aead::Nonce::assume_unique_for_key(short)))
    }
}
