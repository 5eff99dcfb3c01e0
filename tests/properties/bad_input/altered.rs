//! Everything that is nearly a genuine text.

use base64ct::{Base64UrlUnpadded, Encoding};

/// Each character that could be taken for another spelling of something, and some that mean nothing at all.
const FOREIGN: [&str; 16] =
    ["A", "_", "-", "+", "/", "=", "==", ".", " ", "\n", "\r\n", "\0", "%2D", "ä", "\u{feff}", "🔑"];

const PREFIXES: [&str; 8] = ["mcpat_", "mcprt_", "mcpac_", "MCPRT_", "mcprt-", "mcprt", "_", ""];

/// Every alteration of `token`, which is a prefix of six characters and base64url.
pub fn token(token: &str) -> Vec<String> {
    let (prefix, chars) = token.split_at(6);
    let mut altered = text(token);
    altered.extend(PREFIXES.map(|other| format!("{other}{chars}")));
    altered.extend(PREFIXES.map(|other| format!("{other}{token}")));
    altered.extend([chars.replace('-', "+"), chars.replace('_', "/")].map(|chars| format!("{prefix}{chars}")));
    let bytes = Base64UrlUnpadded::decode_vec(chars).unwrap();
    let spelled = |bytes: &[u8]| format!("{prefix}{}", Base64UrlUnpadded::encode_string(bytes));
    altered.extend(bits(&bytes).map(|bytes| spelled(&bytes)));
    altered.extend((0..bytes.len()).map(|length| spelled(&bytes[..length])));
    altered.extend((0..=bytes.len()).map(|at| spelled(&[&bytes[..at], &[0], &bytes[at..]].concat())));
    // The last character may have bits that spell nothing.
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    altered.extend(alphabet.chars().map(|last| format!("{}{last}", &token[..token.len() - 1])));
    altered.retain(|altered| altered != token);
    altered
}

/// Every alteration of an ASCII text that does not depend on what it means.
pub fn text(text: &str) -> Vec<String> {
    let mut altered = vec![text.to_uppercase(), text.to_lowercase(), text.repeat(2), text.chars().rev().collect()];
    // A byte beyond ASCII alone is no text, and no string holds it.
    altered.extend(bits(text.as_bytes()).filter_map(|bytes| String::from_utf8(bytes).ok()));
    for at in 0..=text.len() {
        let (front, back) = text.split_at(at);
        altered.extend([front.to_owned(), back.to_owned(), format!("{back}{front}")]);
        altered.extend(FOREIGN.map(|foreign| format!("{front}{foreign}{back}")));
    }
    for at in 0..text.len() {
        let (front, back) = (&text[..at], &text[at + 1..]);
        altered.extend([format!("{front}{back}"), format!("{front}ä{back}"), format!("{front}\0{back}")]);
    }
    altered.retain(|altered| altered != text);
    altered
}

/// Every bit turned over, one at a time.
pub fn bits(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (0..8 * bytes.len()).map(|bit| {
        let mut bytes = bytes.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        bytes
    })
}
