//! Client authentication: `none`, `client_secret_basic` or `client_secret_post` (RFC 6749 §2.3.1).

use base64ct::{Base64, Encoding};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use zeroize::Zeroizing;

use crate::audit::{ErrorCode, Reason};
use crate::grant::Client;
use crate::http::clients::{ClientRegistry, RegisteredClient};
use crate::http::wire::params::Params;
use crate::http::wire::reply::Refusal;

/// The client id and the secret that a request presents.
struct Credentials {
    id: String,
    secret: Option<Zeroizing<String>>,
}

/// A client that has authenticated, and its registration.
pub(in crate::http) struct Authenticated {
    pub(in crate::http) client: Client,
    pub(in crate::http) registration: RegisteredClient,
}

/// The refusal of a request without a client. It is not `invalid_client`, for which clients discard their registration.
pub(in crate::http) const NO_CLIENT: Refusal =
    Refusal::Error(ErrorCode::InvalidRequest, "client_id is required, in the body or in an Authorization header");

/// Authenticates the client of the request; `None` if the request names none.
pub(in crate::http) async fn authenticate(
    headers: &HeaderMap,
    params: &Params,
    clients: &dyn ClientRegistry,
) -> Result<Option<Authenticated>, Refusal> {
    let Some(Credentials { id, secret }) = Credentials::read(headers, params)? else { return Ok(None) };
    let Some(registration) = clients.find(&id).await? else {
        return Err(Refusal::InvalidClient.because(Reason::UnknownClient, None));
    };
    match registration.authenticate(secret.as_ref().map(|secret| secret.as_str())) {
        Some(client) => Ok(Some(Authenticated { client, registration })),
        None => Err(Refusal::InvalidClient.because(Reason::WrongSecret, Some(registration.id()))),
    }
}

impl Credentials {
    /// Reads the credentials of a request; `None` if it has none.
    fn read(headers: &HeaderMap, params: &Params) -> Result<Option<Self>, Refusal> {
        const TWICE: Refusal = Refusal::Error(
            ErrorCode::InvalidRequest,
            "the client must authenticate in exactly one way: one Authorization header, or the body",
        );
        let posted_id = params.get("client_id");
        let posted_secret = params.get("client_secret");
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let Some(value) = values.next() else {
            let secret = posted_secret.map(|text| Zeroizing::new(text.to_owned()));
            return Ok(posted_id.map(|id| Self { id: id.to_owned(), secret }));
        };
        if values.next().is_some() {
            return Err(TWICE);
        }
        let unclear = || Refusal::InvalidClient.because(Reason::BadRequest, None);
        let (id, secret) = value.to_str().ok().and_then(basic).ok_or_else(unclear)?;
        if posted_secret.is_some() || posted_id.is_some_and(|posted| posted != id) {
            return Err(TWICE);
        }
        Ok(Some(Self { id, secret: Some(secret).filter(|secret| !secret.is_empty()) }))
    }
}

/// Reads client id and secret from a `Basic` header, each form-encoded first (RFC 6749 §2.3.1).
fn basic(value: &str) -> Option<(String, Zeroizing<String>)> {
    let (scheme, encoded) = value.split_once(' ')?;
    let decoded = Zeroizing::new(Base64::decode_vec(encoded.trim()).ok()?);
    let (id, secret) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    let decode = |text: &str| {
        let form = Zeroizing::new(text.replace('&', "%26").replace('=', "%3D"));
        form_urlencoded::parse(form.as_bytes()).next().map(|(text, _)| text.into_owned()).unwrap_or_default()
    };
    scheme.eq_ignore_ascii_case("basic").then(|| (decode(id), Zeroizing::new(decode(secret))))
}
