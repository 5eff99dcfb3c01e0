//! What a client says of itself (RFC 7591 §2).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::name;
use crate::audit::ErrorCode;
use crate::http::address::RedirectUri;

/// How a client authenticates at the token endpoint (RFC 7591 §2, `token_endpoint_auth_method`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum AuthMethod {
    /// Not at all: a public client.
    None,
    /// With its secret by HTTP Basic (RFC 6749 §2.3.1).
    ClientSecretBasic,
    /// With its secret in the form.
    ClientSecretPost,
}

impl AuthMethod {
    pub(crate) const ALL: [Self; 3] = [Self::None, Self::ClientSecretBasic, Self::ClientSecretPost];

    /// The registered name.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::ClientSecretBasic => "client_secret_basic",
            Self::ClientSecretPost => "client_secret_post",
        }
    }
}

/// What a client says of itself, checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ClientMetadata {
    /// Where its authorization codes may go; at least one, unless it is a resource server.
    pub redirect_uris: Vec<RedirectUri>,
    /// The name it gives itself, with nothing in it that cannot be seen.
    pub name: Option<String>,
    /// How it authenticates.
    pub auth_method: AuthMethod,
}

/// Why the metadata of a client was refused (RFC 7591 §3.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.as_str())]
#[non_exhaustive]
pub enum MetadataError {
    /// Not JSON, or a member of the wrong type.
    Malformed,
    /// No redirect URI that can be used, or too many of them.
    RedirectUris,
    /// A client that could not use what there is: it takes no codes.
    GrantTypes,
    /// No way to authenticate that this server has as well.
    AuthMethod,
    /// A name with control characters.
    Name,
    /// The application does not want it.
    NotWanted,
}

impl MetadataError {
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Malformed => "the client metadata is malformed",
            Self::RedirectUris => {
                "redirect_uris must have 1 to 16 that are https, http on a loopback host, or of a private-use scheme where allowed"
            }
            Self::GrantTypes => "the grant type authorization_code and the response type code are needed",
            Self::AuthMethod => "token_endpoint_auth_method must be none, client_secret_basic or client_secret_post",
            Self::Name => "client_name must not have control characters",
            Self::NotWanted => "this server does not register such a client",
        }
    }

    /// The value of `error`.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::RedirectUris => ErrorCode::InvalidRedirectUri,
            _ => ErrorCode::InvalidClientMetadata,
        }
    }
}

const MAX_REDIRECT_URIS: usize = 16;

/// The members that matter here, as they come: one that is odd does not cost the others.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Wire {
    redirect_uris: Value,
    client_name: Value,
    token_endpoint_auth_method: Value,
    /// What else the client can do. The name is the one that servers use of themselves (RFC 8414 §2).
    token_endpoint_auth_methods_supported: Value,
    grant_types: Value,
    response_types: Value,
}

/// The strings of an array, or of one string; there are none in anything else.
fn strings(value: &Value) -> impl Iterator<Item = &str> {
    let items = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    items.iter().filter_map(Value::as_str)
}

impl Wire {
    /// Whether the client would use the flow that there is. A client that names none means that one (RFC 7591 §2).
    fn takes_codes(&self) -> bool {
        let names = |list, needed| strings(list).next().is_none() || strings(list).any(|name| name == needed);
        names(&self.grant_types, "authorization_code") && names(&self.response_types, "code")
    }

    /// The way that the client prefers, or else the first that it lists, out of `methods`. A client that prefers none means the
    /// first of those, unless its list says otherwise.
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
    /// A client with these redirect URIs.
    ///
    /// # Errors
    ///
    /// [`MetadataError::RedirectUris`].
    pub fn new<'a>(redirect_uris: impl IntoIterator<Item = &'a str>) -> Result<Self, MetadataError> {
        Self::of(redirect_uris.into_iter().map(RedirectUri::parse))
    }

    /// A client that is an app on the user's machine: its redirect URIs may have a private-use scheme as well. A confidential
    /// client gets no code at those.
    ///
    /// # Errors
    ///
    /// [`MetadataError::RedirectUris`].
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

    /// Whether codes may go to `uri`: a confidential client is no app, whose secret everyone who has the app could read.
    pub(super) fn reaches(&self, uri: &RedirectUri) -> bool {
        self.auth_method == AuthMethod::None || !uri.is_private_use()
    }

    /// The text that is the same for the metadata of two clients that behave alike.
    pub(crate) fn canonical(&self) -> String {
        let mut uris: Vec<_> = self.redirect_uris.iter().map(RedirectUri::without_port).collect();
        uris.sort_unstable();
        uris.dedup();
        serde_json::json!([self.name, self.auth_method.as_str(), uris]).to_string()
    }

    /// The same, with a name to show to users: what can be seen of `name`, on one line, up to 128 characters. Format characters,
    /// such as those that turn the direction of text, are left out.
    ///
    /// # Errors
    ///
    /// [`MetadataError::Name`].
    pub fn with_name(self, name: impl Into<String>) -> Result<Self, MetadataError> {
        let name = name::visible(&name.into()).map_err(|name::Control| MetadataError::Name)?;
        Ok(Self { name, ..self })
    }

    /// Read the JSON of a registration request or of a client-ID metadata document. `methods` are the ways to authenticate that
    /// the server has for it, the first of them for a client that does not say; `permit` says which redirect URIs it takes.
    ///
    /// What cannot be used is left out, and counts for nothing: redirect URIs, ways to authenticate, and members that mean nothing here.
    ///
    /// # Errors
    ///
    /// [`MetadataError`], if what is left is not enough.
    pub(crate) fn from_json(
        json: &[u8],
        methods: &[AuthMethod],
        permit: impl Fn(&RedirectUri) -> bool,
    ) -> Result<Self, MetadataError> {
        // An array of the right values would do for a struct, too.
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
