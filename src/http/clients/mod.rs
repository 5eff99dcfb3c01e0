//! The clients: what is known of each, and where it is stored.

mod document;
mod document_url;
mod memory;
mod metadata;
mod name;
mod secret;
mod stored;

use crate::pointers::pointers;
use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::document::{DocumentError, FetchDocument, WithDocuments};
pub use self::memory::MemoryClients;
pub use self::metadata::{AuthMethod, ClientMetadata, MetadataError};
pub use self::secret::ClientSecret;
use self::secret::SecretHash;
pub use self::stored::StoredClients;
use super::address::RedirectUri;
use crate::error::Error;
use crate::grant::Client;
use crate::store::BoxFuture;
use crate::time::Timestamp;

/// Finds and stores clients.
///
/// A registry of the application's reports its faults as [`StoreError`](crate::StoreError), from which an [`Error`] is
/// made by `?` or `into`.
pub trait ClientRegistry: Send + Sync {
    /// Finds the client `client_id`, which comes from the request unchecked.
    ///
    /// # Errors
    ///
    /// [`Error`] if this cannot be found out now: the client gets a 503 and retries.
    fn find<'a>(&'a self, client_id: &'a str) -> BoxFuture<'a, Result<Option<RegisteredClient>, Error>>;

    /// Stores a client that has just registered (RFC 7591). Returns when its secret expires, or `None` if it does not
    /// expire while it is in use.
    ///
    /// Store it durably if sessions are durable: a client that is lost loses the sessions of all its users. A public
    /// client that registers again with the same metadata has the same id, and is stored once. Anyone may register, so
    /// a registry should delete clients that were never [used](Self::used), within hours.
    ///
    /// # Errors
    ///
    /// [`Error`] if the client was not stored, or may not have been.
    fn register(&self, client: RegisteredClient) -> BoxFuture<'_, Result<Option<Timestamp>, Error>>;

    /// Records that `client`, as [`find`](Self::find) returned it, is in use: a user agreed to it, or it got tokens.
    ///
    /// A registry that deletes clients counts from here. This is called with each token response, so it should rarely
    /// write. The default implementation does nothing.
    ///
    /// # Errors
    ///
    /// [`Error`] if it was not recorded. The fault is reported, and the client gets its answer.
    fn used<'a>(&'a self, client: &'a RegisteredClient) -> BoxFuture<'a, Result<(), Error>> {
        let _ = client;
        Box::pin(async { Ok(()) })
    }
}

pointers! {
    impl ClientRegistry {
        fn find<'a>(&'a self, client_id: &'a str) -> BoxFuture<'a, Result<Option<RegisteredClient>, Error>> {
            T::find(self, client_id)
        }
        fn register(&self, client: RegisteredClient) -> BoxFuture<'_, Result<Option<Timestamp>, Error>> {
            T::register(self, client)
        }
        fn used<'a>(&'a self, client: &'a RegisteredClient) -> BoxFuture<'a, Result<(), Error>> {
            T::used(self, client)
        }
    }
}

/// A registered client.
///
/// It serializes with the hash of its secret, for an application that stores its clients itself.
#[derive(Clone, Serialize, Deserialize)]
pub struct RegisteredClient {
    id: String,
    metadata: ClientMetadata,
    secret: Option<SecretHash>,
    preregistered: bool,
    /// When the registry deletes it, unless it is used.
    #[serde(skip)]
    expires_at: Option<Timestamp>,
}

impl RegisteredClient {
    /// Creates a preregistered public client, which has no secret.
    pub fn public(id: impl Into<String>, metadata: ClientMetadata) -> Self {
        let metadata = ClientMetadata { auth_method: AuthMethod::None, ..metadata };
        Self { id: id.into(), metadata, secret: None, preregistered: true, expires_at: None }
    }

    /// Creates a preregistered client that authenticates with `secret`. Only a hash of the secret is kept.
    pub fn confidential(id: impl Into<String>, secret: &ClientSecret, metadata: ClientMetadata) -> Self {
        let auth_method = match metadata.auth_method {
            AuthMethod::None => AuthMethod::ClientSecretBasic,
            method => method,
        };
        let metadata = ClientMetadata { auth_method, ..metadata };
        Self { id: id.into(), metadata, secret: Some(secret.hash()), preregistered: true, expires_at: None }
    }

    /// Creates a resource server that authenticates with `secret` to introspect tokens. It can do nothing else: it has
    /// no redirect URI for a code.
    pub fn resource_server(id: impl Into<String>, secret: &ClientSecret) -> Self {
        let auth_method = AuthMethod::ClientSecretBasic;
        Self::confidential(id, secret, ClientMetadata { redirect_uris: Vec::new(), name: None, auth_method })
    }

    /// Marks the client as known only by its own metadata.
    pub(super) fn self_declared(self) -> Self {
        Self { preregistered: false, ..self }
    }

    /// Returns the client id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns the metadata of the client.
    ///
    /// # Security
    ///
    /// A client that registers may state anything. Show its name to a user only together with the host that receives
    /// the code.
    pub fn metadata(&self) -> &ClientMetadata {
        &self.metadata
    }

    /// Returns whether the application configured the client. Otherwise it registered itself, or has a document.
    pub fn is_preregistered(&self) -> bool {
        self.preregistered
    }

    /// Returns the redirect URI of this client that a request with `presented` means, if any.
    pub fn redirect_uri(&self, presented: &str) -> Option<&RedirectUri> {
        self.redirect_uris().find(|uri| uri.matches(presented))
    }

    /// The redirect URIs that may receive its codes.
    pub(super) fn redirect_uris(&self) -> impl Iterator<Item = &RedirectUri> {
        self.metadata.redirect_uris.iter().filter(|uri| self.metadata.reaches(uri))
    }

    /// Whether `other` is the same public client, registered again.
    fn is_registered_as(&self, other: &Self) -> bool {
        let alike = |client: &Self| (client.secret.is_none(), client.preregistered, client.metadata.canonical());
        self.secret.is_none() && self.id == other.id && alike(self) == alike(other)
    }

    /// Returns the client if it presents its secret, or no secret if it has none.
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
