//! Which client ids are URLs of documents and safe to fetch.

use crate::net::address;

/// The longest URL of a document, in bytes: a grant holds it besides scope, resource, subject and claims.
const MAX_BYTES: usize = 512;

/// Names of local networks and names that do not resolve: RFC 6761, RFC 6762 (with Appendix G), RFC 7686, RFC 8375,
/// ICANN's `internal`, and those of services in a Kubernetes cluster, which its search domains complete.
#[rustfmt::skip]
const LOCAL: [&str; 15] = [
    "arpa", "cluster", "corp", "home", "internal", "intranet", "invalid", "lan", "local", "localdomain", "localhost", "onion",
    "private", "svc", "test",
];

/// Whether `client_id` is the URL of a document (draft-ietf-oauth-client-id-metadata-document §3): `https`, a path
/// without dot segments, no query, fragment or user information, and a host that is not known to be local. With any
/// other spelling a fetcher might reach another host or path.
pub(super) fn is_document(client_id: &str) -> bool {
    let uri = Some(client_id).filter(|id| id.len() <= MAX_BYTES && id.starts_with("https://")).and_then(address::parse);
    uri.is_some_and(|uri| uri.query().is_none() && uri.host().is_some_and(is_public) && is_plain(uri.path()))
}

/// Whether a host is a domain name that is not known to be local, in its plain spelling.
fn is_public(host: &str) -> bool {
    let labels: Vec<&str> = host.split('.').collect();
    let is_label = |label: &&str| {
        (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-') && !label.starts_with('[')
    };
    // A host that ends in a number is an IPv4 address, in one of its many spellings (WHATWG URL, "ends in a number").
    let is_number = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit()) || is_hexadecimal(label);
    let is_local = |label: &str| LOCAL.iter().any(|local| local.eq_ignore_ascii_case(label));
    labels.len() > 1
        && labels.iter().all(is_label)
        && labels.last().is_some_and(|last| !is_number(last) && !is_local(last))
}

fn is_hexadecimal(label: &str) -> bool {
    let digits = label.strip_prefix("0x").or_else(|| label.strip_prefix("0X"));
    digits.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Whether a path is longer than `/`, has no dot segments, and escapes no character that has a meaning without the
/// escape.
fn is_plain(path: &str) -> bool {
    // Some servers read the text after a semicolon as parameters of the segment.
    let is_dots = |segment: &str| matches!(segment.split(';').next(), Some("." | ".."));
    path.len() > 1 && !path.split('/').any(is_dots) && path.split('%').skip(1).all(is_needed)
}

/// Whether the byte of an escape needs it; `escape` is the text after the `%`. Letters, digits, dots (RFC 3986
/// §6.2.2.2), separators and control characters do not qualify, nor does `%`, which would begin another escape.
fn is_needed(escape: &str) -> bool {
    let byte = escape.get(..2).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    byte.and_then(|digits| u8::from_str_radix(digits, 16).ok()).is_some_and(|byte| {
        !byte.is_ascii_alphanumeric()
            && !byte.is_ascii_control()
            && !matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/' | b'\\' | b'%' | b';')
    })
}
