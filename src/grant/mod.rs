//! What the user consented to: the scope, the resources, the client and the grant as a whole.

mod claims;
mod client;
#[allow(clippy::module_inception, reason = "the file of the type that the folder is named after")]
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
