//! The issuer identifier of the authorization server, and the redirect URIs of clients.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::net::address::{is_loopback, parse};
use crate::net::uri::{is_plain, is_scheme};

/// The issuer identifier of the authorization server (RFC 8414 §2). It is returned to clients byte for byte as it was
/// configured.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Issuer {
    text: String,
    path: String,
}

impl Issuer {
    /// Parses an identifier; `None` if it is not a valid one.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let uri = parse(text).filter(|uri| uri.query().is_none())?;
        Some(Self { text: text.to_owned(), path: uri.path().trim_end_matches('/').to_owned() })
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// The path of the identifier, without a slash at the end.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The URL of `path` under the identifier; `path` begins with a slash.
    pub(super) fn join(&self, path: &str) -> String {
        format!("{}{path}", self.text.trim_end_matches('/'))
    }
}

/// Schemes that a browser or the operating system handles itself. A redirect to one of them would run, open or call
/// what the URI names, so no redirect URI may have them. Schemes that begin with `ms-` or `x-` or end in `-ms` belong
/// to operating systems and are refused too.
#[rustfmt::skip]
const NEVER_PRIVATE: [&str; 59] = [
    "about", "acap", "afp", "android-app", "blob", "callto", "chrome", "chrome-extension", "cid", "content", "data", "dav",
    "edge", "facetime", "feed", "file", "filesystem", "ftp", "ftps", "geo", "git", "gopher", "hcp", "help", "http", "https",
    "imap", "intent", "itms-apps", "itms-services", "jar", "javascript", "ldap", "ldaps", "livescript", "mailto", "market", "mhtml", "microsoft-edge", "mid",
    "moz-extension", "news", "nfs", "nntp", "res", "resource", "sftp", "shell", "sip", "smb", "sms", "ssh", "tel", "telnet",
    "vbscript", "view-source", "wais", "ws", "wss",
];

/// A redirect URI of a client: `https`, or `http` on a loopback host (MCP authorization specification, "Communication
/// Security"), or a private-use scheme of an app on the user's machine (RFC 8252 §7.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RedirectUri {
    text: String,
    target: Target,
}

/// The kind of target of a redirect URI.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Target {
    /// A web server.
    Https,
    /// A program that listens on the user's machine, with the URI without its port.
    Loopback { portless: String },
    /// An app on the user's machine.
    App,
}

impl RedirectUri {
    /// The largest length of a redirect URI in bytes. A request that names it has to fit into a query.
    pub const MAX_BYTES: usize = 2048;

    /// Parses an absolute URI without a fragment. `None` if it is neither `https` nor on a loopback host, or longer
    /// than [`RedirectUri::MAX_BYTES`].
    pub fn parse(text: &str) -> Option<Self> {
        let uri = Some(text).filter(|text| text.len() <= Self::MAX_BYTES).and_then(parse)?;
        let host = uri.host()?;
        let target = match uri.scheme_str() {
            Some("http") => {
                let target = uri.path_and_query().map_or("", |target| target.as_str());
                Target::Loopback { portless: format!("{host}{target}") }
            }
            _ => Target::Https,
        };
        Some(Self { text: text.to_owned(), target })
    }

    /// Parses a URI with a private-use scheme and without a fragment, such as `com.example.app:/callback`.
    ///
    /// `None` if it is longer than [`RedirectUri::MAX_BYTES`], for `http` and `https`, and for known schemes that a
    /// browser or the operating system handles itself, such as `javascript`, `data` and `file`.
    pub fn parse_private_use(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once(':')?;
        let fits = text.len() <= Self::MAX_BYTES;
        let good = fits && is_private_use(scheme) && is_plain(text) && !rest.trim_start_matches('/').is_empty();
        good.then(|| Self { text: text.to_owned(), target: Target::App })
    }

    /// Parses a redirect URI of any kind.
    pub(super) fn parse_any(text: &str) -> Option<Self> {
        Self::parse(text).or_else(|| Self::parse_private_use(text))
    }

    /// Returns the URI, byte for byte as it was parsed.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns whether the URI is on a loopback host of the user's machine, where any program can listen.
    pub fn is_loopback(&self) -> bool {
        parse(&self.text).is_some_and(|uri| uri.host().is_some_and(is_loopback))
    }

    /// Returns whether the URI has a private-use scheme, which any app on the user's machine can claim.
    pub fn is_private_use(&self) -> bool {
        self.private_use_scheme().is_some()
    }

    fn private_use_scheme(&self) -> Option<&str> {
        self.text.split(':').next().filter(|_| self.target == Target::App)
    }

    /// Returns what to show to the user: scheme, host and port, or a private-use scheme with its colon.
    pub fn origin(&self) -> &str {
        if let Some(scheme) = self.private_use_scheme() {
            return &self.text[..=scheme.len()];
        }
        let host = self.text.find("://").map_or(0, |at| at + 3);
        let end = self.text[host..].find(['/', '?']).map_or(self.text.len(), |at| host + at);
        &self.text[..end]
    }

    /// Returns whether a request with the redirect URI `presented` means this one. They must be equal byte for byte,
    /// except for the port on a loopback host, which an application may choose when it starts (OAuth 2.1 §2.3.1,
    /// §8.4.2).
    pub fn matches(&self, presented: &str) -> bool {
        self.at(presented).is_some()
    }

    /// The redirect URI for the answer to a request with `presented`, if `presented` means this one.
    pub(super) fn at(&self, presented: &str) -> Option<Self> {
        if self.text == presented {
            return Some(self.clone());
        }
        Self::parse(presented).filter(|presented| self.takes_any_port() && presented.target == self.target)
    }

    /// Whether the port is ignored in comparisons.
    pub(super) fn takes_any_port(&self) -> bool {
        matches!(self.target, Target::Loopback { .. })
    }

    /// The text that is the same for all URIs that [`matches`](Self::matches) accepts.
    pub(super) fn without_port(&self) -> &str {
        match &self.target {
            Target::Loopback { portless } => portless,
            Target::Https | Target::App => &self.text,
        }
    }
}

/// Whether `scheme` may be a private-use scheme.
fn is_private_use(scheme: &str) -> bool {
    let scheme = scheme.to_ascii_lowercase();
    let is_of_system = scheme.starts_with("ms-") || scheme.starts_with("x-") || scheme.ends_with("-ms");
    is_scheme(&scheme) && !is_of_system && !NEVER_PRIVATE.contains(&scheme.as_str())
}

/// The private-use schemes that self-registered clients may use. `None` permits none.
#[derive(Clone, Debug, Default)]
pub(super) struct PrivateUseSchemes(Option<Vec<String>>);

/// A scheme that is refused as a private-use scheme, because a browser or the operating system handles it itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a private-use scheme must not be one that a browser or the operating system handles itself, got {scheme:?}")]
#[non_exhaustive]
pub struct SchemeError {
    /// The scheme.
    pub scheme: String,
}

impl PrivateUseSchemes {
    /// Permits reversed domain names and the schemes in `named`.
    pub(super) fn new<'a>(named: impl IntoIterator<Item = &'a str>) -> Result<Self, SchemeError> {
        let check = |scheme: &str| match is_private_use(scheme) {
            true => Ok(scheme.to_ascii_lowercase()),
            false => Err(SchemeError { scheme: scheme.to_owned() }),
        };
        Ok(Self(Some(named.into_iter().map(check).collect::<Result<_, _>>()?)))
    }

    /// Whether `uri` may be a redirect URI. Other kinds than private-use schemes are always permitted.
    pub(super) fn permit(&self, uri: &RedirectUri) -> bool {
        let Some(scheme) = uri.private_use_scheme().map(str::to_ascii_lowercase) else { return true };
        // RFC 8252 §8.4: only a scheme with a period is a domain name, which has an owner.
        let is_domain = scheme.contains('.') && scheme.split('.').all(|label| !label.is_empty());
        self.0.as_ref().is_some_and(|named| is_domain || named.contains(&scheme))
    }
}

impl fmt::Display for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TryFrom<String> for RedirectUri {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse_any(&text)
            .ok_or("a redirect URI must be https, http on a loopback host, or have a private-use scheme")
    }
}

impl From<RedirectUri> for String {
    fn from(uri: RedirectUri) -> Self {
        uri.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origin_is_safe_in_a_content_security_policy() {
        for authority in
            ["a.example;sandbox", "a.example,x", "*", "'self'", "a.example:80;x", "a.example:", "me@a.example"]
        {
            assert!(RedirectUri::parse(&format!("https://{authority}/cb")).is_none(), "{authority}");
        }
        for (uri, origin) in [
            ("https://app.example/cb", "https://app.example"),
            ("https://app_1.example:8443?x=y", "https://app_1.example:8443"),
            ("http://127.0.0.1:7777/cb", "http://127.0.0.1:7777"),
            ("http://[::1]:7777/cb", "http://[::1]:7777"),
        ] {
            assert_eq!(RedirectUri::parse(uri).unwrap().origin(), origin);
        }
    }

    /// spec: RFC 8252 §7.1, §8.4
    #[test]
    fn parse_private_use_takes_apps_and_no_handlers() {
        for (uri, origin) in [
            ("cursor://anysphere.cursor-mcp/oauth/callback", "cursor:"),
            ("com.example.app:/cb", "com.example.app:"),
            ("com.example.app:cb?a=b", "com.example.app:"),
            ("a+b-1.c://x", "a+b-1.c:"),
        ] {
            let parsed = RedirectUri::parse_private_use(uri).unwrap();
            assert_eq!((parsed.as_str(), parsed.origin()), (uri, origin));
            assert!(parsed.is_private_use() && !parsed.is_loopback() && RedirectUri::parse(uri).is_none());
            assert!(parsed.matches(uri) && !parsed.matches(&format!("{uri}/")) && !parsed.matches(&uri.to_uppercase()));
        }
        let handled = NEVER_PRIVATE.iter().flat_map(|scheme| [scheme.to_string(), scheme.to_uppercase()]);
        for scheme in handled
            .chain(["ms-msdt", "MS-settings", "jAvAsCrIpT", "search-ms", "X-Apple.systempreferences"].map(Into::into))
        {
            assert!(RedirectUri::parse_private_use(&format!("{scheme}://a/b")).is_none(), "{scheme}");
            assert!(RedirectUri::parse_any(&format!("{scheme}:alert(1)")).is_none(), "{scheme}");
            assert_eq!(PrivateUseSchemes::new([&*scheme]).unwrap_err(), SchemeError { scheme });
        }
        for uri in [
            "app:",
            "app://",
            ":a",
            "/a",
            "",
            "1app:/a",
            "a_b:/a",
            "java\tscript:a",
            " app:/a",
            "app:/a b",
            "app:/a#b",
            "app:/ä",
            "app:\"a",
        ] {
            assert!(RedirectUri::parse_private_use(uri).is_none(), "{uri:?}");
        }
    }

    #[test]
    fn permit_takes_reversed_domains_and_named_schemes() {
        let permits = |schemes: &PrivateUseSchemes, uri: &str| schemes.permit(&RedirectUri::parse_any(uri).unwrap());
        let (none, some) = (PrivateUseSchemes::default(), PrivateUseSchemes::new(["Cursor"]).unwrap());
        for (uri, without, with) in [
            ("https://a/cb", true, true),
            ("http://127.0.0.1/cb", true, true),
            ("cursor://a/cb", false, true),
            ("CURSOR://a/cb", false, true),
            ("com.example.app:/cb", false, true),
            ("vscode://a/cb", false, false),
            ("localhost:3000/cb", false, false),
            ("javascript.:alert(1)", false, false),
        ] {
            assert_eq!((permits(&none, uri), permits(&some, uri)), (without, with), "{uri}");
        }
    }
}
