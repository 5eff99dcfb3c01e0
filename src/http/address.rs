//! The addresses of the authorization server and its clients.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::address::{is_loopback, parse};

/// The identifier of the authorization server (RFC 8414 §2): given out byte for byte as it was given in.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Issuer {
    text: String,
    path: String,
}

impl Issuer {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let uri = parse(text).filter(|uri| uri.query().is_none())?;
        Some(Self { text: text.to_owned(), path: uri.path().trim_end_matches('/').to_owned() })
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// Its path, without a slash at the end.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The URL of something under it; `path` begins with a slash.
    pub(super) fn join(&self, path: &str) -> String {
        format!("{}{path}", self.text.trim_end_matches('/'))
    }
}

/// A redirect URI of a client: `https`, or `http` on a loopback host (MCP authorization specification, "Communication
/// Security").
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RedirectUri {
    text: String,
    /// The same without its port, if it is on a loopback host.
    portless: Option<String>,
}

impl RedirectUri {
    /// The most bytes that a redirect URI may have: a request that names it has to fit into a query.
    pub const MAX_BYTES: usize = 2048;

    /// Parse an absolute URI without a fragment. `None` if it is neither `https` nor on a loopback host, or longer than
    /// [`RedirectUri::MAX_BYTES`].
    pub fn parse(text: &str) -> Option<Self> {
        let uri = Some(text).filter(|text| text.len() <= Self::MAX_BYTES).and_then(parse)?;
        let host = uri.host()?;
        let loopback = uri.scheme_str() == Some("http");
        let portless = || {
            let target = uri.path_and_query().map_or("", |target| target.as_str());
            format!("{host}{target}")
        };
        Some(Self { text: text.to_owned(), portless: loopback.then(portless) })
    }

    /// The URI, byte for byte as it was parsed.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is on the user's own machine, where any program can listen.
    pub fn is_loopback(&self) -> bool {
        parse(&self.text).is_some_and(|uri| uri.host().is_some_and(is_loopback))
    }

    /// Scheme, host and port: what to show to the user, and what a `form-action` has to allow.
    pub fn origin(&self) -> &str {
        let host = self.text.find("://").map_or(0, |at| at + 3);
        let end = self.text[host..].find(['/', '?']).map_or(self.text.len(), |at| host + at);
        &self.text[..end]
    }

    /// Whether a request that names `presented` means this one: byte for byte, but for the port on a loopback host, which an
    /// application takes as it comes (OAuth 2.1 §2.3.1, §8.4.2).
    pub fn matches(&self, presented: &str) -> bool {
        self.text == presented
            || self.portless.is_some()
                && Self::parse(presented).is_some_and(|presented| presented.portless == self.portless)
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
        Self::parse(&text).ok_or("a redirect URI must be https, or http on a loopback host")
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
    fn an_origin_can_be_put_into_a_content_security_policy() {
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
}
