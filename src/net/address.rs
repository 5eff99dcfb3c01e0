//! Which addresses are accepted: `https`, or plain `http` on a loopback host.

use std::net::{Ipv4Addr, Ipv6Addr};

use http::Uri;

use super::uri::is_plain;

/// Whether `host` is a loopback host (RFC 8252 §7.3, §8.3).
pub(crate) fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
        || host.trim_matches(['[', ']']).parse::<Ipv6Addr>().is_ok_and(|ip| ip.is_loopback())
}

/// Parses an absolute URL that has a host, no fragment and no user information, and is `https` or on a loopback host.
pub(crate) fn parse(text: &str) -> Option<Uri> {
    let uri: Uri = text.parse().ok().filter(|_| is_plain(text))?;
    let host = uri.host().filter(|host| is_host(host))?;
    let port = uri.authority()?.as_str().strip_prefix(host)?;
    let good = match uri.scheme_str()? {
        "https" => true,
        "http" => is_loopback(host),
        _ => false,
    };
    let is_number = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    (good && (port.is_empty() || port.strip_prefix(':').is_some_and(is_number))).then_some(uri)
}

/// Whether `host` is a name or an address without the other characters that RFC 3986 §3.2.2 allows. An origin appears
/// in security policies, where a semicolon or an asterisk has a meaning.
fn is_host(host: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(plain),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_takes_nothing_but_a_port_after_the_host() {
        for good in
            ["https://a", "https://a:8443/b?c", "http://127.0.0.1:0/", "http://[::1]:65535/cb", "http://localhost"]
        {
            assert!(parse(good).is_some(), "{good}");
        }
        for bad in [
            "http://127.0.0.1:evil.example/",
            "http://[::1]evil.example/",
            "http://localhost:/",
            "http://localhost:+80/",
            "http://localhost:65536/",
            "http://localhost:80@evil.example/",
            "https://user@a/",
            "https://:80/",
            "https:///a",
            "https://a/#",
            "https://a\\b",
            "http://a/",
            "ftp://localhost/",
            "/a",
            "",
        ] {
            assert!(parse(bad).is_none(), "{bad}");
        }
    }
}
