//! The credentials that a server holds for its users at other services (GitHub, Slack, a database): sealed, leased for one
//! call, refreshed ahead of expiry by one caller, revoked with the user.
//!
//! The token that an MCP client presents never goes upstream, and nothing of the upstream ever reaches the client.

mod credential;
mod data_keys;
mod error;
mod key_wrapper;
mod keyring_wrapper;
#[cfg(feature = "os-keyring")]
mod os_keyring;
mod provider;
mod runtime;

pub use self::credential::{Account, Credential, Secret, SecretText, StaticSecret, TokenSet};
pub use self::error::UpstreamError;
pub use self::key_wrapper::{DataKey, KeyWrapper, WrapError, WrappedKey};
#[cfg(feature = "os-keyring")]
pub use self::os_keyring::{OsKeyring, OsKeyringError};
pub use self::provider::{Refreshed, Revocation, Standing, UpstreamProvider};
pub use self::runtime::Runtime;
