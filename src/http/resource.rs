//! A protected resource: the MCP server, as its clients identify it (RFC 8707, RFC 9728).

use std::collections::BTreeSet;

use http::header::HeaderValue;
use serde_json::json;

use super::config_error::ConfigError;
use crate::grant::{Grant, Resource, Scope};
use crate::net::address;
use crate::shown::{shown, shown_url};

/// A protected resource and the scopes that it supports.
#[derive(Clone, Debug)]
pub struct ProtectedResource {
    resource: Resource,
    scopes: Scope,
    /// Scopes that include other scopes.
    broad: Vec<(String, Scope)>,
    name: Option<String>,
    /// The location of its metadata: a path, and the complete URL.
    metadata_path: String,
    metadata_url: String,
}

const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

impl ProtectedResource {
    /// The largest length of the identifier and the scopes together, in bytes, with one space between two scopes. It is
    /// half of a grant; the other half is for the subject, the client id and the application's claims.
    pub const MAX_BYTES: usize = Grant::MAX_BYTES / 2;

    /// Creates the resource `uri`, such as `https://mcp.example.com/mcp`, with these space-separated scopes.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Resource`] unless `uri` is `https` or on a loopback host, without query and fragment.
    /// [`ConfigError::NoScope`], [`ConfigError::Scope`] and [`ConfigError::OfflineAccess`] for scopes that a resource
    /// cannot have. [`ConfigError::ResourceTooLong`] beyond [`ProtectedResource::MAX_BYTES`].
    pub fn new(uri: &str, scopes: &str) -> Result<Self, ConfigError> {
        let no_resource = || ConfigError::Resource { found: shown_url(uri) };
        let resource = Resource::parse(uri).map_err(|_| no_resource())?;
        let parsed = address::parse(resource.as_str()).filter(|uri| uri.query().is_none());
        // RFC 9728 §3.1: the well-known path goes between the host and the path. A path of `/` alone counts as empty.
        let parsed = parsed.ok_or_else(no_resource)?;
        let path = if parsed.path() == "/" { "" } else { parsed.path() };
        let origin = resource.as_str().strip_suffix(path).unwrap_or_default();
        let (metadata_path, metadata_url) = (format!("{WELL_KNOWN}{path}"), format!("{origin}{WELL_KNOWN}{path}"));
        let setting = || format!("the scopes of resource {}", shown_url(uri));
        let scopes = parse_scopes(setting, scopes)?;
        if scopes.contains("offline_access") {
            return Err(ConfigError::OfflineAccess { setting: setting() });
        }
        let bytes = resource.as_str().len() + scopes.as_str().len();
        if bytes > Self::MAX_BYTES {
            let count = scopes.iter().count();
            return Err(ConfigError::ResourceTooLong { resource: shown_url(uri), bytes, count });
        }
        Ok(Self { resource, scopes, broad: Vec::new(), name: None, metadata_path, metadata_url })
    }

    /// Sets a name to show to users (`resource_name`).
    #[must_use]
    pub fn with_name(self, name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..self }
    }

    /// Declares that the scope `broad` includes the space-separated scopes in `narrow`. A
    /// [`BearerLayer`](super::BearerLayer) then accepts a token with `broad` where it requires one of them (MCP
    /// authorization specification, "Step-Up Authorization Flow"). Inclusion is not transitive.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Scope`] unless each is a scope and `broad` is exactly one. [`ConfigError::NoScope`] if one of
    /// them is empty.
    pub fn with_broad_scope(mut self, broad: impl Into<String>, narrow: &str) -> Result<Self, ConfigError> {
        let broad = broad.into();
        if parse_scopes(|| "a broad scope".to_owned(), &broad)?.as_str() != broad || broad.contains(' ') {
            return Err(ConfigError::Scope { setting: "a broad scope".to_owned(), found: shown(&broad) });
        }
        let narrow = parse_scopes(|| format!("what the broad scope {broad} stands for"), narrow)?;
        self.broad.push((broad, narrow));
        Ok(self)
    }

    /// Returns the identifier, which is also the audience of its tokens.
    pub fn resource(&self) -> &Resource {
        &self.resource
    }

    /// Returns the supported scopes.
    pub fn scopes(&self) -> &Scope {
        &self.scopes
    }

    /// Returns the path of its metadata (RFC 9728 §3.1).
    pub fn metadata_path(&self) -> &str {
        &self.metadata_path
    }

    /// Returns the URL of its metadata, as challenges name it (RFC 9728 §5.1).
    pub fn metadata_url(&self) -> &str {
        &self.metadata_url
    }

    /// Whether a token with the scope `held` may do what requires `needed`.
    pub(super) fn allows(&self, held: &Scope, needed: &Scope) -> bool {
        let implied = |token| self.broad.iter().any(|(broad, narrow)| held.contains(broad) && narrow.contains(token));
        needed.iter().all(|token| held.contains(token) || implied(token))
    }

    /// The metadata (RFC 9728 §2), which names the authorization server `issuer`.
    pub(super) fn metadata(&self, issuer: &str) -> serde_json::Value {
        let mut metadata = json!({
            "resource": self.resource.as_str(),
            "authorization_servers": [issuer],
            "scopes_supported": self.scopes.iter().collect::<Vec<_>>(),
            "bearer_methods_supported": ["header"],
        });
        if let Some(name) = &self.name {
            metadata["resource_name"] = name.as_str().into();
        }
        metadata
    }

    /// A `WWW-Authenticate` challenge for `scope` (RFC 6750 §3, RFC 9728 §5.1). Each part of it may be quoted.
    pub(super) fn challenge(&self, error: Option<&str>, scope: &Scope) -> HeaderValue {
        let mut challenge = String::from("Bearer ");
        if let Some(error) = error {
            challenge.push_str(&format!("error=\"{error}\", "));
        }
        if !scope.as_str().is_empty() {
            challenge.push_str(&format!("scope=\"{scope}\", "));
        }
        challenge.push_str(&format!("resource_metadata=\"{}\"", self.metadata_url));
        HeaderValue::try_from(challenge).unwrap_or(HeaderValue::from_static("Bearer"))
    }
}

/// Parses the space-separated scopes in `text`, of which `setting` needs at least one.
fn parse_scopes(setting: impl Fn() -> String, text: &str) -> Result<Scope, ConfigError> {
    let scope = optional_scopes(&setting, text)?;
    if scope.as_str().is_empty() { Err(ConfigError::NoScope { setting: setting() }) } else { Ok(scope) }
}

/// Parses the space-separated scopes in `text`, the value of `setting`.
pub(super) fn optional_scopes(setting: impl Fn() -> String, text: &str) -> Result<Scope, ConfigError> {
    Scope::parse(text).map_err(|_| {
        let bad = text.split(' ').find(|token| Scope::parse(token).is_err()).unwrap_or(text);
        ConfigError::Scope { setting: setting(), found: shown(bad) }
    })
}

/// The union of two scopes.
pub(super) fn union(one: &Scope, other: &Scope) -> Scope {
    let tokens: BTreeSet<&str> = one.iter().chain(other.iter()).collect();
    Scope::from_canonical(&tokens.into_iter().collect::<Vec<_>>().join(" "))
}

/// The intersection of two scopes.
pub(super) fn intersection(one: &Scope, other: &Scope) -> Scope {
    let tokens: Vec<&str> = one.iter().filter(|token| other.contains(token)).collect();
    Scope::from_canonical(&tokens.join(" "))
}
