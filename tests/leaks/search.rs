//! What must not be found, in all the ways it could be spelled.

use std::collections::{HashMap, HashSet};

use base64ct::{Base64, Encoding};
use hkdf::Hkdf;
use sha2::{Digest, Sha256};

use crate::support::RESOURCE;
use crate::support::forge::bytes_of;

/// A master key that looks like one.
pub fn master_key(number: u8) -> [u8; 32] {
    sha256([number])
}

pub fn sha256(bytes: impl AsRef<[u8]>) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Everything that is derived from a master key, and itself.
pub fn keys_of(master: [u8; 32]) -> Vec<[u8; 32]> {
    let hkdf = Hkdf::<Sha256>::new(Some(b"mcp-token-lifecycle v1"), &master);
    let subkeys = ["refresh", "guard", "access", "record", "index"].map(|label| {
        let mut key = [0; 32];
        hkdf.expand(label.as_bytes(), &mut key).unwrap();
        key
    });
    let tag = &sha256(RESOURCE)[..16];
    let mut of_resource = [0; 32];
    Hkdf::<Sha256>::from_prk(&subkeys[2]).unwrap().expand_multi_info(&[b"audience", tag], &mut of_resource).unwrap();
    [&[master, of_resource][..], &subkeys].concat()
}

/// The first of `needles` that is in `bytes`.
pub fn find_in_bytes<'a>(bytes: &[u8], needles: &'a [Vec<u8>]) -> Option<&'a [u8]> {
    let mut by_beginning: HashMap<&[u8], Vec<&[u8]>> = HashMap::new();
    for needle in needles {
        by_beginning.entry(&needle[..4]).or_default().push(needle);
    }
    let found = |at: usize| {
        let needles = by_beginning.get(&bytes[at..at + 4])?;
        needles.iter().copied().find(|needle| bytes[at..].starts_with(needle))
    };
    (0..bytes.len().saturating_sub(3)).find_map(found)
}

/// Both ends of a secret, so that one that is partly overwritten is found too.
pub fn ends(secret: &[u8]) -> [Vec<u8>; 2] {
    [secret[..16].to_vec(), secret[secret.len() - 16..].to_vec()]
}

/// The secret part of a token, as it is spelled: what comes behind the ids, numbers and the audience's tag.
pub fn secret_chars(token: &str) -> &str {
    &token[if token.starts_with("mcpat_") { 34 } else { 56 }..]
}

/// The secret part of a token, as bytes.
pub fn secret_bytes(token: &str) -> Vec<u8> {
    let bytes = bytes_of(token);
    bytes[if token.starts_with("mcpat_") { 21 } else { 37 }..].to_vec()
}

const WINDOW: usize = 12;

/// The first piece of a token, however short it was cut, or of a secret, however it was spelled, in any of the `texts`.
pub fn find_in_texts<'a>(texts: &'a [String], tokens: &[String], secrets: &[Vec<u8>]) -> Option<&'a str> {
    let windows = |text: &'a str| text.as_bytes().windows(WINDOW);
    let pieces: HashSet<&[u8]> =
        tokens.iter().flat_map(|token| secret_chars(token).as_bytes().windows(WINDOW)).collect();
    let spellings: Vec<String> = secrets.iter().flat_map(|secret| spellings(secret)).collect();
    texts.iter().map(String::as_str).find(|text| {
        windows(text).any(|window| pieces.contains(window)) || spellings.iter().any(|spelling| text.contains(spelling))
    })
}

/// The beginning and the end of `secret` as hexadecimal, as a list of numbers, and as Base64.
fn spellings(secret: &[u8]) -> Vec<String> {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let list = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte}, ")).collect::<String>();
    let mut all = vec![Base64::encode_string(&secret[..9])];
    for part in [&secret[..6], &secret[secret.len() - 7..secret.len() - 1]] {
        all.extend([hex(part), hex(part).to_uppercase(), list(part)]);
    }
    all
}

#[test]
fn find_in_texts_and_bytes_find_secrets_and_nothing_else() {
    let token = format!("mcprt_{}", "A".repeat(50) + &"abcdefghij".repeat(6)[..54]);
    let secret = master_key(1).to_vec();
    let found =
        |text: String| find_in_texts(&[text], std::slice::from_ref(&token), std::slice::from_ref(&secret)).is_some();
    assert!(found(format!("token={token}")) && found(token[90..105].to_owned()));
    assert!(found(format!("{secret:?}")) && found(format!("{:x?}", 1) + &spellings(&secret)[1]));
    assert!(!found(token[..60].to_owned()) && !found(format!("{:?}", master_key(2))));
    let needles = [b"abcde".to_vec(), b"bcdf".to_vec()];
    assert_eq!(find_in_bytes(b"abcdabcdf", &needles), Some(&b"bcdf"[..]));
    assert_eq!(find_in_bytes(b"abc", &needles), None);
}
