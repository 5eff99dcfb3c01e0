//! The metadata of a client (RFC 7591 §2).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::name;
use crate::audit::ErrorCode;
use crate::http::address::RedirectUri;

/// How a client authenticates at the token endpoint (RFC 7591 §2, `token_endpoint_auth_method`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum AuthMethod {
    /// `none`: a public client, which does not authenticate.
    None,
    /// `client_secret_basic`: the secret in an HTTP Basic header (RFC 6749 §2.3.1).
    ClientSecretBasic,
    /// `client_secret_post`: the secret in the form.
    ClientSecretPost,
}

impl AuthMethod {
    pub(crate) const ALL: [Self; 3] = [Self::None, Self::ClientSecretBasic, Self::ClientSecretPost];

    /// Returns the registered name.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::ClientSecretBasic => "client_secret_basic",
            Self::ClientSecretPost => "client_secret_post",
        }
    }
}

/// The checked metadata of a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ClientMetadata {
    /// The redirect URIs for its authorization codes; at least one, unless it is a resource server.
    pub redirect_uris: Vec<RedirectUri>,
    /// The name that the client chose, without invisible characters.
    pub name: Option<String>,
    /// How the client authenticates.
    pub auth_method: AuthMethod,
}

/// Why the metadata of a client was refused (RFC 7591 §3.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.as_str())]
#[non_exhaustive]
pub enum MetadataError {
    /// The metadata is not a JSON object, or `redirect_uris` is not an array.
    Malformed,
    /// There is no usable redirect URI, or more than 16.
    RedirectUris,
    /// The client does not use authorization codes.
    GrantTypes,
    /// The client supports no authentication method that this server supports.
    AuthMethod,
    /// The name contains control characters.
    Name,
    /// The application does not accept the client.
    NotWanted,
}

impl MetadataError {
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Malformed => "the client metadata must be a JSON object, with redirect_uris as an array",
            Self::RedirectUris => {
                "redirect_uris must have 1 to 16 URIs with https, http on a loopback host, or a permitted private-use scheme"
            }
            Self::GrantTypes => "grant_types must include authorization_code, and response_types must include code",
            Self::AuthMethod => "token_endpoint_auth_method must be none, client_secret_basic or client_secret_post",
            Self::Name => "client_name must not have control characters",
            Self::NotWanted => "this server does not accept the registration of this client",
        }
    }

    /// Returns the value of `error` in the response.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::RedirectUris => ErrorCode::InvalidRedirectUri,
            _ => ErrorCode::InvalidClientMetadata,
        }
    }
}

const MAX_REDIRECT_URIS: usize = 16;

/// The members that are used, unparsed, so that a malformed one does not discard the others.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Wire {
    redirect_uris: Value,
    client_name: Value,
    token_endpoint_auth_method: Value,
    /// The other methods that the client supports. The name is the one that servers use (RFC 8414 §2).
    token_endpoint_auth_methods_supported: Value,
    grant_types: Value,
    response_types: Value,
}

/// Returns the strings of an array, or the one string; any other value has none.
fn strings(value: &Value) -> impl Iterator<Item = &str> {
    let items = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    items.iter().filter_map(Value::as_str)
}

impl Wire {
    /// Whether the client uses authorization codes. A client that names no grant type means this one (RFC 7591 §2).
    fn takes_codes(&self) -> bool {
        let names = |list, needed| strings(list).next().is_none() || strings(list).any(|name| name == needed);
        names(&self.grant_types, "authorization_code") && names(&self.response_types, "code")
    }

    /// The authentication method that the client prefers, or else the first that it lists, out of `methods`. A client
    /// that prefers none gets the first of `methods`, unless its list excludes that.
    fn auth_method(&self, methods: &[AuthMethod]) -> Option<AuthMethod> {
        let listed: Vec<&str> = strings(&self.token_endpoint_auth_methods_supported).collect();
        let default = methods.first().map(AuthMethod::as_str);
        let preferred = match &self.token_endpoint_auth_method {
            Value::Null => default.filter(|name| listed.is_empty() || listed.contains(name)),
            preferred => preferred.as_str(),
        };
        let mut names = preferred.into_iter().chain(listed);
        names.find_map(|name| methods.iter().copied().find(|method| method.as_str() == name))
    }
}

impl ClientMetadata {
    /// Creates the metadata of a public client with these redirect URIs.
    ///
    /// # Errors
    ///
    /// [`MetadataError::RedirectUris`] if one of them is invalid, or if there are none or more than 16.
    pub fn new<'a>(redirect_uris: impl IntoIterator<Item = &'a str>) -> Result<Self, MetadataError> {
        Self::of(redirect_uris.into_iter().map(RedirectUri::parse))
    }

    /// Creates the metadata of an app on the user's machine, whose redirect URIs may have a private-use scheme too. A
    /// confidential client gets no code at those.
    ///
    /// # Errors
    ///
    /// [`MetadataError::RedirectUris`] if one of them is invalid, or if there are none or more than 16.
    pub fn native<'a>(redirect_uris: impl IntoIterator<Item = &'a str>) -> Result<Self, MetadataError> {
        Self::of(redirect_uris.into_iter().map(RedirectUri::parse_any))
    }

    fn of(redirect_uris: impl Iterator<Item = Option<RedirectUri>>) -> Result<Self, MetadataError> {
        let redirect_uris = redirect_uris.collect::<Option<_>>().ok_or(MetadataError::RedirectUris)?;
        Self { redirect_uris, name: None, auth_method: AuthMethod::None }.within_limits()
    }

    fn within_limits(self) -> Result<Self, MetadataError> {
        let fits = (1..=MAX_REDIRECT_URIS).contains(&self.redirect_uris.len());
        fits.then_some(self).ok_or(MetadataError::RedirectUris)
    }

    /// Whether codes may be sent to `uri`. A confidential client is not an app, because all users of an app could read
    /// its secret.
    pub(super) fn reaches(&self, uri: &RedirectUri) -> bool {
        self.auth_method == AuthMethod::None || !uri.is_private_use()
    }

    /// A text that is the same for the metadata of two clients that behave alike.
    pub(crate) fn canonical(&self) -> String {
        let mut uris: Vec<_> = self.redirect_uris.iter().map(RedirectUri::without_port).collect();
        uris.sort_unstable();
        uris.dedup();
        serde_json::json!([self.name, self.auth_method.as_str(), uris]).to_string()
    }

    /// Sets the name to show to users: the visible part of `name`, on one line, up to 128 characters. Format
    /// characters, such as those that change the direction of text, are removed.
    ///
    /// # Errors
    ///
    /// [`MetadataError::Name`] if `name` contains control characters.
    pub fn with_name(self, name: impl Into<String>) -> Result<Self, MetadataError> {
        let name = name::visible(&name.into()).map_err(|name::Control| MetadataError::Name)?;
        Ok(Self { name, ..self })
    }

    /// Parses the JSON of a registration request or of a client ID metadata document. `methods` are the authentication
    /// methods that the server supports for it; the first is the default. `permit` decides which redirect URIs are
    /// accepted.
    ///
    /// Values that cannot be used are ignored: redirect URIs, authentication methods, and unknown members.
    ///
    /// # Errors
    ///
    /// [`MetadataError`] if the rest is not sufficient.
    pub(crate) fn from_json(
        json: &[u8],
        methods: &[AuthMethod],
        permit: impl Fn(&RedirectUri) -> bool,
    ) -> Result<Self, MetadataError> {
        // Checked because serde accepts an array of the right values for a struct too.
        let object = Some(json).filter(|json| json.trim_ascii_start().starts_with(b"{"));
        let wire = object.and_then(|json| serde_json::from_slice::<Wire>(json).ok()).ok_or(MetadataError::Malformed)?;
        if !matches!(wire.redirect_uris, Value::Array(_) | Value::Null) {
            return Err(MetadataError::Malformed);
        }
        if !wire.takes_codes() {
            return Err(MetadataError::GrantTypes);
        }
        let auth_method = wire.auth_method(methods).ok_or(MetadataError::AuthMethod)?;
        let mut metadata = Self { redirect_uris: Vec::new(), name: None, auth_method };
        for uri in strings(&wire.redirect_uris).filter_map(RedirectUri::parse_any) {
            if metadata.reaches(&uri) && permit(&uri) && !metadata.redirect_uris.contains(&uri) {
                metadata.redirect_uris.push(uri);
            }
        }
        let metadata = metadata.within_limits()?;
        match wire.client_name.as_str().filter(|name| !name.is_empty()) {
            Some(name) => metadata.with_name(name),
            None => Ok(metadata),
        }
    }
}
