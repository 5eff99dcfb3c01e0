//! A service: where its endpoints are, how the client authenticates there, and what is odd about it.

use http::Uri;

use super::quirks::Quirks;
use crate::address;
use crate::upstream::SecretText;

/// An authorization server, as data. The fields of a preset can be changed, for a GitHub of one's own for instance:
///
/// ```
/// use mcp_token_lifecycle::upstream::{Endpoint, SecretText, Service};
///
/// let mut service = Service::github("Iv1.0123456789abcdef", SecretText::new("the client secret"))?;
/// service.token_endpoint = Endpoint::parse("https://github.example.com/login/oauth/access_token")?;
/// service.revocation = None;
/// # Ok::<(), mcp_token_lifecycle::upstream::EndpointError>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Service {
    /// The client id.
    pub client_id: String,
    /// How the client authenticates.
    pub authentication: ClientAuthentication,
    /// Where tokens are refreshed (RFC 6749 §3.2).
    pub token_endpoint: Endpoint,
    /// Where tokens are revoked (RFC 7009 §2), if anywhere.
    pub revocation: Option<(Endpoint, TokenRequest)>,
    /// Where tokens are introspected (RFC 7662 §2), if anywhere.
    pub introspection: Option<(Endpoint, TokenRequest)>,
    /// How it departs from the specifications.
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
            quirks: Quirks::NONE,
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

    /// GitHub, with [`Quirks::GITHUB`]. Refresh tokens rotate. A revocation takes back the user's whole authorization of the app,
    /// because GitHub has nothing else that ends a refresh token: "Delete an app authorization"
    /// (docs.github.com/en/rest/apps/oauth-applications).
    ///
    /// # Errors
    ///
    /// [`EndpointError`] if the client id does not fit into a URL.
    pub fn github(client_id: impl Into<String>, secret: SecretText) -> Result<Self, EndpointError> {
        let client_id = client_id.into();
        let application = format!("https://api.github.com/applications/{client_id}");
        let token_endpoint = Endpoint::parse("https://github.com/login/oauth/access_token")?;
        Ok(Self {
            revocation: Some((Endpoint::parse(&format!("{application}/grant"))?, TokenRequest::GitHub)),
            introspection: Some((Endpoint::parse(&format!("{application}/token"))?, TokenRequest::GitHub)),
            quirks: Quirks::GITHUB,
            ..Self::new(client_id, ClientAuthentication::Body(secret), token_endpoint)
        })
    }

    /// Slack, for user tokens, with [`Quirks::SLACK_USER`]; for bot tokens set [`Quirks::SLACK_BOT`]. Refresh tokens rotate. A
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
            quirks: Quirks::SLACK_USER,
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
            ..Self::new(client_id, ClientAuthentication::Body(secret), token_endpoint)
        })
    }
}

/// How the client proves who it is (RFC 6749 §2.3.1; the names of RFC 8414 §2 and RFC 7591 §2).
#[derive(Debug)]
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
    pub(super) fn secret(&self) -> &str {
        match self {
            Self::Basic(secret) | Self::Body(secret) => secret.expose(),
            Self::None => "",
        }
    }
}

/// How a request about a token is made, be it for its revocation or for its introspection. Never with the token in the URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenRequest {
    /// `POST` of a form with the refresh token, or else the access token, from an authenticated client (RFC 7009 §2.1, RFC 7662
    /// §2.1).
    Standard,
    /// The same, but with the token alone: Google.
    TokenAlone,
    /// `POST` with the access token as bearer token and nothing else: Slack.
    Bearer,
    /// `DELETE` to revoke, `POST` to introspect, with the access token in a JSON body and the client in a `Basic` header: GitHub.
    GitHub,
}

/// The address of an endpoint: `https`, or `http` on a loopback host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(Uri);

impl Endpoint {
    /// Parse an absolute URL without a fragment and without user information.
    ///
    /// # Errors
    ///
    /// [`EndpointError`] for anything else.
    pub fn parse(url: &str) -> Result<Self, EndpointError> {
        address::parse(url).map(Self).ok_or(EndpointError)
    }

    pub(super) fn uri(&self) -> &Uri {
        &self.0
    }
}

/// An address to which no token goes: not absolute, or neither `https` nor on a loopback host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an endpoint must be https, or http on a loopback host, without user information or fragment")]
#[non_exhaustive]
pub struct EndpointError;
