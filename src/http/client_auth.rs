//! Who the client is: `none`, `client_secret_basic` or `client_secret_post` (RFC 6749 §2.3.1).

use base64ct::{Base64, Encoding};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use zeroize::Zeroizing;

use super::clients::ClientRegistry;
use super::params::Params;
use super::reply::Refusal;
use crate::client::Client;
use crate::response::ErrorCode;

/// A client id and a secret, as presented.
struct Credentials {
    id: String,
    secret: Option<Zeroizing<String>>,
    basic: bool,
}

/// The client that makes the request, authenticated if it is one that must be.
pub(super) async fn authenticate(
    headers: &HeaderMap,
    params: &Params,
    clients: &dyn ClientRegistry,
) -> Result<Client, Refusal> {
    let Credentials { id, secret, basic } = Credentials::read(headers, params)?;
    let known = clients.find(&id).await?;
    let client = known.and_then(|client| client.authenticate(secret.as_ref().map(|secret| secret.as_str())));
    client.ok_or(Refusal::InvalidClient(basic))
}

impl Credentials {
    fn read(headers: &HeaderMap, params: &Params) -> Result<Self, Refusal> {
        const TWICE: Refusal = Refusal::Error(ErrorCode::InvalidRequest, "the client authenticates in two ways");
        let posted_id = params.get("client_id");
        let posted_secret = params.get("client_secret");
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let Some(value) = values.next() else {
            let id = posted_id.ok_or(Refusal::InvalidClient(false))?.to_owned();
            return Ok(Self { id, secret: posted_secret.map(|text| Zeroizing::new(text.to_owned())), basic: false });
        };
        if values.next().is_some() {
            return Err(TWICE);
        }
        let (id, secret) = value.to_str().ok().and_then(basic).ok_or(Refusal::InvalidClient(true))?;
        if posted_secret.is_some() || posted_id.is_some_and(|posted| posted != id) {
            return Err(TWICE);
        }
        Ok(Self { id, secret: Some(secret).filter(|secret| !secret.is_empty()), basic: true })
    }
}

/// Id and secret out of a `Basic` header, each of them form-encoded first (RFC 6749 §2.3.1).
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
