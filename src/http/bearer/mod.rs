//! The check in front of a protected service (OAuth 2.1 §5, RFC 6750).

mod authorization;
mod calls;
mod guard;
mod json;
mod layer;
mod tools;

pub use self::layer::{Bearer, BearerFuture, BearerLayer};
pub use self::tools::{ToolScopeLayer, ToolScopes};
