//! An authorization server: its endpoints, how the client authenticates, and how it deviates from the specifications.

use serde::Deserialize;

use super::authorization::Authorization;
use super::endpoint::{Endpoint, EndpointError};
use super::quirks::Quirks;
use crate::vault::SecretText;

/// An authorization server, as data.
///
/// There are presets for GitHub, GitLab, Slack, Discord, Google, Microsoft Entra, Atlassian, Linear, Notion and
/// Salesforce. Each names the documentation that it follows. The fields of a preset can be changed, for example for a
/// GitHub Enterprise server:
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
///         "authorization": { "endpoint": "https://as.example/authorize", "parameters": { "prompt": "consent" } },
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
    /// The token endpoint, which issues and refreshes tokens (RFC 6749 §3.2).
    pub token_endpoint: Endpoint,
    /// The authorization endpoint, where a user connects an account. Without it
    /// [`begin_connect`](crate::vault::CredentialVault::begin_connect) refuses the service.
    #[serde(default)]
    pub authorization: Option<Authorization>,
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
    /// Creates a service that follows the specifications, without authorization, revocation and introspection.
    pub fn new(client_id: impl Into<String>, authentication: ClientAuthentication, token_endpoint: Endpoint) -> Self {
        Self {
            client_id: client_id.into(),
            authentication,
            token_endpoint,
            authorization: None,
            revocation: None,
            introspection: None,
            quirks: Quirks::default(),
        }
    }

    /// Sets an authorization endpoint that follows RFC 6749 and RFC 7636.
    #[must_use]
    pub fn authorized_at(self, endpoint: Endpoint) -> Self {
        Self { authorization: Some(Authorization::new(endpoint)), ..self }
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

    /// GitHub, with [`Quirks::github`]: a GitHub App or an OAuth App.
    ///
    /// The tokens of an OAuth App have scopes and do not expire. Those of a GitHub App have the permissions of the app
    /// instead of a scope, so connect it with an empty scope: "Authorizing OAuth apps"
    /// (docs.github.com/en/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps) and "Generating a user access token
    /// for a GitHub App". Refresh tokens rotate. A revocation removes the user's whole authorization of the app, because GitHub has no
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
            authorization: Some(at("https://github.com/login/oauth/authorize")?),
            revocation: Some((Endpoint::parse(&format!("{application}/grant"))?, TokenRequest::GitHub)),
            introspection: Some((Endpoint::parse(&format!("{application}/token"))?, TokenRequest::GitHub)),
            quirks: Quirks::github(),
            ..Self::new(client_id, ClientAuthentication::Body(secret), token_endpoint)
        })
    }

    /// Slack user tokens, with [`Quirks::slack_user`]. For bot tokens set [`Quirks::slack_bot`] and the `scope_parameter`
    /// of [`authorization`](Self::authorization) to `scope`.
    ///
    /// The scope of a user token is requested as `user_scope`: "Installing with OAuth"
    /// (docs.slack.dev/authentication/installing-with-oauth).
    ///
    /// Refresh tokens rotate. A revocation ends the access token ("auth.revoke", docs.slack.dev). Slack does not
    /// document what it does to the refresh token.
    ///
    /// # Errors
    ///
    /// None at present.
    pub fn slack(client_id: impl Into<String>, secret: SecretText) -> Result<Self, EndpointError> {
        let token_endpoint = Endpoint::parse("https://slack.com/api/oauth.v2.access")?;
        let mut authorization = at("https://slack.com/oauth/v2/authorize")?;
        authorization.scope_parameter = "user_scope".to_owned();
        authorization.scope_separator = ',';
        Ok(Self {
            authorization: Some(authorization),
            revocation: Some((Endpoint::parse("https://slack.com/api/auth.revoke")?, TokenRequest::Bearer)),
            introspection: Some((Endpoint::parse("https://slack.com/api/auth.test")?, TokenRequest::Bearer)),
            quirks: Quirks::slack_user(),
            ..Self::new(client_id, ClientAuthentication::Basic(secret), token_endpoint)
        })
    }

    /// Google, with [`Quirks::google`].
    ///
    /// The first authorization of a user returns a refresh token if it has `access_type=offline`, and each later one if
    /// it has `prompt=consent` too. A refresh returns no refresh token, and the old one stays: "Using OAuth 2.0 for Web
    /// Server Applications" (developers.google.com/identity/protocols/oauth2/web-server). A revocation takes the token alone. The
    /// documentation shows the token in the URL; this preset sends it in the body.
    ///
    /// # Errors
    ///
    /// None at present.
    pub fn google(client_id: impl Into<String>, secret: SecretText) -> Result<Self, EndpointError> {
        let token_endpoint = Endpoint::parse("https://oauth2.googleapis.com/token")?;
        let mut authorization = at("https://accounts.google.com/o/oauth2/v2/auth")?;
        authorization = authorization.with("access_type", "offline").with("prompt", "consent");
        authorization.issuer = Some("https://accounts.google.com".to_owned());
        Ok(Self {
            authorization: Some(authorization),
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
        let base = format!("https://login.microsoftonline.com/{tenant}/oauth2/v2.0");
        let token_endpoint = Endpoint::parse(&format!("{base}/token"))?;
        let authorization = at(&format!("{base}/authorize"))?.with("response_mode", "query");
        let service = Self::new(client_id, ClientAuthentication::Body(secret), token_endpoint);
        Ok(Self { authorization: Some(authorization), quirks: Quirks::entra(), ..service })
    }

    /// Atlassian (Jira, Confluence), with [`Quirks::atlassian`]: OAuth 2.0 (3LO).
    ///
    /// The authorization request names the API as `audience`, and `offline_access` for a refresh token
    /// (developer.atlassian.com/cloud/jira/platform/oauth-2-3lo-apps). Refresh tokens rotate, and a spent one is invalid. The documentation names no revocation endpoint: the user ends
    /// the grant in the account settings.
    ///
    /// # Errors
    ///
    /// None at present.
    pub fn atlassian(client_id: impl Into<String>, secret: SecretText) -> Result<Self, EndpointError> {
        let token_endpoint = Endpoint::parse("https://auth.atlassian.com/oauth/token")?;
        let authorization = at("https://auth.atlassian.com/authorize")?;
        let authorization = authorization.with("audience", "api.atlassian.com").with("prompt", "consent");
        let service = Self::new(client_id, ClientAuthentication::Body(secret), token_endpoint);
        Ok(Self { authorization: Some(authorization), quirks: Quirks::atlassian(), ..service })
    }

    /// Linear, with [`Quirks::linear`].
    ///
    /// An authorization request has its scopes separated by commas, and `prompt=consent`, with which the user can choose
    /// another workspace (linear.app/developers/oauth-2-0-authentication). Refresh tokens rotate. For 30 minutes a spent refresh token gets the same successor. A revocation takes the
    /// token alone.
    ///
    /// # Errors
    ///
    /// None at present.
    pub fn linear(client_id: impl Into<String>, secret: SecretText) -> Result<Self, EndpointError> {
        let token_endpoint = Endpoint::parse("https://api.linear.app/oauth/token")?;
        let mut authorization = at("https://linear.app/oauth/authorize")?.with("prompt", "consent");
        authorization.scope_separator = ',';
        Ok(Self {
            authorization: Some(authorization),
            revocation: Some((Endpoint::parse("https://api.linear.app/oauth/revoke")?, TokenRequest::TokenAlone)),
            quirks: Quirks::linear(),
            ..Self::new(client_id, ClientAuthentication::Basic(secret), token_endpoint)
        })
    }

    /// Notion, with [`Quirks::notion`].
    ///
    /// An authorization request has `owner=user` and no scope: connect it with an empty scope. It has no code challenge,
    /// because Notion documents no PKCE and its API refuses members of a body that it does not know: "Authorization"
    /// (developers.notion.com/docs/authorization) and "Create a token"
    /// (developers.notion.com/reference/create-a-token). Refresh tokens rotate. An answer does not say how long its access token lives, so the vault refreshes when
    /// [`lease_after`](crate::vault::CredentialVault::lease_after) reports a refused one. Revocation and introspection
    /// take the access token.
    ///
    /// # Errors
    ///
    /// None at present.
    pub fn notion(client_id: impl Into<String>, secret: SecretText) -> Result<Self, EndpointError> {
        let endpoint = |path| Endpoint::parse(&format!("https://api.notion.com/v1/oauth/{path}"));
        let mut authorization = Authorization::new(endpoint("authorize")?).with("owner", "user");
        authorization.pkce = false;
        Ok(Self {
            authorization: Some(authorization),
            revocation: Some((endpoint("revoke")?, TokenRequest::AccessToken)),
            introspection: Some((endpoint("introspect")?, TokenRequest::AccessToken)),
            quirks: Quirks::notion(),
            ..Self::new(client_id, ClientAuthentication::Basic(secret), endpoint("token")?)
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
        let endpoint = |path| Endpoint::parse(&format!("https://{}/services/oauth2/{path}", segment(host)?));
        Ok(Self {
            authorization: Some(Authorization::new(endpoint("authorize")?)),
            revocation: Some((endpoint("revoke")?, TokenRequest::TokenAlone)),
            quirks: Quirks::salesforce(),
            ..Self::new(client_id, ClientAuthentication::Body(secret), endpoint("token")?)
        })
    }

    /// GitLab. `host` is `gitlab.com`, or the host of another instance.
    ///
    /// Access tokens live for two hours, and refresh tokens rotate. A revocation takes either token of a pair and ends
    /// both: "OAuth 2.0 identity provider API" (docs.gitlab.com/api/oauth2).
    ///
    /// # Errors
    ///
    /// [`EndpointError`] if `host` is not a host name.
    pub fn gitlab(host: &str, client_id: impl Into<String>, secret: SecretText) -> Result<Self, EndpointError> {
        let endpoint = |path| Endpoint::parse(&format!("https://{}/oauth/{path}", segment(host)?));
        let service = Self::new(client_id, ClientAuthentication::Body(secret), endpoint("token")?);
        Ok(service.authorized_at(endpoint("authorize")?).revoked_at(endpoint("revoke")?))
    }

    /// Discord, with [`Quirks::discord`].
    ///
    /// Access tokens live for seven days, and refresh tokens rotate. A revocation of one token ends all tokens that the
    /// user has given the application: "OAuth2" (docs.discord.com/developers/topics/oauth2).
    ///
    /// # Errors
    ///
    /// None at present.
    pub fn discord(client_id: impl Into<String>, secret: SecretText) -> Result<Self, EndpointError> {
        let token_endpoint = Endpoint::parse("https://discord.com/api/oauth2/token")?;
        let service = Self::new(client_id, ClientAuthentication::Basic(secret), token_endpoint);
        Ok(Self {
            authorization: Some(at("https://discord.com/oauth2/authorize")?),
            quirks: Quirks::discord(),
            ..service.revoked_at(Endpoint::parse("https://discord.com/api/oauth2/token/revoke")?)
        })
    }
}

/// An authorization endpoint at `url` that follows the specifications.
fn at(url: &str) -> Result<Authorization, EndpointError> {
    Ok(Authorization::new(Endpoint::parse(url)?))
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
