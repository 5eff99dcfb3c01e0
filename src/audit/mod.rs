//! The audit trail: what happened, why, and to which family. It never contains a token.

mod action;
mod error_code;
mod event;
mod reason;
mod sink;
#[cfg(feature = "tracing")]
mod tracing;
#[cfg(feature = "vault")]
mod vault;

pub use self::action::Action;
pub use self::error_code::ErrorCode;
pub use self::event::{AuditEvent, HttpEndpoint};
pub use self::reason::{Claim, Reason, RevocationReason};
pub use self::sink::{AuditSink, NoAudit, audit_from_fn};
#[cfg(feature = "tracing")]
pub use self::tracing::TracingAudit;
#[cfg(feature = "vault")]
pub use self::vault::{UpstreamAct, UpstreamReason};
