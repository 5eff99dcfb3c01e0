//! A protected resource: the MCP server itself, as its clients name it (RFC 8707, RFC 9728).

use http::header::HeaderValue;
use serde_json::json;

use super::server::SiteError;
use crate::address;
use crate::grant::{Resource, Scope};

/// A protected resource, with the scopes it knows.
#[derive(Clone, Debug)]
pub struct ProtectedResource {
    resource: Resource,
    scopes: Scope,
    /// Scopes that stand for others too.
    broad: Vec<(String, Scope)>,
    name: Option<String>,
    /// Where its metadata is: a path, and the whole URL.
    metadata_path: String,
    metadata_url: String,
}

const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

impl ProtectedResource {
    /// The resource at `uri`, such as `https://mcp.example.com/mcp`, with these space-separated scopes.
    ///
    /// # Errors
    ///
    /// [`SiteError::Resource`] unless it is `https` or on a loopback host, without a query; [`SiteError::Scope`] if there is no
    /// scope, if one has a character that is not allowed, or is `offline_access`, which is no scope of a resource.
    pub fn new(uri: &str, scopes: &str) -> Result<Self, SiteError> {
        let resource = Resource::parse(uri).map_err(|_| SiteError::Resource)?;
        let parsed = address::parse(resource.as_str()).filter(|uri| uri.query().is_none());
        // RFC 9728 §3.1: between host and path, where a `/` alone is no path.
        let path = parsed.as_ref().ok_or(SiteError::Resource)?.path();
        let path = if path == "/" { "" } else { path };
        let origin = resource.as_str().strip_suffix(path).unwrap_or_default();
        let (metadata_path, metadata_url) = (format!("{WELL_KNOWN}{path}"), format!("{origin}{WELL_KNOWN}{path}"));
        let scopes = Scope::parse(scopes).map_err(|_| SiteError::Scope)?;
        if scopes.as_str().is_empty() || scopes.contains("offline_access") {
            return Err(SiteError::Scope);
        }
        Ok(Self { resource, scopes, broad: Vec::new(), name: None, metadata_path, metadata_url })
    }

    /// With a name to show to users (`resource_name`).
    #[must_use]
    pub fn with_name(self, name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..self }
    }

    /// With a scope that stands for others as well: whoever has `broad` has each of the space-separated `narrow` ones, wherever
    /// a [`BearerLayer`](super::BearerLayer) asks for them (MCP authorization specification, "Step-Up Authorization Flow").
    /// What those stand for in turn has to be named too.
    ///
    /// # Errors
    ///
    /// [`SiteError::Scope`] for a character that is not allowed.
    pub fn with_broad_scope(mut self, broad: impl Into<String>, narrow: &str) -> Result<Self, SiteError> {
        self.broad.push((broad.into(), Scope::parse(narrow).map_err(|_| SiteError::Scope)?));
        Ok(self)
    }

    /// Its identifier, and the audience of its tokens.
    pub fn resource(&self) -> &Resource {
        &self.resource
    }

    /// The scopes it knows.
    pub fn scopes(&self) -> &Scope {
        &self.scopes
    }

    /// The path of its metadata (RFC 9728 §3.1).
    pub fn metadata_path(&self) -> &str {
        &self.metadata_path
    }

    /// The URL of its metadata, as challenges name it (RFC 9728 §5.1).
    pub fn metadata_url(&self) -> &str {
        &self.metadata_url
    }

    /// Whether a token with the scope `held` may do what needs `needed`.
    pub(super) fn allows(&self, held: &Scope, needed: &Scope) -> bool {
        let implied = |token| self.broad.iter().any(|(broad, narrow)| held.contains(broad) && narrow.contains(token));
        needed.iter().all(|token| held.contains(token) || implied(token))
    }

    /// Its metadata (RFC 9728 §2), naming the authorization server `issuer`.
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

    /// A `WWW-Authenticate` challenge for `scope` (RFC 6750 §3, RFC 9728 §5.1); every part of it is known to be quotable.
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

/// What is in both scopes.
pub(super) fn common(one: &Scope, other: &Scope) -> Scope {
    let tokens: Vec<&str> = one.iter().filter(|token| other.contains(token)).collect();
    Scope::from_canonical(&tokens.join(" "))
}
