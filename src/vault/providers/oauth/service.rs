//! An authorization server: its endpoints, how the client authenticates, and how it deviates from the specifications.

use http::Uri;
use serde::Deserialize;

use super::quirks::Quirks;
use crate::net::address;
use crate::vault::SecretText;

/// An authorization server, as data.
///
/// There are presets for GitHub, Slack, Google, Microsoft Entra, Atlassian, Linear, Notion and Salesforce. Each names
/// the documentation that it follows. The fields of a preset can be changed, for example for a GitHub Enterprise
/// server:
///
/// ```
/// use mcp_token_lifecycle::vault::{Endpoint, SecretText, Service};
///
/// let mut service = Service::github("Iv1.0123456789abcdef", SecretText::new("the client secret"))?;
/// service.token_endpoint = Endpoint::parse("https://github.example.com/login/oauth/access_token")?;
/// service.revocation = None;
/// # Ok::<(), mcp_token_lifecycle::vault::EndpointError>(())
/// ```
///
/// Another service can be read from the application's configuration:
///
/// ```
/// use mcp_token_lifecycle::vault::Service;
///
/// let service: Service = serde_json::from_str(
///     r#"{
///         "client_id": "my-client",
///         "authentication": { "basic": "the client secret" },
///         "token_endpoint": "https://as.example/token",
///         "revocation": ["https://as.example/revoke", "standard"],
///         "quirks": { "body": "json", "refresh_codes": { "session_gone": "invalid_grant" } }
///     }"#,
/// )?;
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Service {
    /// The client id of this application at the service.
    pub client_id: String,
    /// How the client authenticates.
    pub authentication: ClientAuthentication,
    /// The token endpoint, which refreshes tokens (RFC 6749 §3.2).
    pub token_endpoint: Endpoint,
    /// The revocation endpoint (RFC 7009 §2), if the service has one, and the kind of request that it takes.
    #[serde(default)]
    pub revocation: Option<(Endpoint, TokenRequest)>,
    /// The introspection endpoint (RFC 7662 §2), if the service has one, and the kind of request that it takes.
    #[serde(default)]
    pub introspection: Option<(Endpoint, TokenRequest)>,
    /// How the service deviates from the specifications.
    #[serde(default)]
    pub quirks: Quirks,
}

impl Service {
    /// Creates a service that follows the specifications, without revocation and introspection.
    pub fn new(client_id: impl Into<String>, authentication: ClientAuthentication, token_endpoint: Endpoint) -> Self {
        Self {
            client_id: client_id.into(),
            authentication,
            token_endpoint,
            revocation: None,
            introspection: None,
            quirks: Quirks::default(),
        }
    }

    /// Sets a revocation endpoint that follows RFC 7009.
    #[must_use]
    pub fn revoked_at(self, endpoint: Endpoint) -> Self {
        Self { revocation: Some((endpoint, TokenRequest::Standard)), ..self }
    }

    /// Sets an introspection endpoint that follows RFC 7662.
    #[must_use]
    pub fn introspected_at(self, endpoint: Endpoint) -> Self {
        Self { introspection: Some((endpoint, TokenRequest::Standard)), ..self }
    }

    /// GitHub, with [`Quirks::github`].
    ///
    /// Refresh tokens rotate. A revocation removes the user's whole authorization of the app, because GitHub has no
    /// other way to end a refresh token: "Delete an app authorization"
    /// (docs.github.com/en/rest/apps/oauth-applications).
    ///
    /// # Errors
    ///
    /// [`EndpointError`] if the client id does not fit into a URL.
    pub fn github(client_id: impl Into<String>, secret: SecretText) -> Result<Self, EndpointError> {
        let client_id = client_id.into();
        let application = format!("https://api.github.com/applications/{}", segment(&client_id)?);
        let token_endpoint = Endpoint::parse("https://github.com/login/oauth/access_token")?;
        Ok(Self {
            revocation: Some((Endpoint::parse(&format!("{application}/grant"))?, TokenRequest::GitHub)),
            introspection: Some((Endpoint::parse(&format!("{application}/token"))?, TokenRequest::GitHub)),
            quirks: Quirks::github(),
            ..Self::new(client_id, ClientAuthentication::Body(secret), token_endpoint)
        })
    }

    /// Slack user tokens, with [`Quirks::slack_user`]. For bot tokens set [`Quirks::slack_bot`].
    ///
    /// Refresh tokens rotate. A revocation ends the access token ("auth.revoke", docs.slack.dev). Slack does not
    /// document what it does to the refresh token.
    ///
    /// # Errors
    ///
    /// None at present.
    pub fn slack(client_id: impl Into<String>, secret: SecretText) -> Result<Self, EndpointError> {
        let token_endpoint = Endpoint::parse("https://slack.com/api/oauth.v2.access")?;
        Ok(Self {
            revocation: Some((Endpoint::parse("https://slack.com/api/auth.revoke")?, TokenRequest::Bearer)),
            introspection: Some((Endpoint::parse("https://slack.com/api/auth.test")?, TokenRequest::Bearer)),
            quirks: Quirks::slack_user(),
            ..Self::new(client_id, ClientAuthentication::Basic(secret), token_endpoint)
        })
    }

    /// Google, with [`Quirks::google`].
    ///
    /// A refresh returns no refresh token, and the old one stays: "Using OAuth 2.0 for Web Server Applications"
    /// (developers.google.com/identity/protocols/oauth2/web-server). A revocation takes the token alone. The
    /// documentation shows the token in the URL; this preset sends it in the body.
    ///
    /// # Errors
    ///
    /// None at present.
    pub fn google(client_id: impl Into<String>, secret: SecretText) -> Result<Self, EndpointError> {
        let token_endpoint = Endpoint::parse("https://oauth2.googleapis.com/token")?;
        Ok(Self {
            revocation: Some((Endpoint::parse("https://oauth2.googleapis.com/revoke")?, TokenRequest::TokenAlone)),
            quirks: Quirks::google(),
            ..Self::new(client_id, ClientAuthentication::Body(secret), token_endpoint)
        })
    }

    /// Microsoft Entra, with [`Quirks::entra`]. `tenant` is `common`, `organizations`, `consumers`, or the id or a
    /// domain of a tenant.
    ///
    /// A refresh names the scope that was granted, so put tokens for one resource into the vault with the scope of that
    /// resource. An answer has a new refresh token, and the old one stays valid until it expires. There is no
    /// revocation endpoint: the user or an administrator withdraws the consent (myapps.microsoft.com, or the Microsoft
    /// Graph).
    ///
    /// # Errors
    ///
    /// [`EndpointError`] if the tenant does not fit into a URL.
    pub fn entra(tenant: &str, client_id: impl Into<String>, secret: SecretText) -> Result<Self, EndpointError> {
        let tenant = segment(tenant)?;
        let token_endpoint = Endpoint::parse(&format!("https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token"))?;
        let service = Self::new(client_id, ClientAuthentication::Body(secret), token_endpoint);
        Ok(Self { quirks: Quirks::entra(), ..service })
    }

    /// Atlassian (Jira, Confluence), with [`Quirks::atlassian`]: OAuth 2.0 (3LO).
    ///
    /// Refresh tokens rotate, and a spent one is invalid. The documentation names no revocation endpoint: the user ends
    /// the grant in the account settings.
    ///
    /// # Errors
    ///
    /// None at present.
    pub fn atlassian(client_id: impl Into<String>, secret: SecretText) -> Result<Self, EndpointError> {
        let token_endpoint = Endpoint::parse("https://auth.atlassian.com/oauth/token")?;
        let service = Self::new(client_id, ClientAuthentication::Body(secret), token_endpoint);
        Ok(Self { quirks: Quirks::atlassian(), ..service })
    }

    /// Linear, with [`Quirks::linear`].
    ///
    /// Refresh tokens rotate. For 30 minutes a spent refresh token gets the same successor. A revocation takes the
    /// token alone.
    ///
    /// # Errors
    ///
    /// None at present.
    pub fn linear(client_id: impl Into<String>, secret: SecretText) -> Result<Self, EndpointError> {
        let token_endpoint = Endpoint::parse("https://api.linear.app/oauth/token")?;
        Ok(Self {
            revocation: Some((Endpoint::parse("https://api.linear.app/oauth/revoke")?, TokenRequest::TokenAlone)),
            quirks: Quirks::linear(),
            ..Self::new(client_id, ClientAuthentication::Basic(secret), token_endpoint)
        })
    }

    /// Notion, with [`Quirks::notion`].
    ///
    /// Refresh tokens rotate. An answer does not say how long its access token lives, so the vault refreshes when
    /// [`lease_after`](crate::vault::CredentialVault::lease_after) reports a refused one. Revocation and introspection
    /// take the access token.
    ///
    /// # Errors
    ///
    /// None at present.
    pub fn notion(client_id: impl Into<String>, secret: SecretText) -> Result<Self, EndpointError> {
        let at = |path| Endpoint::parse(&format!("https://api.notion.com/v1/oauth/{path}"));
        Ok(Self {
            revocation: Some((at("revoke")?, TokenRequest::AccessToken)),
            introspection: Some((at("introspect")?, TokenRequest::AccessToken)),
            quirks: Quirks::notion(),
            ..Self::new(client_id, ClientAuthentication::Basic(secret), at("token")?)
        })
    }

    /// Salesforce, with [`Quirks::salesforce`]. `host` is `login.salesforce.com`, `test.salesforce.com`, or the My
    /// Domain of the organization.
    ///
    /// A refresh token stays, unless rotation is enabled for the application: "OAuth 2.0 Refresh Token Flow for Renewed
    /// Sessions" (help.salesforce.com). A revocation takes the token alone; with the refresh token it ends its access
    /// tokens too: "Revoking OAuth Tokens"
    /// (developer.salesforce.com/docs/platform/mobile-sdk/guide/oauth-revoking-tokens.html).
    ///
    /// # Errors
    ///
    /// [`EndpointError`] if `host` is not a host name.
    pub fn salesforce(host: &str, client_id: impl Into<String>, secret: SecretText) -> Result<Self, EndpointError> {
        let at = |path| Endpoint::parse(&format!("https://{}/services/oauth2/{path}", segment(host)?));
        Ok(Self {
            revocation: Some((at("revoke")?, TokenRequest::TokenAlone)),
            quirks: Quirks::salesforce(),
            ..Self::new(client_id, ClientAuthentication::Body(secret), at("token")?)
        })
    }
}

/// Checks that `text` can be one part of a URL and does not begin another.
fn segment(text: &str) -> Result<&str, EndpointError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    let good = text.bytes().all(plain) && text.bytes().any(|byte| byte != b'.');
    if good { Ok(text) } else { Err(EndpointError::of(text)) }
}

/// How the client authenticates (RFC 6749 §2.3.1; the names are those of RFC 8414 §2 and RFC 7591 §2).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ClientAuthentication {
    /// `client_secret_basic`: client id and secret in a `Basic` header, each form-encoded first (RFC 6749 §2.3.1).
    Basic(SecretText),
    /// `client_secret_post`: client id and secret in the body.
    Body(SecretText),
    /// `none`: a public client, which sends its client id in the body.
    None,
}

impl ClientAuthentication {
    pub(in crate::vault) fn secret(&self) -> &str {
        match self {
            Self::Basic(secret) | Self::Body(secret) => secret.expose(),
            Self::None => "",
        }
    }
}

/// The kind of request that revokes or introspects a token. The token is never in the URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TokenRequest {
    /// `POST` with the refresh token, or else the access token, and a hint, from an authenticated client (RFC 7009
    /// §2.1, RFC 7662 §2.1).
    Standard,
    /// `POST` with the refresh token, or else the access token, and nothing else, without client authentication:
    /// Google, Linear, Salesforce.
    TokenAlone,
    /// `POST` with the access token and no hint, from an authenticated client: Notion.
    AccessToken,
    /// `POST` with the access token as a bearer token and nothing else: Slack.
    Bearer,
    /// `DELETE` to revoke, `POST` to introspect, with the access token in a JSON body and the client in a `Basic` header: GitHub.
    #[serde(rename = "github")]
    GitHub,
}

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
    fn of(url: &str) -> Self {
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
