//! The clients: what is known of each, and where that is kept.

mod document;
mod document_url;
mod memory;
mod metadata;
mod name;
mod secret;
mod stored;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::document::{DocumentError, FetchDocument, WithDocuments};
pub use self::memory::MemoryClients;
pub use self::metadata::{AuthMethod, ClientMetadata, MetadataError};
pub use self::secret::ClientSecret;
use self::secret::SecretHash;
pub use self::stored::StoredClients;
use super::address::RedirectUri;
use crate::grant::Client;
use crate::store::{BoxFuture, StoreError};
use crate::time::Timestamp;

/// Where clients are known.
pub trait ClientRegistry: Send + Sync {
    /// The client `client_id`, which comes from the request as it is.
    ///
    /// # Errors
    ///
    /// When it cannot be found out now: the client gets 503 and tries again.
    fn find<'a>(&'a self, client_id: &'a str) -> BoxFuture<'a, Result<Option<RegisteredClient>, StoreError>>;

    /// Keep a client that has just been registered (RFC 7591), durably if sessions are durable: a client that is forgotten
    /// has lost the sessions of all its users. Returns until when its secret is good, or `None` if it does not expire while it
    /// is in use.
    ///
    /// A public client that registers twice with the same metadata comes with the same id, and is to be kept once. Anyone may
    /// register, so a registry should forget clients that were never [used](Self::used), within hours.
    ///
    /// # Errors
    ///
    /// When it was not kept, or may not have been.
    fn register(&self, client: RegisteredClient) -> BoxFuture<'_, Result<Option<Timestamp>, StoreError>>;

    /// Take note that `client`, as [`find`](Self::find) returned it, is in use: a user agreed to it, or it got tokens. A registry
    /// that forgets clients counts from here. This is called with every token response, so it should seldom write.
    ///
    /// # Errors
    ///
    /// When it was not noted. The fault is reported and the client gets its answer.
    fn used<'a>(&'a self, client: &'a RegisteredClient) -> BoxFuture<'a, Result<(), StoreError>> {
        let _ = client;
        Box::pin(async { Ok(()) })
    }
}

/// A client as it is registered.
///
/// It serializes with the hash of its secret, for an application that keeps its clients itself.
#[derive(Clone, Serialize, Deserialize)]
pub struct RegisteredClient {
    id: String,
    metadata: ClientMetadata,
    secret: Option<SecretHash>,
    preregistered: bool,
    /// When the registry that found it forgets it, unless it is used.
    #[serde(skip)]
    expires_at: Option<Timestamp>,
}

impl RegisteredClient {
    /// A client that is known beforehand and keeps no secret.
    pub fn public(id: impl Into<String>, metadata: ClientMetadata) -> Self {
        let metadata = ClientMetadata { auth_method: AuthMethod::None, ..metadata };
        Self { id: id.into(), metadata, secret: None, preregistered: true, expires_at: None }
    }

    /// A client that is known beforehand and authenticates with `secret`, which is kept as a hash only.
    pub fn confidential(id: impl Into<String>, secret: &ClientSecret, metadata: ClientMetadata) -> Self {
        let auth_method = match metadata.auth_method {
            AuthMethod::None => AuthMethod::ClientSecretBasic,
            method => method,
        };
        let metadata = ClientMetadata { auth_method, ..metadata };
        Self { id: id.into(), metadata, secret: Some(secret.hash()), preregistered: true, expires_at: None }
    }

    /// A resource server that authenticates with `secret` to introspect tokens, and can do nothing else: no code goes to it.
    pub fn resource_server(id: impl Into<String>, secret: &ClientSecret) -> Self {
        let auth_method = AuthMethod::ClientSecretBasic;
        Self::confidential(id, secret, ClientMetadata { redirect_uris: Vec::new(), name: None, auth_method })
    }

    /// The same, known by nothing but what it says of itself.
    pub(super) fn self_declared(self) -> Self {
        Self { preregistered: false, ..self }
    }

    /// The client id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What it says of itself. A client that registers may say anything: show the name to a user together with the host that the
    /// code will go to.
    pub fn metadata(&self) -> &ClientMetadata {
        &self.metadata
    }

    /// Whether the application knew it beforehand. Otherwise it registered itself, or is known by a document of its own.
    pub fn is_preregistered(&self) -> bool {
        self.preregistered
    }

    /// The redirect URI that a request with `presented` means, if it is one of this client's.
    pub fn redirect_uri(&self, presented: &str) -> Option<&RedirectUri> {
        self.redirect_uris().find(|uri| uri.matches(presented))
    }

    /// Where its codes may go.
    pub(super) fn redirect_uris(&self) -> impl Iterator<Item = &RedirectUri> {
        self.metadata.redirect_uris.iter().filter(|uri| self.metadata.reaches(uri))
    }

    /// Whether `other` is the same public client, registered once more.
    fn is_registered_as(&self, other: &Self) -> bool {
        let alike = |client: &Self| (client.secret.is_none(), client.preregistered, client.metadata.canonical());
        self.secret.is_none() && self.id == other.id && alike(self) == alike(other)
    }

    /// The client, if what it presents is what it must: its secret, or none if it has none.
    pub(super) fn authenticate(&self, presented: Option<&str>) -> Option<Client> {
        match (&self.secret, presented) {
            (None, None) => Some(Client::public(self.id.as_str())),
            (Some(secret), Some(presented)) if secret.matches(presented) => {
                Some(Client::confidential(self.id.as_str()))
            }
            _ => None,
        }
    }
}

impl fmt::Debug for RegisteredClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, metadata, secret: _, preregistered, expires_at } = self;
        f.debug_struct("RegisteredClient")
            .field("id", id)
            .field("metadata", metadata)
            .field("preregistered", preregistered)
            .field("expires_at", expires_at)
            .finish_non_exhaustive()
    }
}
