//! The bare AEAD, from the same crate that the library uses. It is the baseline for sealing and opening.

#[cfg(not(feature = "ring"))]
pub use pure::{Bare, NAME};
#[cfg(feature = "ring")]
pub use with_ring::{Bare, NAME};

#[cfg(not(feature = "ring"))]
mod pure {
    use chacha20poly1305::aead::{AeadInOut, KeyInit};
    use chacha20poly1305::{Tag, XChaCha20Poly1305, XNonce};

    pub const NAME: &str = "chacha20poly1305";

    pub struct Bare(XChaCha20Poly1305);

    impl Bare {
        pub fn new(key: &[u8; 32]) -> Self {
            Self(XChaCha20Poly1305::new(key.into()))
        }

        pub fn seal(&self, nonce: &[u8; 24], ad: &[u8], plaintext: &mut [u8]) -> [u8; 16] {
            self.0.encrypt_inout_detached(<&XNonce>::from(nonce), ad, plaintext.into()).unwrap().into()
        }

        pub fn open(&self, nonce: &[u8; 24], ad: &[u8], ciphertext: &mut [u8], tag: &[u8; 16]) {
            let tag = Tag::from(*tag);
            self.0.decrypt_inout_detached(<&XNonce>::from(nonce), ad, ciphertext.into(), &tag).unwrap();
        }
    }
}

#[cfg(feature = "ring")]
mod with_ring {
    use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};

    pub const NAME: &str = "ring";

    pub struct Bare([u8; 32]);

    impl Bare {
        pub fn new(key: &[u8; 32]) -> Self {
            Self(*key)
        }

        /// Derives a subkey with HChaCha20, which extends the 12-byte nonce of ring's cipher to 24 bytes.
        fn key(&self, nonce: &[u8; 24]) -> (LessSafeKey, Nonce) {
            let (first, last) = nonce.split_first_chunk::<16>().unwrap();
            let subkey = chacha20::hchacha::<chacha20::R20>(&self.0.into(), &(*first).into());
            let mut short = [0; 12];
            short[4..].copy_from_slice(last);
            let key = UnboundKey::new(&CHACHA20_POLY1305, &subkey).unwrap();
            (LessSafeKey::new(key), Nonce::assume_unique_for_key(short))
        }

        pub fn seal(&self, nonce: &[u8; 24], ad: &[u8], plaintext: &mut [u8]) -> [u8; 16] {
            let (key, nonce) = self.key(nonce);
            let tag = key.seal_in_place_separate_tag(nonce, Aad::from(ad), plaintext).unwrap();
            tag.as_ref().try_into().unwrap()
        }

        pub fn open(&self, nonce: &[u8; 24], ad: &[u8], ciphertext: &mut [u8], tag: &[u8; 16]) {
            let (key, nonce) = self.key(nonce);
            key.open_in_place_separate_tag(nonce, Aad::from(ad), (*tag).into(), ciphertext, 0..).unwrap();
        }
    }
}
