//! How an error shows the value of a setting without revealing a secret.

use std::fs::Metadata;
use std::path::Path;

/// Quotes the first characters of `value` and escapes everything that is not visible. A value that looks like a token
/// or a key is not shown, because it may have got into the wrong setting.
pub(crate) fn shown(value: &str) -> String {
    const MAX: usize = 100;
    if looks_secret(value) {
        return format!("{} bytes that look like a secret", value.len());
    }
    match value.char_indices().nth(MAX) {
        Some((end, _)) => format!("{:?} and {} more bytes", &value[..end], value.len() - end),
        None => format!("{value:?}"),
    }
}

/// Whether a value contains the prefix of a token or a client secret, or ends like a key in Base64.
fn looks_secret(value: &str) -> bool {
    const PREFIXES: [&str; 4] = ["mcpac_", "mcpat_", "mcprt_", "mcpcs_"];
    PREFIXES.iter().any(|prefix| value.contains(prefix)) || value.len() >= 24 && value.trim_end().ends_with('=')
}

/// Does the same for the path of a file, without quotes.
pub(crate) fn shown_path(path: &Path) -> String {
    let text = path.display().to_string();
    if looks_secret(&text) { shown(&text) } else { text }
}

/// Does the same for a URL, without its user information and its query, either of which may contain a password.
pub(crate) fn shown_url(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        // The text may be a password that got into the wrong setting.
        return format!("{} bytes without a scheme", url.len());
    };
    let end = rest.find(['?', '#']).unwrap_or(rest.len());
    if rest[end..].contains('@') {
        // A password may contain this mark, and then the mark does not end the address.
        return shown(&format!("{scheme}://.."));
    }
    let (address, query) = (&rest[..end], rest.get(end..=end).map(|mark| format!("{mark}..")).unwrap_or_default());
    let (user, address) = address.rsplit_once('@').map_or(("", address), |(_, address)| ("..@", address));
    shown(&format!("{scheme}://{user}{address}{query}"))
}

/// Returns the permission bits of a file on Unix, and `None` on other systems.
#[cfg_attr(not(unix), allow(unused_variables))]
pub(crate) fn mode(file: &Metadata) -> Option<u32> {
    #[cfg(unix)]
    return Some(std::os::unix::fs::PermissionsExt::mode(&file.permissions()) & 0o777);
    #[cfg(not(unix))]
    None
}

/// Returns the same for a file that may not open.
pub(crate) fn mode_of(path: &Path) -> Option<u32> {
    std::fs::metadata(path).ok().as_ref().and_then(mode)
}

pub(crate) fn shown_mode(mode: Option<u32>) -> String {
    mode.map_or(String::new(), |mode| format!(" (mode {mode:03o})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_is_shown_escaped_and_shortened() {
        assert_eq!(shown("a\n\u{202E}"), "\"a\\n\\u{202e}\"");
        assert_eq!(shown(&"é".repeat(101)), format!("\"{}\" and 2 more bytes", "é".repeat(100)));
    }

    #[test]
    fn value_that_looks_like_a_secret_is_not_shown() {
        for secret in ["mcprt_AQ", "/keys/mcpat_AQ", "1:B1cHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc="] {
            let expected = format!("{} bytes that look like a secret", secret.len());
            assert_eq!((shown(secret), shown_path(Path::new(secret))), (expected.clone(), expected));
        }
        assert_eq!(shown_path(Path::new("/var/lib/keys")), "/var/lib/keys");
    }

    #[test]
    fn url_is_shown_without_user_and_query() {
        for (url, expected) in [
            ("redis://user:secret@host:1/0", "\"redis://..@host:1/0\""),
            ("redis://:s@cret@host", "\"redis://..@host\""),
            ("http://host/path?password=secret", "\"http://host/path?..\""),
            ("http://host/path#secret", "\"http://host/path#..\""),
            ("redis://user:longsecret#1@host", "\"redis://..\""),
            ("redis://user:longsecret?1@host:1/0?a=b", "\"redis://..\""),
            ("redis://a@user:long?secret@host", "\"redis://..\""),
            ("https://host/path?user=a@secret", "\"https://..\""),
            ("secret", "6 bytes without a scheme"),
        ] {
            assert_eq!(shown_url(url), expected);
        }
    }
}
