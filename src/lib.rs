//! wip
#![warn(missing_docs, missing_debug_implementations, unreachable_pub)]
#![warn(clippy::exhaustive_enums)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unreachable,
    clippy::todo,
    clippy::unimplemented,
    clippy::dbg_macro,
    clippy::print_stdout,
    clippy::print_stderr
)]
mod access_keys;
mod audit;
mod claims;
mod client;
mod crypto;
pub mod decision;
mod entropy;
mod error;
mod family;
mod grant;
mod grant_check;
mod id;
mod issuer;
mod keyring;
mod live;
mod master_key;
mod policy;
mod record;
mod request;
mod response;
mod sessions;
mod store;
mod time;
mod token;
mod upkeep;
mod verifier;

pub use self::access_keys::AccessKeys;
pub use self::audit::*;
pub use self::claims::AccessClaims;
pub use self::client::*;
pub use self::entropy::{Entropy, EntropyError, OsEntropy};
pub use self::error::{Error, ErrorKind};
pub use self::family::{FamilyId, RevocationReason, Status, TokenFamily};
pub use self::grant::{Grant, GrantError, Resource, Scope};
pub use self::grant_check::{GrantCheck, Standing};
pub use self::issuer::TokenIssuer;
pub use self::keyring::{KeyId, Keyring};
pub use self::master_key::{KeyringError, MasterKey};
pub use self::policy::*;
pub use self::request::{AuthorizeRequest, RedeemRequest, RefreshRequest};
pub use self::response::*;
pub use self::store::*;
pub use self::time::{Clock, SystemClock, Timestamp};
pub use self::token::*;
pub use self::verifier::{AccessVerifier, Expectation, VerifyError};
