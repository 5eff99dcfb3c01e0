//! Where a browser goes after it has connected an account: a path of this server and of no other.

use http::uri::PathAndQuery;

use crate::net::uri::is_plain;

/// The longest path, in bytes.
const MAX: usize = 2048;

/// Whether `path` is a path with or without a query that a browser resolves on the host of the page.
///
/// A browser takes `//` and `/\` for the beginning of another host, and drops tabs and line breaks before it looks.
pub(super) fn is_local(path: &str) -> bool {
    let is_absolute = path.strip_prefix('/').is_some_and(|rest| !rest.starts_with(['/', '\\']));
    is_absolute && path.len() <= MAX && is_plain(path) && path.parse::<PathAndQuery>().is_ok()
}

/// Adds what happened to `path`.
pub(super) fn with_result(path: &str, service: &str, is_connected: bool) -> String {
    let separator = if path.contains('?') { '&' } else { '?' };
    let start = format!("{path}{separator}");
    let length = start.len();
    let result = if is_connected { "connected" } else { "denied" };
    let mut query = form_urlencoded::Serializer::for_suffix(start, length);
    query.append_pair("connect", result).append_pair("service", service);
    query.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_local_refuses_each_way_to_another_host() {
        for good in ["/", "/accounts", "/a/b?c=d&e=%2F%2Fevil.example", "/?next=//evil.example", "/a//b"] {
            assert!(is_local(good), "{good}");
        }
        for bad in [
            "",
            "accounts",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/\t/evil.example",
            "/\n/evil.example",
            "\t//evil.example",
            " //evil.example",
            "https://evil.example",
            "https:evil.example",
            "javascript:alert(1)",
            "/a#b",
            "/a b",
            "/ä",
            "/a\r\nSet-Cookie: b",
            "/a\\b",
        ] {
            assert!(!is_local(bad), "{bad:?}");
        }
        assert!(!is_local(&format!("/{}", "a".repeat(2048))));
    }

    #[test]
    fn with_result_keeps_the_query() {
        assert_eq!(with_result("/", "git", true), "/?connect=connected&service=git");
        assert_eq!(with_result("/a?b=c", "a&b", false), "/a?b=c&connect=denied&service=a%26b");
    }
}
