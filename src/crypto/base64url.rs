//! Base64url without padding, in two ways.
//!
//! Refresh tokens and authorization codes live long and are spelled rarely: they go through `base64ct`, whose time does not
//! depend on what it spells. Access tokens are spelled and read at every request and live for minutes. They go through the
//! vector code of `base64`, more than ten times as fast; on a processor without vectors that is a table, and what the
//! cache could tell about its use is ciphertext. Both refuse padding, foreign characters and stray trailing bits.

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

/// `prefix` and the spelling of `bytes`, in one buffer that is zeroized on drop. In constant time.
pub(crate) fn encode(prefix: &str, bytes: &[u8]) -> Option<Zeroizing<String>> {
    spell(prefix, bytes, |chars| Base64UrlUnpadded::encode(bytes, chars).is_ok())
}

/// The same, fast.
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

/// Read `chars` into `bytes`, all of which they must fill. In constant time.
pub(crate) fn decode(chars: &str, bytes: &mut [u8]) -> Option<()> {
    let expected = bytes.len();
    (Base64UrlUnpadded::decode(chars, bytes).ok()?.len() == expected).then_some(())
}

/// Read `chars` into the beginning of `buffer`, fast.
pub(crate) fn decode_fast<'a>(chars: &str, buffer: &'a mut [u8]) -> Option<&'a mut [u8]> {
    let length = FAST.decode_slice(chars, buffer).ok()?;
    buffer.get_mut(..length)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every length up to beyond what the vectors take at once, and every byte in every place of the last characters.
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
    fn neither_takes_another_spelling() {
        for text in ["AB", "AAB", "AA==", "A", "AA\n", "A+AA", "AAAA\n", "A/AA", "AAA=", " AAA"] {
            let mut buffer = [0; 8];
            assert!((0..4).all(|length| decode(text, &mut buffer[..length]).is_none()), "{text:?}");
            assert!(decode_fast(text, &mut buffer).is_none(), "{text:?}");
        }
    }
}
