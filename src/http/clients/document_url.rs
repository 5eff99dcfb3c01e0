//! Which client ids are addresses of documents, and safe to hand to a fetcher.

use crate::net::address;

/// The longest address of a document, in bytes: a grant holds it besides scope, resource, subject and claims.
const MAX_BYTES: usize = 512;

/// Names that belong to local networks or lead nowhere: RFC 6761, RFC 6762 (with Appendix G), RFC 7686, RFC 8375, ICANN's `internal`,
/// and those of services in a Kubernetes cluster, which its search domains complete.
#[rustfmt::skip]
const LOCAL: [&str; 15] = [
    "arpa", "cluster", "corp", "home", "internal", "intranet", "invalid", "lan", "local", "localdomain", "localhost", "onion",
    "private", "svc", "test",
];

/// Whether `client_id` is the address of a document (draft-ietf-oauth-client-id-metadata-document §3): `https`, a path without dot
/// segments, no query, fragment or user; and a host that is not known to be local. A fetcher might find another host or another path behind any
/// other spelling.
pub(super) fn is_document(client_id: &str) -> bool {
    let uri = Some(client_id).filter(|id| id.len() <= MAX_BYTES && id.starts_with("https://")).and_then(address::parse);
    uri.is_some_and(|uri| uri.query().is_none() && uri.host().is_some_and(is_public) && is_plain(uri.path()))
}

/// Whether a host is a name with a domain that is not known to be local, in its plain spelling.
fn is_public(host: &str) -> bool {
    let labels: Vec<&str> = host.split('.').collect();
    let is_label = |label: &&str| {
        (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-') && !label.starts_with('[')
    };
    // A host that ends in a number is an IPv4 address, in one of the many spellings of it (WHATWG URL, "ends in a number").
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

/// Whether a path is more than `/`, has no dot segments, and spells nothing with an escape that has a meaning without one.
fn is_plain(path: &str) -> bool {
    // What comes after a semicolon are parameters of the segment, to some servers.
    let is_dots = |segment: &str| matches!(segment.split(';').next(), Some("." | ".."));
    path.len() > 1 && !path.split('/').any(is_dots) && path.split('%').skip(1).all(is_needed)
}

/// Whether an escape, of which this is what comes after the `%`, stands for a byte that needs one: no letter, digit or dot (RFC 3986
/// §6.2.2.2), no separator, no control character, and no `%`, which would be another escape.
fn is_needed(escape: &str) -> bool {
    let byte = escape.get(..2).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    byte.and_then(|digits| u8::from_str_radix(digits, 16).ok()).is_some_and(|byte| {
        !byte.is_ascii_alphanumeric()
            && !byte.is_ascii_control()
            && !matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/' | b'\\' | b'%' | b';')
    })
}
