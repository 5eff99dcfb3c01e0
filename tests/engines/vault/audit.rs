//! What a vault reports, in short.

use mcp_token_lifecycle::{AuditEvent, AuditSink};

use crate::process::say;

/// `act` or `act reason`.
pub fn short(event: &AuditEvent) -> String {
    match &event.reason {
        Some(reason) => format!("{} {}", event.action.as_str(), reason.as_str()),
        None => event.action.as_str().to_owned(),
    }
}

/// Tells the process that has started this one.
pub struct Aloud;

impl AuditSink for Aloud {
    fn record(&self, event: &AuditEvent) {
        say(&format!("reports {}", short(event)));
    }
}
