//! The credentials that a server holds for its users at other services (GitHub, Slack, a database): sealed, leased for one
//! call, refreshed ahead of expiry by one caller, revoked with the user.
//!
//! The token that an MCP client presents never goes upstream, and nothing of the upstream ever reaches the client.

mod audit;
mod cascade;
mod client_credentials;
mod content;
mod credential;
mod data_keys;
mod decision;
mod error;
mod held;
mod info;
mod keeping;
mod key_wrapper;
mod keyring_wrapper;
mod lease;
mod lease_error;
mod leasing;
mod oauth;
#[cfg(feature = "os-keyring")]
mod os_keyring;
mod owner;
mod patience;
mod policy;
mod provider;
mod record;
mod refresh;
mod revoke;
mod root;
mod runtime;
mod settle;
mod storage;
mod upkeep;
mod vault;
mod vault_error;

pub use self::audit::{UpstreamAct, UpstreamReason};
pub use self::cascade::Cascade;
#[cfg(feature = "os-keyring")]
pub use self::client_credentials::OsStorage;
pub use self::client_credentials::{
    ClientCredentials, ClientCredentialsError, CredentialStorage, FileStorage, StorageError, StorageLock,
};
pub use self::credential::{Account, Credential, Secret, SecretText, StaticSecret, TokenSet};
pub use self::error::UpstreamError;
pub use self::info::{CredentialInfo, CredentialKind, CredentialState};
pub use self::key_wrapper::{DataKey, KeyWrapper, WrapError, WrappedKey};
pub use self::lease::{Lease, LeasedSecret, Need};
pub use self::lease_error::LeaseError;
pub use self::oauth::{
    ClientAuthentication, Endpoint, EndpointError, HttpClient, Meaning, OAuthProvider, Quirks, Service, TokenRequest,
};
#[cfg(feature = "os-keyring")]
pub use self::os_keyring::{OsKeyring, OsKeyringError};
pub use self::owner::Owner;
pub use self::policy::{RefreshPolicy, RefreshPolicyBuilder, RefreshPolicyError};
pub use self::provider::{Refreshed, Revocation, Standing, UpstreamProvider};
pub use self::runtime::Runtime;
pub use self::vault::CredentialVault;
pub use self::vault_error::{VaultError, VaultErrorKind};
