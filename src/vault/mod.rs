//! The credentials that a server holds for its users at other services (GitHub, Slack, a database).
//!
//! The vault seals each credential, leases it for one call, refreshes it before it expires, and revokes it together
//! with the user, session or client it is bound to. The vault never sends the token of an MCP client to the other
//! service. A leased secret is only for the request to the service and must not reach the client.
//!
//! | file | what it holds |
//! |---|---|
//! | `credential` | a credential and the account that it belongs to |
//! | `provider`, `connector`, `refreshed`, `error` | the interface to a service, its answers and its errors |
//! | `providers/oauth/` | a provider for OAuth services; what a service does differently is data |
//! | `successor` | the tokens after a refresh: a pure function |
//! | `stored_tokens` | the stored form of tokens |
//! | `policy`, `patience` | when to refresh, how long to wait, how often to retry |
//! | `lease`, `lease_error`, `bound_to`, `info`, `vault_error` | what the application gives to the vault and gets from it |
//! | `slot/` | the vault: one slot for each account, one decision, one runner |
//! | `connect/`, `connect_link` | from no credential to one: the user authorizes the application at the service |
//! | `record/` | a slot as bytes, as a sealed record, and where it is stored |
//! | `revocation_listener` | revocations that follow the end of a subject, session or client |
//! | `keys/` | data keys, and the keys that wrap them |
//! | `runtime` | what the vault needs of the asynchronous runtime |

mod bound_to;
mod connect;
mod connect_link;
mod connector;
mod credential;
mod error;
mod info;
pub(crate) mod keys;
mod lease;
mod lease_error;
pub(crate) mod patience;
pub(crate) mod policy;
mod provider;
mod providers;
mod record;
mod refreshed;
mod revocation_listener;
mod runtime;
mod slot;
pub(crate) mod stored_tokens;
mod successor;
mod vault_error;

pub use self::bound_to::BoundTo;
pub use self::connect::{AuthorizeUrl, BrowserUser, Callback, ConnectError, ConnectOutcome, ConnectRequest};
pub use self::connect_link::ConnectLink;
#[cfg(feature = "http")]
pub(crate) use self::connect_link::segment;
pub use self::connector::{AuthorizeParameters, CodeExchange, Connector, ExpectedIssuer};
pub use self::credential::{Account, Credential, Secret, SecretText, StaticSecret, TokenSet};
pub use self::error::UpstreamError;
pub use self::info::{CredentialInfo, CredentialKind, CredentialState};
pub use self::keys::{DataKey, KeyWrapper, WrapError, WrappedKey};
#[cfg(feature = "os-keyring")]
pub use self::keys::{OsKeyring, OsKeyringError};
pub use self::lease::{Lease, LeaseRequest, LeasedSecret};
pub use self::lease_error::LeaseError;
pub use self::policy::{RefreshPolicy, RefreshPolicyBuilder, RefreshPolicyError};
pub use self::provider::{CredentialStatus, Revocation, UpstreamProvider};
#[cfg(feature = "reqwest")]
pub use self::providers::oauth::ReqwestClient;
pub use self::providers::oauth::{
    Authorization, ClientAuthentication, Endpoint, EndpointError, HttpClient, Meaning, OAuthProvider, Quirks,
    RequestBody, Service, TokenRequest,
};
pub use self::refreshed::Refreshed;
pub use self::revocation_listener::RevocationListener;
pub use self::runtime::Runtime;
pub use self::slot::CredentialVault;
pub use self::vault_error::{VaultError, VaultErrorKind};
pub use crate::audit::{UpstreamAct, UpstreamReason};

/// The decision of the vault, for the model check of this repository. It is no part of the public API.
#[doc(hidden)]
pub mod decision {
    pub use super::slot::decision::decide;
    pub use super::slot::event::{Answer, Ask, Context, Event, RevocationAnswer, Whom};
    pub use super::slot::outcome::{Decision, Effect, Refusal, Report, Verdict};
    pub use super::slot::state::{
        BackOff, Claim, Ending, Failure, Held, Live, MAX_ENDING, OperationId, Phase, SecretId, Slot, Step,
    };
}
