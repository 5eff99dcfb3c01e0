//! How a service is asked for an authorization, as data.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::endpoint::Endpoint;
use super::quirks::added_to;
use crate::vault::{AuthorizeParameters, ExpectedIssuer, SecretText};

/// The authorization endpoint of a service, and how its requests and callbacks deviate from RFC 6749 §4.1.
///
/// A second account of a user at the same service often needs a parameter that lets the user choose it:
///
/// ```
/// use mcp_token_lifecycle::vault::{SecretText, Service};
///
/// let mut service = Service::github("Iv1.0123456789abcdef", SecretText::new("the client secret"))?;
/// if let Some(authorization) = &mut service.authorization {
///     authorization.parameters.insert("prompt".to_owned(), "select_account".to_owned());
/// }
/// # Ok::<(), mcp_token_lifecycle::vault::EndpointError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Authorization {
    /// The authorization endpoint (RFC 6749 §3.1).
    pub endpoint: Endpoint,
    /// Additional parameters of the authorization request. One with the name of a standard parameter is not sent.
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
    /// The name of the parameter with the requested scope.
    #[serde(default = "scope")]
    pub scope_parameter: String,
    /// The separator of the requested scope tokens.
    #[serde(default = "space")]
    pub scope_separator: char,
    /// Whether the request has a code challenge and the exchange its verifier (RFC 7636). A service that does not know
    /// PKCE should ignore both (RFC 6749 §3.1, §3.2). Switch it off only for a service that refuses unknown parameters.
    #[serde(default = "yes")]
    pub pkce: bool,
    /// Additional parameters of the exchange. One with the name of a standard parameter replaces it.
    #[serde(default)]
    pub exchange_parameters: BTreeMap<String, String>,
    /// The issuer identifier of the service, with which the `iss` of a callback is compared byte for byte (RFC 9207).
    /// Without it an `iss` is not looked at.
    #[serde(default)]
    pub issuer: Option<String>,
    /// Whether a callback without `iss` is refused: set it if the service's metadata has
    /// `authorization_response_iss_parameter_supported` (RFC 9207 §3).
    #[serde(default)]
    pub requires_issuer: bool,
}

fn scope() -> String {
    "scope".to_owned()
}

fn space() -> char {
    ' '
}

fn yes() -> bool {
    true
}

/// The names that [`Authorization::parameters`] cannot replace.
const STANDARD: [&str; 6] =
    ["response_type", "client_id", "redirect_uri", "state", "code_challenge", "code_challenge_method"];

impl Authorization {
    /// Creates an authorization endpoint that follows the specifications.
    pub fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            parameters: BTreeMap::new(),
            scope_parameter: scope(),
            scope_separator: space(),
            pkce: true,
            exchange_parameters: BTreeMap::new(),
            issuer: None,
            requires_issuer: false,
        }
    }

    /// Adds a parameter of the authorization request.
    #[must_use]
    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.parameters.insert(name.to_owned(), value.to_owned());
        self
    }

    /// The URL that the browser is sent to. `added` are scope tokens that are requested in each case.
    pub(super) fn url(&self, client_id: &str, added: &str, request: &AuthorizeParameters<'_>) -> SecretText {
        let endpoint = self.endpoint.uri().to_string();
        let separator = if endpoint.contains('?') { '&' } else { '?' };
        let start = format!("{endpoint}{separator}");
        let length = start.len();
        let mut query = form_urlencoded::Serializer::for_suffix(start, length);
        query.append_pair("response_type", "code").append_pair("client_id", client_id);
        query.append_pair("redirect_uri", request.redirect_uri);
        let scope = added_to(request.scope, added, self.scope_separator);
        if !scope.is_empty() {
            query.append_pair(&self.scope_parameter, &scope);
        }
        query.append_pair("state", request.state.expose());
        if self.pkce {
            query.append_pair("code_challenge", request.code_challenge).append_pair("code_challenge_method", "S256");
        }
        let is_own = |name: &str| !STANDARD.contains(&name) && (name != self.scope_parameter || scope.is_empty());
        query.extend_pairs(self.parameters.iter().filter(|(name, _)| is_own(name)));
        SecretText::new(query.finish())
    }

    pub(super) fn expected_issuer(&self) -> Option<ExpectedIssuer<'_>> {
        let issuer = ExpectedIssuer::new(self.issuer.as_deref()?);
        Some(if self.requires_issuer { issuer.required() } else { issuer })
    }
}
