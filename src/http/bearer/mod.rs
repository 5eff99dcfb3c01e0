//! The access token check in front of a protected service (OAuth 2.1 §5, RFC 6750).

mod authorization;
mod calls;
mod check;
mod family_reads;
mod guard;
mod json;
mod layer;
mod protected;
mod session_ids;
mod sleep;
mod tools;
mod watch;

pub use self::check::BearerGuard;
pub(super) use self::family_reads::FamilyReads;
pub use self::layer::{Bearer, BearerFuture, BearerLayer};
pub use self::protected::ProtectedBody;
pub(super) use self::session_ids::SessionIds;
pub use self::tools::{ToolScopeLayer, ToolScopes};
pub use self::watch::TokenWatch;
