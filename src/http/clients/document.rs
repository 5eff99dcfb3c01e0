//! Clients that are identified by the URL of a metadata document
//! ([draft-ietf-oauth-client-id-metadata-document](https://datatracker.ietf.org/doc/draft-ietf-oauth-client-id-metadata-document/)).

use crate::pointers::pointers;
use std::error::Error as StdError;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::document_url::is_document;
use super::metadata::{AuthMethod, ClientMetadata, MetadataError};
use super::{ClientRegistry, RegisteredClient};
use crate::error::Error;
use crate::store::{BoxFuture, StoreError};
use crate::time::Timestamp;

/// The largest document, in bytes (§6.6 of the draft recommends 5 KB).
const MAX_DOCUMENT: usize = 5 * 1024;

type BoxError = Box<dyn StdError + Send + Sync>;

/// Fetches client metadata documents. The application implements it.
///
/// # Security
///
/// The URL comes from an anonymous request. It is `https`, and has no dot segment in any spelling. Its host is no IP
/// address and no name that is known to be local (`localhost`, `local`, `internal`, `intranet`, `private`, `corp`,
/// `home`, `lan`, `localdomain`, `arpa`, `svc`, `cluster`, `test`, `invalid`, `onion`, a name without a dot). That list
/// prevents mistakes but no attack, because any name may resolve to a private address. So an implementation must:
///
/// * resolve the host as an absolute name, without a search domain;
/// * refuse private, loopback and link-local addresses when it connects;
/// * follow no redirect, read at most 5 KB, and wait a few seconds at most;
/// * cache a good document as long as its cache headers permit (§6 of the draft; SSRF).
pub trait FetchDocument: Send + Sync {
    /// Fetches `url`. Returns the body of a `200` with a JSON media type; `None` if there is no such document, for
    /// example for a `404`.
    ///
    /// # Errors
    ///
    /// Any error if this cannot be found out now, for example for a `503`. Do not return `None` then: the client would
    /// lose the sessions of its users.
    fn fetch<'a>(&'a self, url: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>, BoxError>>;
}

pointers! {
    impl FetchDocument {
        fn fetch<'a>(&'a self, url: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>, BoxError>> {
            T::fetch(self, url)
        }
    }
}

/// Why a client ID metadata document was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// The client id is not the URL of a document: `https`, a host that is not known to be local, a path without dot
    /// segments, no query, fragment or user information, at most 512 bytes.
    #[error(
        "client_id must be an https URL of at most 512 bytes with a public host and a path, without query or fragment"
    )]
    Address,
    /// The document is longer than 5 KiB.
    #[error("the client metadata document must be at most 5120 bytes")]
    TooLong,
    /// The document is about another client.
    #[error("client_id in the client metadata document must equal its URL")]
    OtherClient,
    /// The document has no `client_name`.
    #[error("the client metadata document must have a client_name")]
    NoName,
    /// The document contains a secret or asks for a shared one, which a public document cannot have (§4.1).
    #[error("the client metadata document must not have or require a client secret")]
    Secret,
    /// The metadata in the document is invalid.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
}

impl RegisteredClient {
    /// Creates the client that the `document` found at `client_id` describes.
    ///
    /// # Errors
    ///
    /// [`DocumentError`] if `client_id` cannot be the URL of a document, or the document is too long, about another
    /// client, or invalid.
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
        // A public document cannot share a secret, and this server supports no other authentication for its client.
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

/// A [`ClientRegistry`] that adds clients with a metadata document to another registry.
///
/// The other registry is asked first, so a document at the URL of a preregistered client changes nothing about that
/// client.
#[derive(Debug)]
pub struct WithDocuments<R, F> {
    registry: R,
    fetch: F,
}

impl<R: ClientRegistry, F: FetchDocument> WithDocuments<R, F> {
    /// Creates a registry with the clients of `registry` and those whose documents `fetch` finds.
    pub fn new(registry: R, fetch: F) -> Self {
        Self { registry, fetch }
    }
}

impl<R: ClientRegistry, F: FetchDocument> ClientRegistry for WithDocuments<R, F> {
    fn find<'a>(&'a self, client_id: &'a str) -> BoxFuture<'a, Result<Option<RegisteredClient>, Error>> {
        Box::pin(async move {
            let known = self.registry.find(client_id).await?;
            if known.is_some() || !is_document(client_id) {
                return Ok(known);
            }
            let document = self.fetch.fetch(client_id).await.map_err(StoreError::unavailable)?;
            Ok(document.and_then(|document| RegisteredClient::from_document(client_id, &document).ok()))
        })
    }

    fn register(&self, client: RegisteredClient) -> BoxFuture<'_, Result<Option<Timestamp>, Error>> {
        self.registry.register(client)
    }

    fn used<'a>(&'a self, client: &'a RegisteredClient) -> BoxFuture<'a, Result<(), Error>> {
        self.registry.used(client)
    }
}
