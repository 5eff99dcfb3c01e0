//! How an error shows the value of a setting.

use std::fs::Metadata;
use std::path::Path;

/// The first characters of `value` in quotes, with everything escaped that cannot be seen.
pub(crate) fn shown(value: &str) -> String {
    const MAX: usize = 100;
    match value.char_indices().nth(MAX) {
        Some((end, _)) => format!("{:?} and {} more bytes", &value[..end], value.len() - end),
        None => format!("{value:?}"),
    }
}

/// The same for a URL, without its user information and its query, either of which may hold a password.
pub(crate) fn shown_url(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        // It may be anything: a password in the wrong place, too.
        return format!("{} bytes without a scheme", url.len());
    };
    let end = rest.find(['?', '#']).unwrap_or(rest.len());
    let (address, query) = (&rest[..end], rest.get(end..=end).map(|mark| format!("{mark}..")).unwrap_or_default());
    let (user, address) = address.rsplit_once('@').map_or(("", address), |(_, address)| ("..@", address));
    shown(&format!("{scheme}://{user}{address}{query}"))
}

/// The permission bits of a file, where there are such.
#[cfg_attr(not(unix), allow(unused_variables))]
pub(crate) fn mode(file: &Metadata) -> Option<u32> {
    #[cfg(unix)]
    return Some(std::os::unix::fs::PermissionsExt::mode(&file.permissions()) & 0o777);
    #[cfg(not(unix))]
    None
}

/// The same for a file that may not open.
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
    fn url_is_shown_without_user_and_query() {
        for (url, expected) in [
            ("redis://user:secret@host:1/0", "\"redis://..@host:1/0\""),
            ("redis://:s@cret@host", "\"redis://..@host\""),
            ("http://host/path?password=secret", "\"http://host/path?..\""),
            ("http://host/path#secret", "\"http://host/path#..\""),
            ("secret", "6 bytes without a scheme"),
        ] {
            assert_eq!(shown_url(url), expected);
        }
    }
}
