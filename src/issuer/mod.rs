//! The issuer: it takes a request, loads the family, decides, commits and responds.

mod exchange;
mod grant_check;
mod introspection;
mod newest_key;
mod revocation;
mod store_watch;
mod token_issuer;

pub use self::grant_check::{GrantCheck, GrantStatus};
#[cfg(feature = "vault")]
pub(crate) use self::store_watch::StoreWatch;
pub use self::token_issuer::TokenIssuer;
