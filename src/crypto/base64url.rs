//! Base64url without padding, in constant time or fast.
//!
//! Refresh tokens and authorization codes are valid for long and are encoded rarely. They use `base64ct`, whose time
//! does not depend on the data. Access tokens are encoded and decoded at every request and are valid for minutes. They
//! use the vector code of `base64`, which is more than ten times as fast. On a processor without vectors `base64` uses
//! a table; the cache could reveal only ciphertext there. Both refuse padding, foreign characters and non-zero trailing
//! bits.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::NO_PAD;
use base64ct::{Base64UrlUnpadded, Encoding};
use zeroize::Zeroizing;

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
static FAST: LazyLock<base64::engine::Simd> = LazyLock::new(|| base64::engine::Simd::url_safe(NO_PAD));

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
static FAST: LazyLock<base64::engine::GeneralPurpose> =
    LazyLock::new(|| base64::engine::GeneralPurpose::new(&base64::alphabet::URL_SAFE, NO_PAD));

/// Encodes `bytes` behind `prefix` in constant time, in one buffer that is zeroized on drop.
pub(crate) fn encode(prefix: &str, bytes: &[u8]) -> Option<Zeroizing<String>> {
    spell(prefix, bytes, |chars| Base64UrlUnpadded::encode(bytes, chars).is_ok())
}

/// Does the same as [`encode`], fast and not in constant time.
pub(crate) fn encode_fast(prefix: &str, bytes: &[u8]) -> Option<Zeroizing<String>> {
    spell(prefix, bytes, |chars| FAST.encode_slice(bytes, chars).is_ok())
}

fn spell(prefix: &str, bytes: &[u8], write: impl FnOnce(&mut [u8]) -> bool) -> Option<Zeroizing<String>> {
    let mut text = vec![0; prefix.len() + (bytes.len() * 4).div_ceil(3)];
    let (head, chars) = text.split_at_mut(prefix.len());
    head.copy_from_slice(prefix.as_bytes());
    write(chars).then_some(())?;
    String::from_utf8(text).ok().map(Zeroizing::new)
}

/// Decodes `chars` into `bytes` in constant time. Returns `None` unless they fill `bytes` exactly.
pub(crate) fn decode(chars: &str, bytes: &mut [u8]) -> Option<()> {
    let expected = bytes.len();
    (Base64UrlUnpadded::decode(chars, bytes).ok()?.len() == expected).then_some(())
}

/// Decodes `chars` into the beginning of `buffer`, fast and not in constant time.
pub(crate) fn decode_fast<'a>(chars: &str, buffer: &'a mut [u8]) -> Option<&'a mut [u8]> {
    let length = FAST.decode_slice(chars, buffer).ok()?;
    buffer.get_mut(..length)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Covers every length beyond one vector, and every ASCII byte in each of the last four characters.
    #[test]
    fn both_ways_agree() {
        for length in 0..300 {
            let bytes: Vec<u8> = (0..length).map(|at| (at * 37 + length) as u8).collect();
            let text = encode("", &bytes).unwrap();
            assert_eq!(*text, *encode_fast("", &bytes).unwrap());
            for (at, byte) in (0..text.len()).rev().take(4).flat_map(|at| (0..128).map(move |byte| (at, byte))) {
                let mut changed = text.as_bytes().to_vec();
                changed[at] = byte;
                let changed = String::from_utf8(changed).unwrap();
                let (mut slow, mut fast) = (vec![0; length], vec![0; length + 3]);
                let slow = decode(&changed, &mut slow).map(|()| slow);
                assert_eq!(slow.as_deref(), decode_fast(&changed, &mut fast).map(|bytes| &*bytes));
            }
        }
    }

    #[test]
    fn decode_and_decode_fast_refuse_another_spelling() {
        for text in ["AB", "AAB", "AA==", "A", "AA\n", "A+AA", "AAAA\n", "A/AA", "AAA=", " AAA"] {
            let mut buffer = [0; 8];
            assert!((0..4).all(|length| decode(text, &mut buffer[..length]).is_none()), "{text:?}");
            assert!(decode_fast(text, &mut buffer).is_none(), "{text:?}");
        }
    }
}
