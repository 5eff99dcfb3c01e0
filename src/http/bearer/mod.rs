//! The check in front of a protected service (OAuth 2.1 §5, RFC 6750).

mod authorization;
mod calls;
mod guard;
mod json;
mod layer;
mod looks;
mod protected;
mod session_ids;
mod tools;
mod watch;

pub use self::layer::{Bearer, BearerFuture, BearerLayer};
pub(super) use self::looks::Looks;
pub use self::protected::ProtectedBody;
pub(super) use self::session_ids::SessionIds;
pub use self::tools::{ToolScopeLayer, ToolScopes};
pub use self::watch::TokenWatch;
