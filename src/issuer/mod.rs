//! The issuer: it takes a request, loads the family, decides, commits and responds.

mod exchange;
mod grant_check;
mod introspection;
mod newest_key;
mod revocation;
mod store_watch;
mod token_issuer;

pub use self::grant_check::{GrantCheck, GrantStatus};
pub use self::token_issuer::TokenIssuer;
#[cfg(feature = "vault")]
pub(crate) use crate::record::MAX_ATTEMPTS;
#[cfg(feature = "vault")]
pub(crate) use crate::store::{PAGE, purge_all};
