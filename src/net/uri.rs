//! Normalization of URIs, so that equivalent URIs are equal byte for byte (RFC 3986 §6.2.2, §6.2.3).

use std::net::Ipv6Addr;

/// Normalizes `uri`: scheme and host in lower case, no default port, no empty path, no dot segments, and
/// percent-encoding in capitals and only where it is needed. Returns `None` unless `uri` is absolute and has a host, no
/// user information and no fragment.
pub(crate) fn normalize(uri: &str) -> Option<String> {
    let (scheme, rest) = uri.split_once("://")?;
    let (authority, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (path, query) = rest.split_at(rest.find('?').unwrap_or(rest.len()));
    if !is_scheme(scheme) || !is_plain(rest) || !is_plain(authority) {
        return None;
    }
    let scheme = scheme.to_ascii_lowercase();
    let authority = normalize_authority(&scheme, authority)?;
    let path = normalize_path(path);
    let path = if path == "/" { "" } else { &path };
    Some(format!("{scheme}://{authority}{path}{}", normalize_percent(query)))
}

/// Normalizes a path: percent-encoding as in [`normalize`], and no dot segments (RFC 3986 §5.2.4).
pub(crate) fn normalize_path(path: &str) -> String {
    let path = normalize_percent(path);
    let Some(segments) = path.strip_prefix('/') else { return path };
    let mut kept = Vec::new();
    let mut segments = segments.split('/').peekable();
    while let Some(segment) = segments.next() {
        match segment {
            "." => {}
            ".." => drop(kept.pop()),
            segment => kept.push(segment),
        }
        // A dot segment at the end names a folder, so the slash before it stays.
        if segments.peek().is_none() && matches!(segment, "." | "..") {
            kept.push("");
        }
    }
    format!("/{}", kept.join("/"))
}

/// Whether `text` can be the scheme of a URI (RFC 3986 §3.1).
pub(crate) fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
}

/// Whether `text` is printable ASCII of the characters that a URI without a fragment may have.
pub(crate) fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'#' | b'"' | b'<' | b'>' | b'\\'))
}

fn normalize_authority(scheme: &str, authority: &str) -> Option<String> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map(|(address, port)| (&authority[..address.len() + 2], port))?,
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let host = match host.strip_prefix('[') {
        Some(address) => format!("[{}]", address.strip_suffix(']')?.parse::<Ipv6Addr>().ok()?),
        // The second pass restores the capitals of the percent-encoding that is left.
        None => normalize_percent(&normalize_percent(host).to_ascii_lowercase()),
    };
    let port = match port {
        "" | ":" => None,
        port => Some(port.strip_prefix(':').filter(|port| is_number(port))?.parse::<u16>().ok()?),
    };
    if host.is_empty() || host.contains('@') {
        return None;
    }
    match port.filter(|port| default_port(scheme) != Some(*port)) {
        Some(port) => Some(format!("{host}:{port}")),
        None => Some(host),
    }
}

fn is_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        _ => None,
    }
}

/// Decodes what need not be encoded (RFC 3986 §2.3) and capitalizes the rest. A `%` that encodes nothing becomes `%25`.
fn normalize_percent(text: &str) -> String {
    let mut parts = text.split('%');
    let mut normal = String::with_capacity(text.len());
    normal.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let digits = part.get(..2).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => normal.push(char::from(byte)),
            Some(byte) => normal.push_str(&format!("%{byte:02X}")),
            None => normal.push_str("%25"),
        }
        normal.push_str(&part[digits.map_or(0, str::len)..]);
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;

    /// spec: RFC 3986 §6.2.2, §6.2.3
    /// spec: MCP authorization §Canonical Server URI b
    #[test]
    fn normalize_gives_equivalent_uris_one_spelling() {
        for (spellings, normal) in [
            (
                &[
                    "https://h.example",
                    "https://h.example/",
                    "HTTPS://H.Example:443/",
                    "https://h.example:",
                    "https://h.example:0443",
                    "https://h%2Eexampl%45/.",
                ][..],
                "https://h.example",
            ),
            (
                &[
                    "https://h.example/mcp",
                    "https://h.example:443/mcp",
                    "https://h.example/%6dcp",
                    "https://h.example/%6Dcp",
                    "https://h.example/./mcp",
                    "https://h.example/a/../mcp",
                    "https://h.example/%2e%2E/mcp",
                ],
                "https://h.example/mcp",
            ),
            (&["http://h.example:80/a/b/..", "http://h.example/a/"], "http://h.example/a/"),
            (&["https://h.example/?a=%7e", "https://h.example?a=~"], "https://h.example?a=~"),
            (
                &["https://h.example/%c3%a4%2f?%c3", "https://h.example/%C3%A4%2F?%C3"],
                "https://h.example/%C3%A4%2F?%C3",
            ),
            (&["https://[0:0::1]:443/", "https://[::1]", "https://[::0001]:"], "https://[::1]"),
            (&["https://h.example/%4%31%+4%", "https://h.example/%254%31%25+4%25"], "https://h.example/%2541%25+4%25"),
            (&["http://127.0.0.1:8000/mcp"], "http://127.0.0.1:8000/mcp"),
            (&["app://Host:080/A//b/", "APP://host:80/A//b/"], "app://host:80/A//b/"),
        ] {
            for spelling in spellings {
                assert_eq!(normalize(spelling).as_deref(), Some(normal), "{spelling}");
                assert_eq!(normalize(normal).as_deref(), Some(normal));
            }
        }
    }

    #[test]
    fn normalize_keeps_different_uris_apart() {
        let different = [
            "https://h.example/mcp",
            "http://h.example/mcp",
            "https://h.example:80/mcp",
            "https://h.example./mcp",
            "https://h.example/mcp/",
            "https://h.example//mcp",
            "https://h.example/MCP",
            "https://h.example/mcp?",
            "https://h.example/a%2Fmcp",
            "https://h.example/a/mcp",
            "https://h.example/a%252Fmcp",
            "https://h.example/..%2Fmcp",
        ];
        let mut normal: Vec<_> = different.iter().map(|uri| normalize(uri).unwrap()).collect();
        normal.sort_unstable();
        normal.dedup();
        assert_eq!(normal.len(), different.len(), "{normal:#?}");
    }

    #[test]
    fn normalize_refuses_what_is_no_absolute_uri() {
        for uri in [
            "https://",
            "https:///a",
            "https://:443",
            "https://u@h",
            "https://h/#f",
            "https://h/ä",
            "https://h:65536",
            "https://h:+80",
            "https://h:80:80",
            "https://[::1",
            "https://[::g]",
            "https://[::1]x",
            "1a://h",
            "h/mcp",
            "urn:a:b",
            "",
        ] {
            assert_eq!(normalize(uri), None, "{uri}");
        }
    }
}
