//! What the user consented to, for which client, and where it may be used.

mod claims;
mod client;
mod grant;
mod resource;
mod scope;

pub use self::claims::AccessClaims;
pub(crate) use self::claims::SubjectAndClient;
pub use self::client::{Binding, Client, ClientKind};
pub use self::grant::{Grant, GrantError};
pub(crate) use self::resource::Audience;
pub use self::resource::{Resource, ResourceError};
pub use self::scope::{Scope, ScopeError};
