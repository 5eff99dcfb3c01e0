//! A provider for OAuth services: authorization, exchange, refresh, revocation and introspection over the types of the `http` crate. What a
//! service does differently is data.

mod authorization;
mod endpoint;
mod fields;
mod http_client;
mod quirks;
mod reply;
mod request;
#[cfg(feature = "reqwest")]
mod reqwest_client;
mod retry_after;
mod service;

use std::fmt;

use http::Request;

pub use self::authorization::Authorization;
pub use self::endpoint::{Endpoint, EndpointError};
use self::fields::Fields;
pub use self::http_client::HttpClient;
pub use self::quirks::{Meaning, Quirks, RequestBody};
use self::reply::{Refusal, Reply};
use self::request::Purpose;
#[cfg(feature = "reqwest")]
pub use self::reqwest_client::ReqwestClient;
pub use self::service::{ClientAuthentication, Service, TokenRequest};
use crate::store::BoxFuture;
use crate::vault::{
    AuthorizeParameters, CodeExchange, Connector, Credential, CredentialStatus, ExpectedIssuer, Refreshed, Revocation,
    SecretText, TokenSet, UpstreamError, UpstreamProvider,
};

/// A provider for an authorization server, over the application's HTTP client: authorization and the exchange of its code
/// (RFC 6749 §4.1, RFC 7636), refresh (RFC 6749 §6), revocation (RFC 7009) and introspection (RFC 7662).
///
/// # How answers map to errors
///
/// | answer | [`UpstreamError`] |
/// |---|---|
/// | `invalid_grant`, or a code of the service with that [`Meaning`] | `InvalidGrant` |
/// | `invalid_client` and the like; 3xx, which is never followed | `Configuration`, with the error code or `http_302` |
/// | 408, 425, 429, 503, 403 with `Retry-After` | `Unavailable`, with the time to wait |
/// | each other 5xx: the service may have rotated before it failed, or a gateway has lost its answer | `Uncertain` |
/// | 2xx without a token that can be used: empty, truncated, HTML, another token type | `Uncertain` |
/// | each other 4xx | `Refused`, with the error code or `http_404` |
///
/// A new refresh token is kept even if other members of the answer are malformed. If the access token is missing or
/// cannot be used, the answer is [`Refreshed::rotated`]. The content type is ignored: an answer is read as JSON or as a
/// form according to its first bytes, even with a byte-order mark, in another character set, or followed by other data.
/// If a member occurs twice, the last one counts; a token that occurs twice with different values counts as missing. An
/// answer without `token_type` has the expected type.
///
/// A lifetime is a number, or a string that contains one, without its fraction. A negative or unreadable lifetime
/// counts as zero, a huge one as the longest possible, an absent one as unknown. An unreadable lifetime of a refresh
/// token counts as unknown too. An empty or unreadable scope counts as unchanged. `null` counts as absent.
///
/// # Security
///
/// * No token and no client secret is in a URL, an error or a `Debug` output. An error code with unusual characters, or
///   one that repeats part of the request, is replaced by the status.
/// * Endpoints are `https`, or on a loopback host.
/// * The request that is built here is zeroized, and so is the answer after it was read. Copies remain where the `http`
///   types and the HTTP client make them: the `Authorization` header, the request's body, and what the JSON parser
///   needs to undo an escape in a token.
pub struct OAuthProvider<C> {
    service: Service,
    client: C,
}

impl<C: HttpClient> OAuthProvider<C> {
    /// Creates a provider for `service` that sends requests with `client`.
    pub fn new(service: Service, client: C) -> Self {
        Self { service, client }
    }

    /// Sends `request`, whose secrets include `tokens`, and reads the answer.
    async fn ask(
        &self,
        request: Request<Vec<u8>>,
        purpose: Purpose,
        tokens: &[&SecretText],
    ) -> Result<Option<Fields>, Refusal> {
        let (quirks, secret) = (&self.service.quirks, self.service.authentication.secret());
        let sent: Vec<_> = tokens.iter().map(|token| token.expose()).chain([secret]).collect();
        Reply::read(self.client.send(request).await?, quirks).success(quirks, purpose, &sent)
    }

    /// Returns the tokens in `answer`.
    fn tokens(&self, answer: Result<Option<Fields>, Refusal>) -> Result<Refreshed, UpstreamError> {
        let fields = answer.map_err(|refusal| match refusal.meaning {
            Meaning::InvalidGrant | Meaning::TokenInvalid => UpstreamError::InvalidGrant,
            _ => refusal.error,
        })?;
        fields.ok_or_else(|| UpstreamError::uncertain("the answer cannot be read"))?.tokens(&self.service.quirks)
    }

    /// Sends a request about the token of `tokens` that the endpoint takes.
    async fn ask_about(
        &self,
        at: &(Endpoint, TokenRequest),
        purpose: Purpose,
        tokens: &TokenSet,
    ) -> Result<Option<Fields>, Refusal> {
        self.ask(request::about(&self.service, at, purpose, tokens)?, purpose, &[at.1.presents(tokens)]).await
    }
}

impl<C: HttpClient> UpstreamProvider for OAuthProvider<C> {
    fn refresh<'a>(&'a self, tokens: &'a TokenSet) -> BoxFuture<'a, Result<Refreshed, UpstreamError>> {
        Box::pin(async move {
            let refresh_token = tokens.refresh_token.as_ref().ok_or(UpstreamError::InvalidGrant)?;
            let request = request::refresh(&self.service, tokens, refresh_token)?;
            self.tokens(self.ask(request, Purpose::Refresh, &[refresh_token]).await)
        })
    }

    /// Presents the refresh token where the service accepts it. GitHub, Slack and Notion accept an access token. If
    /// they do not know it, and there is a refresh token that may be valid, the result is [`Revocation::NeedsRefresh`].
    fn revoke<'a>(&'a self, credential: &'a Credential) -> BoxFuture<'a, Result<Revocation, UpstreamError>> {
        Box::pin(async move {
            let (Credential::OAuth(tokens), Some(at)) = (credential, &self.service.revocation) else {
                return Ok(Revocation::Unsupported);
            };
            match self.ask_about(at, Purpose::Revoke, tokens).await {
                Ok(Some(fields)) if fields.denies_revocation() => {
                    Err(UpstreamError::uncertain("the service answered that it revoked nothing"))
                }
                Ok(_) => Ok(Revocation::Done),
                Err(Refusal { meaning: Meaning::TokenInvalid, .. }) => Ok(Revocation::Done),
                Err(Refusal { meaning: Meaning::Unsupported, .. }) => Ok(Revocation::Unsupported),
                Err(Refusal { meaning: Meaning::AccessTokenUnknown, .. }) => match tokens.refresh_token {
                    Some(_) => Ok(Revocation::NeedsRefresh),
                    None => Ok(Revocation::Done),
                },
                Err(refusal) => Err(refusal.error),
            }
        })
    }

    fn revokes_whole_grants(&self) -> bool {
        self.service.quirks.revokes_whole_grants
    }

    fn connector(&self) -> Option<Box<dyn Connector + '_>> {
        let how = self.service.authorization.as_ref()?;
        Some(Box::new(OAuthConnector { provider: self, how }))
    }

    fn introspect<'a>(&'a self, credential: &'a Credential) -> BoxFuture<'a, Result<CredentialStatus, UpstreamError>> {
        Box::pin(async move {
            let (Credential::OAuth(tokens), Some(at)) = (credential, &self.service.introspection) else {
                return Ok(CredentialStatus::Unknown);
            };
            let is_active = match self.ask_about(at, Purpose::Introspect, tokens).await {
                // A service without an `active` member answers with a success only for a live token.
                Ok(_) if matches!(at.1, TokenRequest::Bearer | TokenRequest::GitHub) => Some(true),
                Ok(fields) => fields.and_then(|fields| fields.active()),
                Err(Refusal { meaning: Meaning::TokenInvalid, .. }) => Some(false),
                Err(Refusal { meaning: Meaning::Unsupported, .. }) => return Ok(CredentialStatus::Unknown),
                Err(Refusal { meaning: Meaning::AccessTokenUnknown, .. }) if tokens.refresh_token.is_some() => {
                    return Ok(CredentialStatus::Unknown);
                }
                Err(Refusal { meaning: Meaning::AccessTokenUnknown, .. }) => Some(false),
                Err(refusal) => return Err(refusal.error),
            };
            let active = is_active.ok_or_else(|| UpstreamError::uncertain("the answer cannot be read"))?;
            Ok(if active { CredentialStatus::Active } else { CredentialStatus::Inactive })
        })
    }
}

/// A provider whose service has an authorization endpoint.
struct OAuthConnector<'p, C> {
    provider: &'p OAuthProvider<C>,
    how: &'p Authorization,
}

impl<C: HttpClient> Connector for OAuthConnector<'_, C> {
    fn authorize_url(&self, parameters: &AuthorizeParameters<'_>) -> SecretText {
        let Service { client_id, quirks, .. } = &self.provider.service;
        self.how.url(client_id, &quirks.added_scope, parameters)
    }

    fn exchange<'a>(&'a self, exchange: &'a CodeExchange) -> BoxFuture<'a, Result<Refreshed, UpstreamError>> {
        Box::pin(async move {
            let request = request::exchange(&self.provider.service, self.how, exchange)?;
            let secrets = [&exchange.code, &exchange.code_verifier];
            self.provider.tokens(self.provider.ask(request, Purpose::Exchange, &secrets).await)
        })
    }

    fn issuer(&self) -> Option<ExpectedIssuer<'_>> {
        self.how.expected_issuer()
    }
}

impl<C> fmt::Debug for OAuthProvider<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuthProvider").field("service", &self.service).finish_non_exhaustive()
    }
}
