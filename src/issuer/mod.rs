//! The issuer: it takes a request, loads the family, decides, commits and responds.

mod exchange;
mod grant_check;
mod introspection;
mod maintenance;
mod newest_key;
mod request;
mod response;
mod revocation;
mod store_watch;
mod token_issuer;

pub use self::grant_check::{GrantCheck, GrantStatus};
#[cfg(feature = "vault")]
pub(crate) use self::maintenance::purge_all;
pub use self::request::{AuthorizeRequest, RedeemRequest, RefreshRequest};
pub use self::response::{Answer, ErrorResponse, IntrospectionResponse, TokenResponse, TokenType};
#[cfg(feature = "vault")]
pub(crate) use self::store_watch::StoreWatch;
#[cfg(any(feature = "http", feature = "vault"))]
pub(crate) use self::token_issuer::MAX_ATTEMPTS;
#[cfg(feature = "vault")]
pub(crate) use self::token_issuer::PAGE;
pub use self::token_issuer::TokenIssuer;
