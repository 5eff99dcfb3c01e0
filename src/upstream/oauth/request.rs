//! The requests. Every secret is in the body or in a header that is marked as sensitive, none in a URL.

use std::collections::BTreeMap;

use base64ct::{Base64, Encoding};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, USER_AGENT};
use http::request::Builder;
use http::{Method, Request};
use zeroize::Zeroizing;

use super::service::{ClientAuthentication, Endpoint, Service, TokenRequest};
use crate::upstream::{SecretText, TokenSet, UpstreamError};

/// What is asked about a token.
#[derive(Clone, Copy)]
pub(super) enum Purpose {
    Revoke,
    Introspect,
}

type Made = Result<Request<Vec<u8>>, UpstreamError>;

/// Ask for new tokens (RFC 6749 §6), for the scope that was granted.
pub(super) fn refresh(service: &Service, refresh_token: &SecretText) -> Made {
    let pairs = vec![("grant_type", "refresh_token"), ("refresh_token", refresh_token.expose())];
    authenticated(service, &service.token_endpoint, pairs)
}

/// Ask about a token: the one that [`TokenRequest::presents`].
pub(super) fn about(
    service: &Service,
    (endpoint, how): &(Endpoint, TokenRequest),
    purpose: Purpose,
    tokens: &TokenSet,
) -> Made {
    let token = how.presents(tokens).expose();
    let hint = if tokens.refresh_token.is_some() { "refresh_token" } else { "access_token" };
    match (how, purpose) {
        (TokenRequest::Standard, _) => {
            authenticated(service, endpoint, vec![("token", token), ("token_type_hint", hint)])
        }
        (TokenRequest::TokenAlone, _) => form(to(endpoint, Method::POST), &[("token", token)]),
        (TokenRequest::Bearer, _) => {
            // Clients leave the length of an empty body out, and some servers insist on it (RFC 9110 §8.6).
            let request = to(endpoint, Method::POST).header(CONTENT_LENGTH, 0);
            finish(request.header(AUTHORIZATION, sensitive("Bearer ", token)?), Vec::new())
        }
        (TokenRequest::GitHub, Purpose::Revoke) => json(service, to(endpoint, Method::DELETE), token),
        (TokenRequest::GitHub, Purpose::Introspect) => json(service, to(endpoint, Method::POST), token),
    }
}

impl TokenRequest {
    /// The token that goes into the request: the refresh token where one is taken, for it is what keeps the grant alive.
    pub(super) fn presents(self, tokens: &TokenSet) -> &SecretText {
        match self {
            Self::Standard | Self::TokenAlone => tokens.refresh_token.as_ref().unwrap_or(&tokens.access_token),
            Self::Bearer | Self::GitHub => &tokens.access_token,
        }
    }
}

fn to(endpoint: &Endpoint, method: Method) -> Builder {
    // GitHub's API answers nobody without a name.
    const AGENT: &str = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));
    let request = Request::builder().method(method).uri(endpoint.uri());
    request.header(ACCEPT, "application/json").header(USER_AGENT, AGENT)
}

/// A form from the client.
fn authenticated<'a>(service: &'a Service, endpoint: &Endpoint, mut pairs: Vec<(&'a str, &'a str)>) -> Made {
    let mut request = to(endpoint, Method::POST);
    match &service.authentication {
        ClientAuthentication::Basic(_) => request = request.header(AUTHORIZATION, basic(service)?),
        ClientAuthentication::Body(secret) => {
            pairs.extend([("client_id", service.client_id.as_str()), ("client_secret", secret.expose())]);
        }
        ClientAuthentication::None => pairs.push(("client_id", &service.client_id)),
    }
    form(request, &pairs)
}

fn form(request: Builder, pairs: &[(&str, &str)]) -> Made {
    // Enough room, so that it is never moved: what would be left behind is not zeroized.
    let room = pairs.iter().map(|(name, value)| name.len() + 3 * value.len() + 2).sum();
    let mut form = form_urlencoded::Serializer::new(String::with_capacity(room));
    let body = form.extend_pairs(pairs).finish().into_bytes();
    finish(request.header(CONTENT_TYPE, "application/x-www-form-urlencoded"), body)
}

fn json(service: &Service, request: Builder, access_token: &str) -> Made {
    let mut body = Vec::with_capacity(6 * access_token.len() + 32);
    serde_json::to_writer(&mut body, &BTreeMap::from([("access_token", access_token)])).map_err(|_| unsendable())?;
    finish(request.header(AUTHORIZATION, basic(service)?).header(CONTENT_TYPE, "application/json"), body)
}

/// Client id and secret, each form-encoded first (RFC 6749 §2.3.1).
fn basic(service: &Service) -> Result<HeaderValue, UpstreamError> {
    let (id, secret) = (service.client_id.as_bytes(), service.authentication.secret().as_bytes());
    let mut pair = Zeroizing::new(String::with_capacity(3 * (id.len() + secret.len()) + 1));
    pair.extend(form_urlencoded::byte_serialize(id).chain([":"]).chain(form_urlencoded::byte_serialize(secret)));
    sensitive("Basic ", &Zeroizing::new(Base64::encode_string(pair.as_bytes())))
}

fn sensitive(scheme: &str, text: &str) -> Result<HeaderValue, UpstreamError> {
    let line = Zeroizing::new([scheme, text].concat());
    let mut value = HeaderValue::from_str(&line).map_err(|_| unsendable())?;
    value.set_sensitive(true);
    Ok(value)
}

fn finish(request: Builder, body: Vec<u8>) -> Made {
    request.body(body).map_err(|_| unsendable())
}

/// Only for what the application put in: a token that fits into no header.
fn unsendable() -> UpstreamError {
    UpstreamError::refused("unsendable")
}
