//! Clients that are known by the address of a document about them
//! ([draft-ietf-oauth-client-id-metadata-document](https://datatracker.ietf.org/doc/draft-ietf-oauth-client-id-metadata-document/)).

use std::error::Error as StdError;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::document_url::is_document;
use super::metadata::{AuthMethod, ClientMetadata, MetadataError};
use super::{ClientRegistry, RegisteredClient};
use crate::store::{BoxFuture, StoreError};
use crate::time::Timestamp;

/// The largest document that is read, in bytes (§6.6 of the draft recommends 5 KB).
const MAX_DOCUMENT: usize = 5 * 1024;

type BoxError = Box<dyn StdError + Send + Sync>;

/// How the application fetches a document.
///
/// # Security
///
/// The address comes from an anonymous request. It is `https`, and has no dot segment in any spelling. Its host is no address literal
/// and no name that is known to be local (`localhost`, `local`, `internal`, `intranet`, `private`, `corp`, `home`, `lan`,
/// `localdomain`, `arpa`, `svc`, `cluster`, `test`, `invalid`, `onion`, a name without a dot). That list keeps out mistakes and no
/// attack, because any name may resolve to a private address. So the fetcher has to:
///
/// * resolve the host as an absolute name, without a search domain;
/// * refuse addresses that are private, loopback or link-local, when it connects;
/// * follow no redirect, read at most 5 KB, and wait a few seconds at most;
/// * keep a good document as long as its cache headers allow (§6 of the draft; SSRF).
pub trait FetchDocument: Send + Sync {
    /// The body of a `200` with a JSON media type at `url`; `None` if there is no such document, such as for a `404`.
    ///
    /// # Errors
    ///
    /// When it could not be found out now, such as for a `503`: with `None` the client would lose the sessions of its users.
    fn fetch<'a>(&'a self, url: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>, BoxError>>;
}

/// Why a client-ID metadata document was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// Not an address that a client may be known by: `https`, a host that is not known to be local, a path without dot segments, no query,
    /// fragment or user, at most 512 bytes.
    #[error("the client id is no address of a metadata document")]
    Address,
    /// Longer than 5 KB.
    #[error("the client metadata document is too long")]
    TooLong,
    /// It is about another client.
    #[error("the client metadata document has another client_id")]
    OtherClient,
    /// It has no name.
    #[error("the client metadata document has no client_name")]
    NoName,
    /// It has a secret or asks for one to be shared, which a public document cannot do (§4.1).
    #[error("a client that is known by a document has no secret")]
    Secret,
    /// What it says of the client is not good.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
}

impl RegisteredClient {
    /// The client that the `document` found at `client_id` is about.
    ///
    /// # Errors
    ///
    /// [`DocumentError`].
    pub fn from_document(client_id: &str, document: &[u8]) -> Result<Self, DocumentError> {
        #[derive(Deserialize)]
        struct Wire {
            client_id: String,
            client_secret: Option<IgnoredAny>,
            #[serde(default)]
            token_endpoint_auth_method: Value,
        }
        if !is_document(client_id) {
            return Err(DocumentError::Address);
        }
        if document.len() > MAX_DOCUMENT {
            return Err(DocumentError::TooLong);
        }
        let wire: Wire = serde_json::from_slice(document).map_err(|_| MetadataError::Malformed)?;
        if wire.client_id != client_id {
            return Err(DocumentError::OtherClient);
        }
        if wire.client_secret.is_some() {
            return Err(DocumentError::Secret);
        }
        // A public document cannot share a secret, and its client authenticates by no other way that there is here.
        let asks_for_a_secret =
            wire.token_endpoint_auth_method.as_str().is_some_and(|m| m.starts_with("client_secret_"));
        match ClientMetadata::from_json(document, &[AuthMethod::None], |_| true) {
            Ok(ClientMetadata { name: None, .. }) => Err(DocumentError::NoName),
            Ok(metadata) => Ok(Self::public(client_id, metadata).self_declared()),
            Err(MetadataError::AuthMethod) if asks_for_a_secret => Err(DocumentError::Secret),
            Err(error) => Err(error.into()),
        }
    }
}

/// A [`ClientRegistry`] that knows, besides those of another one, the clients that are known by a document.
///
/// The other registry is asked first: a document at the address of a client that is known beforehand changes nothing about it.
#[derive(Debug)]
pub struct WithDocuments<R, F> {
    registry: R,
    fetch: F,
}

impl<R: ClientRegistry, F: FetchDocument> WithDocuments<R, F> {
    /// The clients of `registry`, and those whose documents `fetch` finds.
    pub fn new(registry: R, fetch: F) -> Self {
        Self { registry, fetch }
    }
}

impl<R: ClientRegistry, F: FetchDocument> ClientRegistry for WithDocuments<R, F> {
    fn find<'a>(&'a self, client_id: &'a str) -> BoxFuture<'a, Result<Option<RegisteredClient>, StoreError>> {
        Box::pin(async move {
            let known = self.registry.find(client_id).await?;
            if known.is_some() || !is_document(client_id) {
                return Ok(known);
            }
            let document = self.fetch.fetch(client_id).await.map_err(StoreError::unavailable)?;
            Ok(document.and_then(|document| RegisteredClient::from_document(client_id, &document).ok()))
        })
    }

    fn register(&self, client: RegisteredClient) -> BoxFuture<'_, Result<Option<Timestamp>, StoreError>> {
        self.registry.register(client)
    }

    fn used<'a>(&'a self, client: &'a RegisteredClient) -> BoxFuture<'a, Result<(), StoreError>> {
        self.registry.used(client)
    }
}
