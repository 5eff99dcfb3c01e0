//! The credentials that a server holds for its users at other services (GitHub, Slack, a database): sealed, leased for one
//! call, refreshed ahead of expiry by one caller, revoked with the user.
//!
//! The token that an MCP client presents never goes upstream, and nothing of the upstream ever reaches the client.
//!
//! | file | concept |
//! |---|---|
//! | `credential` | what is held for a user, and where |
//! | `provider`, `error` | the service's side, and what it answers instead of tokens |
//! | `successor` | the tokens after a refresh: a pure function |
//! | `stored_tokens` | tokens as they are written down |
//! | `policy`, `patience` | when, how long, how often |
//! | `oauth` | a ready provider, with what is odd about a service as data |
//! | `vault` | sealed, leased, refreshed, revoked |
//! | `keys` | data keys, and the keys that wrap them |
//! | `client_credentials` | the other side: a program that is itself a client |
//! | `runtime` | what is asked of the asynchronous runtime |
//! | `audit` | what the vault did, and why |

mod credential;
mod error;
pub(crate) mod keys;
pub(crate) mod patience;
pub(crate) mod policy;
mod provider;
mod providers;
mod runtime;
mod slot;
pub(crate) mod stored_tokens;
mod successor;

pub use self::credential::{Account, Credential, Secret, SecretText, StaticSecret, TokenSet};
pub use self::error::UpstreamError;
pub use self::keys::{DataKey, KeyWrapper, WrapError, WrappedKey};
#[cfg(feature = "os-keyring")]
pub use self::keys::{OsKeyring, OsKeyringError};
pub use self::policy::{RefreshPolicy, RefreshPolicyBuilder, RefreshPolicyError};
pub use self::provider::{CredentialStatus, Refreshed, Revocation, UpstreamProvider};
pub use self::providers::oauth::{
    ClientAuthentication, Endpoint, EndpointError, HttpClient, Meaning, OAuthProvider, Quirks, RequestBody, Service,
    TokenRequest,
};
pub use self::runtime::Runtime;
pub use self::slot::{
    BoundTo, CredentialInfo, CredentialKind, CredentialState, CredentialVault, Lease, LeaseError, LeaseRequest,
    LeasedSecret, RevocationListener, VaultError, VaultErrorKind,
};
pub use crate::audit::{UpstreamAct, UpstreamReason};
