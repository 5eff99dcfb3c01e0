//! The credentials that a server holds for its users at other services (GitHub, Slack, a database): sealed, leased for one
//! call, refreshed ahead of expiry by one caller, revoked with the user.
//!
//! The token that an MCP client presents never goes upstream, and nothing of the upstream ever reaches the client.

mod client_credentials;
mod credential;
mod error;
mod key_wrapper;
mod provider;
mod runtime;

#[cfg(feature = "os-keyring")]
pub use self::client_credentials::OsStorage;
pub use self::client_credentials::{
    ClientCredentials, ClientCredentialsError, CredentialStorage, FileStorage, StorageError, StorageLock,
};
pub use self::credential::{Account, Credential, Secret, SecretText, StaticSecret, TokenSet};
pub use self::error::UpstreamError;
pub use self::key_wrapper::{DataKey, KeyWrapper, WrapError, WrappedKey};
pub use self::provider::{Refreshed, Revocation, Standing, UpstreamProvider};
pub use self::runtime::Runtime;
