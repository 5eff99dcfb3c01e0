//! The requests to a service. Each secret is in the body or in a header that is marked as sensitive, and none is in a
//! URL.

use std::collections::BTreeMap;

use base64ct::{Base64, Encoding};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, USER_AGENT};
use http::request::Builder;
use http::{Method, Request};
use serde::ser::{SerializeMap, Serializer};
use zeroize::Zeroizing;

use super::authorization::Authorization;
use super::endpoint::Endpoint;
use super::quirks::{RequestBody, added_to};
use super::service::{ClientAuthentication, Service, TokenRequest};
use crate::vault::{CodeExchange, SecretText, TokenSet, UpstreamError};

/// The purpose of a request.
#[derive(Clone, Copy)]
pub(in crate::vault) enum Purpose {
    Exchange,
    Refresh,
    Revoke,
    Introspect,
}

type Made = Result<Request<Vec<u8>>, UpstreamError>;

/// Builds a request for the tokens of an authorization code (RFC 6749 §4.1.3, RFC 7636 §4.5).
pub(in crate::vault) fn exchange(service: &Service, how: &Authorization, exchange: &CodeExchange) -> Made {
    let mut parameters = Parameters(vec![
        ("grant_type", "authorization_code"),
        ("code", exchange.code.expose()),
        ("redirect_uri", &exchange.redirect_uri),
    ]);
    if how.pkce {
        parameters.set("code_verifier", exchange.code_verifier.expose());
    }
    let request = parameters.authenticate(service, to(service, &service.token_endpoint, Method::POST))?;
    parameters.extend(&how.exchange_parameters);
    parameters.send(request, service.quirks.body)
}

/// Builds a request for new tokens (RFC 6749 §6), for the scope that was granted.
pub(in crate::vault) fn refresh(service: &Service, tokens: &TokenSet, refresh_token: &SecretText) -> Made {
    let quirks = &service.quirks;
    let scope = if quirks.sends_scope { added_to(&tokens.scope, &quirks.added_scope, ' ') } else { String::new() };
    let mut parameters = Parameters(vec![("grant_type", "refresh_token"), ("refresh_token", refresh_token.expose())]);
    if !scope.is_empty() {
        parameters.set("scope", &scope);
    }
    let request = parameters.authenticate(service, to(service, &service.token_endpoint, Method::POST))?;
    parameters.extend(&quirks.refresh_parameters);
    parameters.send(request, quirks.body)
}

/// Builds a request about the token that [`TokenRequest::presents`] selects.
pub(in crate::vault) fn about(
    service: &Service,
    (endpoint, how): &(Endpoint, TokenRequest),
    purpose: Purpose,
    tokens: &TokenSet,
) -> Made {
    let token = how.presents(tokens).expose();
    let hint = if tokens.refresh_token.is_some() { "refresh_token" } else { "access_token" };
    let method = match (how, purpose) {
        (TokenRequest::GitHub, Purpose::Revoke) => Method::DELETE,
        _ => Method::POST,
    };
    let request = to(service, endpoint, method);
    let mut parameters = Parameters(Vec::new());
    let (request, body) = match how {
        TokenRequest::Standard => {
            parameters.0.extend([("token", token), ("token_type_hint", hint)]);
            (parameters.authenticate(service, request)?, service.quirks.body)
        }
        TokenRequest::AccessToken => {
            parameters.0.push(("token", token));
            (parameters.authenticate(service, request)?, service.quirks.body)
        }
        TokenRequest::TokenAlone => {
            parameters.0.push(("token", token));
            (request, service.quirks.body)
        }
        TokenRequest::Bearer => (request.header(AUTHORIZATION, sensitive("Bearer ", token)?), service.quirks.body),
        TokenRequest::GitHub => {
            parameters.0.push(("access_token", token));
            (request.header(AUTHORIZATION, basic(service)?), RequestBody::Json)
        }
    };
    parameters.extend(&service.quirks.token_parameters);
    parameters.send(request, body)
}

impl TokenRequest {
    /// Returns the token to present: the refresh token where the service accepts one, because with it the grant
    /// continues.
    pub(in crate::vault) fn presents(self, tokens: &TokenSet) -> &SecretText {
        match self {
            Self::Standard | Self::TokenAlone => tokens.refresh_token.as_ref().unwrap_or(&tokens.access_token),
            Self::AccessToken | Self::Bearer | Self::GitHub => &tokens.access_token,
        }
    }
}

/// A request to `endpoint` with the headers that all requests have.
fn to(service: &Service, endpoint: &Endpoint, method: Method) -> Builder {
    // GitHub's API refuses requests without a user agent.
    const AGENT: &str = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));
    let request = Request::builder().method(method).uri(endpoint.uri());
    let request = request.header(ACCEPT, "application/json").header(USER_AGENT, AGENT);
    service.quirks.headers.iter().fold(request, |request, (name, value)| request.header(name, value))
}

/// The parameters of a request: names and values, each name once.
struct Parameters<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Parameters<'a> {
    fn set(&mut self, name: &'a str, value: &'a str) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value,
            None => self.0.push((name, value)),
        }
    }

    fn extend(&mut self, others: &'a BTreeMap<String, String>) {
        others.iter().for_each(|(name, value)| self.set(name, value));
    }

    /// Adds the client's credentials, to the parameters or to a header of `request`.
    fn authenticate(&mut self, service: &'a Service, request: Builder) -> Result<Builder, UpstreamError> {
        match &service.authentication {
            ClientAuthentication::Basic(_) => return Ok(request.header(AUTHORIZATION, basic(service)?)),
            ClientAuthentication::Body(secret) => {
                self.0.extend([("client_id", service.client_id.as_str()), ("client_secret", secret.expose())]);
            }
            ClientAuthentication::None => self.0.push(("client_id", &service.client_id)),
        }
        Ok(request)
    }

    fn send(&self, request: Builder, body: RequestBody) -> Made {
        let (content_type, body) = match body {
            // HTTP clients leave out the length of an empty body, and some servers require it (RFC 9110 §8.6).
            _ if self.0.is_empty() => return finish(request.header(CONTENT_LENGTH, 0), Vec::new()),
            RequestBody::Form => ("application/x-www-form-urlencoded", self.form()),
            RequestBody::Json => ("application/json", self.json()?),
        };
        finish(request.header(CONTENT_TYPE, content_type), body)
    }

    fn form(&self) -> Vec<u8> {
        let mut form = form_urlencoded::Serializer::new(String::with_capacity(self.room(3)));
        form.extend_pairs(&self.0).finish().into_bytes()
    }

    fn json(&self) -> Result<Vec<u8>, UpstreamError> {
        let mut body = Vec::with_capacity(self.room(6));
        let mut json = serde_json::Serializer::new(&mut body);
        let mut object = json.serialize_map(Some(self.0.len())).map_err(|_| unsendable())?;
        self.0.iter().try_for_each(|(name, value)| object.serialize_entry(name, value)).map_err(|_| unsendable())?;
        object.end().map_err(|_| unsendable())?;
        Ok(body)
    }

    /// A capacity for a body in which a byte takes `most` bytes, so that the buffer never moves and leaves an
    /// unzeroized copy behind.
    fn room(&self, most: usize) -> usize {
        2 + self.0.iter().map(|(name, value)| most * (name.len() + value.len()) + 6).sum::<usize>()
    }
}

/// The `Basic` header: client id and secret, each form-encoded first (RFC 6749 §2.3.1).
fn basic(service: &Service) -> Result<HeaderValue, UpstreamError> {
    let (id, secret) = (service.client_id.as_bytes(), service.authentication.secret().as_bytes());
    let mut pair = Zeroizing::new(String::with_capacity(3 * (id.len() + secret.len()) + 1));
    pair.extend(form_urlencoded::byte_serialize(id).chain([":"]).chain(form_urlencoded::byte_serialize(secret)));
    sensitive("Basic ", &Zeroizing::new(Base64::encode_string(pair.as_bytes())))
}

/// A header value that is marked as sensitive.
fn sensitive(scheme: &str, text: &str) -> Result<HeaderValue, UpstreamError> {
    let line = Zeroizing::new([scheme, text].concat());
    let mut value = HeaderValue::from_str(&line).map_err(|_| unsendable())?;
    value.set_sensitive(true);
    Ok(value)
}

fn finish(request: Builder, body: Vec<u8>) -> Made {
    request.body(body).map_err(|_| unsendable())
}

/// The error for a request that cannot be built, because a value of the application does not fit into a header.
fn unsendable() -> UpstreamError {
    UpstreamError::refused("unsendable")
}
