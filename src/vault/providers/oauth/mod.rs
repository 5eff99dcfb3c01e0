//! A ready provider: OAuth refresh, revocation and introspection over the `http` types, for services that are described by data.

mod fields;
mod http_client;
mod quirks;
mod reply;
mod request;
mod retry_after;
mod service;

use std::fmt;

use http::Request;

use self::fields::Fields;
pub use self::http_client::HttpClient;
pub use self::quirks::{Meaning, Quirks, RequestBody};
use self::reply::{Refusal, Reply};
use self::request::Purpose;
pub use self::service::{ClientAuthentication, Endpoint, EndpointError, Service, TokenRequest};
use crate::store::BoxFuture;
use crate::vault::{
    Credential, CredentialStatus, Refreshed, Revocation, SecretText, TokenSet, UpstreamError, UpstreamProvider,
};

/// An authorization server that is asked with the application's HTTP client: refresh (RFC 6749 §6), revocation (RFC 7009),
/// introspection (RFC 7662).
///
/// # What becomes of an answer
///
/// | answer | [`UpstreamError`] |
/// |---|---|
/// | `invalid_grant`, or what the service says instead: [`Meaning`] | `InvalidGrant` |
/// | `invalid_client` and the like; 3xx, which is never followed | `Configuration`, with the error code or `http_302` |
/// | 408, 425, 429, 503, 403 with `Retry-After` | `Unavailable`, with the time to wait |
/// | every other 5xx: it may have rotated before it failed, or a gateway has lost its answer | `Uncertain` |
/// | 2xx without a token that can be used: empty, truncated, HTML, another token type | `Uncertain` |
/// | every other 4xx | `Refused`, with the error code or `http_404` |
///
/// No odd member beside it costs a new refresh token. If the access token is missing or of no use, the answer is
/// [`Refreshed::rotated`]. Labels do not matter: an answer is read as JSON or as a form by how it begins, with a byte-order mark,
/// in another character set, or followed by something else. A member that is there twice counts as it was given last; a token
/// that is there twice and not the same is none. An answer without `token_type` is of the type that is expected.
///
/// A lifetime is a number or text that is one, fractions cut off. A negative or unreadable one is zero, a huge one as long as can
/// be, an absent one says nothing. An unreadable lifetime of a refresh token says nothing either. An empty or unreadable scope is
/// the scope from before. `null` is absent.
///
/// # Security
///
/// * No token and no client secret is in a URL, an error or a `Debug` output. An error code that does not look like one, or that
///   repeats a part of what was sent, is replaced by the status.
/// * Endpoints are `https` or on a loopback host.
/// * What is built here is zeroized, and so is the answer once it has been read. Copies remain where the `http` types and the HTTP
///   client make them: the `Authorization` header, the request's body, and what JSON needed to undo an escape in a token.
pub struct OAuthProvider<C> {
    service: Service,
    client: C,
}

impl<C: HttpClient> OAuthProvider<C> {
    /// Ask `service` with `client`.
    pub fn new(service: Service, client: C) -> Self {
        Self { service, client }
    }

    async fn ask(
        &self,
        request: Request<Vec<u8>>,
        purpose: Purpose,
        token: &SecretText,
    ) -> Result<Option<Fields>, Refusal> {
        let (quirks, secret) = (&self.service.quirks, self.service.authentication.secret());
        Reply::read(self.client.send(request).await?, quirks).success(quirks, purpose, [token.expose(), secret])
    }

    async fn ask_about(
        &self,
        at: &(Endpoint, TokenRequest),
        purpose: Purpose,
        tokens: &TokenSet,
    ) -> Result<Option<Fields>, Refusal> {
        self.ask(request::about(&self.service, at, purpose, tokens)?, purpose, at.1.presents(tokens)).await
    }
}

impl<C: HttpClient> UpstreamProvider for OAuthProvider<C> {
    fn refresh<'a>(&'a self, tokens: &'a TokenSet) -> BoxFuture<'a, Result<Refreshed, UpstreamError>> {
        Box::pin(async move {
            let refresh_token = tokens.refresh_token.as_ref().ok_or(UpstreamError::InvalidGrant)?;
            let request = request::refresh(&self.service, tokens, refresh_token)?;
            let answer = self.ask(request, Purpose::Refresh, refresh_token).await;
            let fields = answer.map_err(|refusal| match refusal.meaning {
                Meaning::InvalidGrant | Meaning::TokenInvalid => UpstreamError::InvalidGrant,
                _ => refusal.error,
            })?;
            fields.ok_or_else(|| UpstreamError::uncertain("the answer cannot be read"))?.tokens(&self.service.quirks)
        })
    }

    /// The refresh token is presented where the service takes it. GitHub, Slack and Notion take an access token: if they do not know it,
    /// and there is a refresh token that may live, the answer is [`Revocation::NeedsRefresh`].
    fn revoke<'a>(&'a self, credential: &'a Credential) -> BoxFuture<'a, Result<Revocation, UpstreamError>> {
        Box::pin(async move {
            let (Credential::OAuth(tokens), Some(at)) = (credential, &self.service.revocation) else {
                return Ok(Revocation::Unsupported);
            };
            match self.ask_about(at, Purpose::Revoke, tokens).await {
                Ok(Some(fields)) if fields.denies_revocation() => Err(UpstreamError::uncertain("nothing was revoked")),
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

    fn introspect<'a>(&'a self, credential: &'a Credential) -> BoxFuture<'a, Result<CredentialStatus, UpstreamError>> {
        Box::pin(async move {
            let (Credential::OAuth(tokens), Some(at)) = (credential, &self.service.introspection) else {
                return Ok(CredentialStatus::Unknown);
            };
            let told = match self.ask_about(at, Purpose::Introspect, tokens).await {
                // A service that has no `active` answers for a live token alone.
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
            let active = told.ok_or_else(|| UpstreamError::uncertain("the answer cannot be read"))?;
            Ok(if active { CredentialStatus::Active } else { CredentialStatus::Inactive })
        })
    }
}

impl<C> fmt::Debug for OAuthProvider<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuthProvider").field("service", &self.service).finish_non_exhaustive()
    }
}
