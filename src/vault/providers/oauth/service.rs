//! A service: where its endpoints are, how the client authenticates there, and what is odd about it.

use http::Uri;
use serde::Deserialize;

use super::quirks::Quirks;
use crate::net::address;
use crate::vault::SecretText;

/// An authorization server, as data. There is a preset for GitHub, Slack, Google, Microsoft Entra, Atlassian, Linear, Notion and
/// Salesforce, each from the documentation that is named there. The fields of a preset can be changed, for a GitHub of one's own
/// for instance:
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
/// A service that has no preset can be read from the application's configuration:
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
    /// The client id.
    pub client_id: String,
    /// How the client authenticates.
    pub authentication: ClientAuthentication,
    /// Where tokens are refreshed (RFC 6749 §3.2).
    pub token_endpoint: Endpoint,
    /// Where tokens are revoked (RFC 7009 §2), if anywhere.
    #[serde(default)]
    pub revocation: Option<(Endpoint, TokenRequest)>,
    /// Where tokens are introspected (RFC 7662 §2), if anywhere.
    #[serde(default)]
    pub introspection: Option<(Endpoint, TokenRequest)>,
    /// How it departs from the specifications.
    #[serde(default)]
    pub quirks: Quirks,
}

impl Service {
    /// A service that keeps to the specifications, with neither revocation nor introspection.
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

    /// The same with a revocation endpoint (RFC 7009).
    #[must_use]
    pub fn revoked_at(self, endpoint: Endpoint) -> Self {
        Self { revocation: Some((endpoint, TokenRequest::Standard)), ..self }
    }

    /// The same with an introspection endpoint (RFC 7662).
    #[must_use]
    pub fn introspected_at(self, endpoint: Endpoint) -> Self {
        Self { introspection: Some((endpoint, TokenRequest::Standard)), ..self }
    }

    /// GitHub, with [`Quirks::github`]. Refresh tokens rotate. A revocation takes back the user's whole authorization of the app,
    /// because GitHub has nothing else that ends a refresh token: "Delete an app authorization"
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

    /// Slack, for user tokens, with [`Quirks::slack_user`]; for bot tokens set [`Quirks::slack_bot`]. Refresh tokens rotate. A
    /// revocation ends the access token ("auth.revoke", docs.slack.dev); Slack does not say what becomes of the refresh token.
    ///
    /// # Errors
    ///
    /// None, as it is.
    pub fn slack(client_id: impl Into<String>, secret: SecretText) -> Result<Self, EndpointError> {
        let token_endpoint = Endpoint::parse("https://slack.com/api/oauth.v2.access")?;
        Ok(Self {
            revocation: Some((Endpoint::parse("https://slack.com/api/auth.revoke")?, TokenRequest::Bearer)),
            introspection: Some((Endpoint::parse("https://slack.com/api/auth.test")?, TokenRequest::Bearer)),
            quirks: Quirks::slack_user(),
            ..Self::new(client_id, ClientAuthentication::Basic(secret), token_endpoint)
        })
    }

    /// Google: a refresh answers without a refresh token, and the old one stays. "Using OAuth 2.0 for Web Server Applications"
    /// (developers.google.com/identity/protocols/oauth2/web-server), whose revocation takes the token alone. The documentation
    /// shows it in the URL; here it is in the body.
    ///
    /// # Errors
    ///
    /// None, as it is.
    pub fn google(client_id: impl Into<String>, secret: SecretText) -> Result<Self, EndpointError> {
        let token_endpoint = Endpoint::parse("https://oauth2.googleapis.com/token")?;
        Ok(Self {
            revocation: Some((Endpoint::parse("https://oauth2.googleapis.com/revoke")?, TokenRequest::TokenAlone)),
            quirks: Quirks::google(),
            ..Self::new(client_id, ClientAuthentication::Body(secret), token_endpoint)
        })
    }

    /// Microsoft Entra, with [`Quirks::entra`]. `tenant` is `common`, `organizations`, `consumers`, or the id or a domain of a
    /// tenant. A refresh names the scope that was granted, so put tokens of one resource into the vault with the scope of that
    /// resource. An answer has a new refresh token, and the old one stays alive for its time. There is no revocation endpoint:
    /// the user or an administrator takes the consent back (myapps.microsoft.com, or the Microsoft Graph).
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

    /// Atlassian (Jira, Confluence), with [`Quirks::atlassian`]: OAuth 2.0 (3LO). Refresh tokens rotate, and a spent one is dead.
    /// There is no revocation endpoint in the documentation: the user ends the grant in the account's settings.
    ///
    /// # Errors
    ///
    /// None, as it is.
    pub fn atlassian(client_id: impl Into<String>, secret: SecretText) -> Result<Self, EndpointError> {
        let token_endpoint = Endpoint::parse("https://auth.atlassian.com/oauth/token")?;
        let service = Self::new(client_id, ClientAuthentication::Body(secret), token_endpoint);
        Ok(Self { quirks: Quirks::atlassian(), ..service })
    }

    /// Linear, with [`Quirks::linear`]. Refresh tokens rotate; a spent one gets the same successor for 30 minutes. A revocation
    /// takes the token alone.
    ///
    /// # Errors
    ///
    /// None, as it is.
    pub fn linear(client_id: impl Into<String>, secret: SecretText) -> Result<Self, EndpointError> {
        let token_endpoint = Endpoint::parse("https://api.linear.app/oauth/token")?;
        Ok(Self {
            revocation: Some((Endpoint::parse("https://api.linear.app/oauth/revoke")?, TokenRequest::TokenAlone)),
            quirks: Quirks::linear(),
            ..Self::new(client_id, ClientAuthentication::Basic(secret), token_endpoint)
        })
    }

    /// Notion, with [`Quirks::notion`]. Refresh tokens rotate, and an answer does not say how long its access token lives: the
    /// vault refreshes when a lease comes back refused. Revocation and introspection take the access token.
    ///
    /// # Errors
    ///
    /// None, as it is.
    pub fn notion(client_id: impl Into<String>, secret: SecretText) -> Result<Self, EndpointError> {
        let at = |path| Endpoint::parse(&format!("https://api.notion.com/v1/oauth/{path}"));
        Ok(Self {
            revocation: Some((at("revoke")?, TokenRequest::AccessToken)),
            introspection: Some((at("introspect")?, TokenRequest::AccessToken)),
            quirks: Quirks::notion(),
            ..Self::new(client_id, ClientAuthentication::Basic(secret), at("token")?)
        })
    }

    /// Salesforce, with [`Quirks::salesforce`]. `host` is `login.salesforce.com`, `test.salesforce.com`, or the My Domain of the
    /// organization. A refresh token stays, unless rotation is switched on for the application: "OAuth 2.0 Refresh Token Flow for
    /// Renewed Sessions" (help.salesforce.com). A revocation takes the token alone, and with the refresh token ends its access
    /// tokens too: "Revoking OAuth Tokens" (developer.salesforce.com/docs/platform/mobile-sdk/guide/oauth-revoking-tokens.html).
    ///
    /// # Errors
    ///
    /// [`EndpointError`] if the host is none.
    pub fn salesforce(host: &str, client_id: impl Into<String>, secret: SecretText) -> Result<Self, EndpointError> {
        let at = |path| Endpoint::parse(&format!("https://{}/services/oauth2/{path}", segment(host)?));
        Ok(Self {
            revocation: Some((at("revoke")?, TokenRequest::TokenAlone)),
            quirks: Quirks::salesforce(),
            ..Self::new(client_id, ClientAuthentication::Body(secret), at("token")?)
        })
    }
}

/// What becomes one part of an address: nothing that would begin another part.
fn segment(text: &str) -> Result<&str, EndpointError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    let good = text.bytes().all(plain) && text.bytes().any(|byte| byte != b'.');
    if good { Ok(text) } else { Err(EndpointError::of(text)) }
}

/// How the client proves who it is (RFC 6749 §2.3.1; the names of RFC 8414 §2 and RFC 7591 §2).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ClientAuthentication {
    /// `client_secret_basic`: both parts form-encoded first, as RFC 6749 §2.3.1 has it.
    Basic(SecretText),
    /// `client_secret_post`.
    Body(SecretText),
    /// `none`: a public client, which names itself in the body.
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

/// How a request about a token is made, be it for its revocation or for its introspection. Never with the token in the URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TokenRequest {
    /// `POST` with the refresh token, or else the access token, and a hint, from an authenticated client (RFC 7009 §2.1, RFC 7662
    /// §2.1).
    Standard,
    /// The same, but with the token alone, from a client without a name: Google, Linear, Salesforce.
    TokenAlone,
    /// `POST` with the access token and no hint, from an authenticated client: Notion.
    AccessToken,
    /// `POST` with the access token as bearer token and nothing else: Slack.
    Bearer,
    /// `DELETE` to revoke, `POST` to introspect, with the access token in a JSON body and the client in a `Basic` header: GitHub.
    #[serde(rename = "github")]
    GitHub,
}

/// The address of an endpoint: `https`, or `http` on a loopback host.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Endpoint(Uri);

impl Endpoint {
    /// Parse an absolute URL without a fragment and without user information.
    ///
    /// # Errors
    ///
    /// [`EndpointError`] for anything else.
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

/// An address to which no token goes: not absolute, or neither `https` nor on a loopback host; or a client id, a tenant or a host
/// that is no part of an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an endpoint must be https, or http on a loopback host, without user information or fragment, got {shown:?}")]
#[non_exhaustive]
pub struct EndpointError {
    shown: String,
}

impl EndpointError {
    /// Of `url` without what may be secret: user information, query, fragment.
    fn of(url: &str) -> Self {
        const LONGEST: usize = 200;
        let (public, rest) = url.split_at(url.find(['?', '#']).unwrap_or(url.len()));
        let scheme = public.find("://").map_or("", |at| &public[..at + 3]);
        let shown = match public.rsplit_once('@') {
            // A password may have such a mark in it, and then that is not where it ends.
            _ if rest.contains('@') => format!("{scheme}.."),
            Some((_, address)) => format!("{scheme}..@{address}"),
            None => public.to_owned(),
        };
        Self { shown: shown.chars().take(LONGEST).collect() }
    }
}
