//! The URL of an endpoint, and why one is refused.

use http::Uri;
use serde::Deserialize;

use crate::net::address;

/// The URL of an endpoint: `https`, or `http` on a loopback host.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Endpoint(Uri);

impl Endpoint {
    /// Parses an absolute URL without a fragment and without user information.
    ///
    /// # Errors
    ///
    /// [`EndpointError`] for any other text.
    pub fn parse(url: &str) -> Result<Self, EndpointError> {
        address::parse(url).map(Self).ok_or_else(|| EndpointError::of(url))
    }

    pub(in crate::vault) fn uri(&self) -> &Uri {
        &self.0
    }
}

impl TryFrom<String> for Endpoint {
    type Error = EndpointError;

    fn try_from(url: String) -> Result<Self, EndpointError> {
        Self::parse(&url)
    }
}

/// A URL that is refused as an endpoint, or a client id, tenant or host that does not fit into one.
///
/// The text contains the URL without user information, query and fragment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an endpoint must be https, or http on a loopback host, without user information or fragment, got {shown:?}")]
#[non_exhaustive]
pub struct EndpointError {
    shown: String,
}

impl EndpointError {
    /// Creates the error from `url`, without the parts that may be secret: user information, query, fragment.
    pub(super) fn of(url: &str) -> Self {
        const LONGEST: usize = 200;
        let (public, rest) = url.split_at(url.find(['?', '#']).unwrap_or(url.len()));
        let scheme = public.find("://").map_or("", |at| &public[..at + 3]);
        let shown = match public.rsplit_once('@') {
            // A password may contain `@`, so the user information may end further on.
            _ if rest.contains('@') => format!("{scheme}.."),
            Some((_, address)) => format!("{scheme}..@{address}"),
            None => public.to_owned(),
        };
        Self { shown: shown.chars().take(LONGEST).collect() }
    }
}
