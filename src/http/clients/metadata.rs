//! What a client says of itself (RFC 7591 §2).

use serde::{Deserialize, Serialize};

use super::super::address::RedirectUri;
use super::name;
use crate::response::ErrorCode;

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

    fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str() == name)
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
    /// No redirect URI, too many, or one that is neither `https` nor on a loopback host.
    RedirectUris,
    /// A client that could not use what there is: it takes no codes.
    GrantTypes,
    /// A way to authenticate that there is not.
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
            Self::RedirectUris => "redirect_uris must be https, or http on a loopback host",
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

/// The members that matter here, as they come.
#[derive(Deserialize)]
struct Wire {
    redirect_uris: Option<Vec<String>>,
    client_name: Option<String>,
    token_endpoint_auth_method: Option<String>,
    grant_types: Option<Vec<String>>,
    response_types: Option<Vec<String>>,
}

impl ClientMetadata {
    /// A client with these redirect URIs.
    ///
    /// # Errors
    ///
    /// [`MetadataError::RedirectUris`].
    pub fn new<'a>(redirect_uris: impl IntoIterator<Item = &'a str>) -> Result<Self, MetadataError> {
        let uris: Option<Vec<_>> = redirect_uris.into_iter().map(RedirectUri::parse).collect();
        let redirect_uris = uris.filter(|uris| !uris.is_empty() && uris.len() <= MAX_REDIRECT_URIS);
        let redirect_uris = redirect_uris.ok_or(MetadataError::RedirectUris)?;
        Ok(Self { redirect_uris, name: None, auth_method: AuthMethod::None })
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

    /// Read the JSON of a registration request or of a client-ID metadata document; `default` is how a client authenticates
    /// that does not say.
    ///
    /// # Errors
    ///
    /// [`MetadataError`]. Members that mean nothing here are left out.
    pub(crate) fn from_json(json: &[u8], default: AuthMethod) -> Result<Self, MetadataError> {
        // An array of the right values would do for a struct, too.
        let object = Some(json).filter(|json| json.trim_ascii_start().starts_with(b"{"));
        let wire = object.and_then(|json| serde_json::from_slice::<Wire>(json).ok()).ok_or(MetadataError::Malformed)?;
        let without =
            |list: &Option<Vec<String>>, needed| list.as_ref().is_some_and(|l| !l.iter().any(|x| x == needed));
        if without(&wire.grant_types, "authorization_code") || without(&wire.response_types, "code") {
            return Err(MetadataError::GrantTypes);
        }
        let metadata = Self::new(wire.redirect_uris.iter().flatten().map(String::as_str))?;
        let metadata = match wire.client_name {
            Some(name) => metadata.with_name(name)?,
            None => metadata,
        };
        let auth_method = wire.token_endpoint_auth_method.map_or(Some(default), |name| AuthMethod::parse(&name));
        Ok(Self { auth_method: auth_method.ok_or(MetadataError::AuthMethod)?, ..metadata })
    }
}
