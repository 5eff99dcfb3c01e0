//! `/.well-known/oauth-authorization-server`: the metadata that clients discover (RFC 8414).

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::http::clients::AuthMethod;
use crate::http::server::Config;

impl Config {
    /// Returns the metadata of the authorization server (RFC 8414 §2).
    pub(in crate::http) fn metadata(&self) -> Value {
        let url = |path| self.issuer.join(path);
        let scopes: BTreeSet<_> = self.resources.iter().flat_map(|resource| resource.scopes().iter()).collect();
        let methods = AuthMethod::ALL.map(|method| method.as_str());
        let mut metadata = json!({
            "issuer": self.issuer.as_str(),
            "authorization_endpoint": url("/authorize"),
            "token_endpoint": url("/token"),
            "revocation_endpoint": url("/revoke"),
            "scopes_supported": scopes,
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": methods,
            "revocation_endpoint_auth_methods_supported": methods,
            "authorization_response_iss_parameter_supported": true,
            "client_id_metadata_document_supported": self.documents,
        });
        if self.admit.is_some() {
            metadata["registration_endpoint"] = url("/register").into();
        }
        if !self.introspectors.is_empty() {
            metadata["introspection_endpoint"] = url("/introspect").into();
            metadata["introspection_endpoint_auth_methods_supported"] = json!(methods[1..]);
        }
        metadata
    }
}
