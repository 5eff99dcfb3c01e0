//! Audit events as `tracing` events.

use super::action::Action;
use super::event::{AuditEvent, HttpEndpoint};
use super::reason::Reason;
use super::sink::AuditSink;

/// Writes each event as a structured `tracing` event with the target `mcp_token_lifecycle::audit`.
///
/// Reuse, forgery and faults have level `WARN`, all other events `INFO`. Subject and account are left out, because they
/// are personal data.
#[derive(Clone, Copy, Debug, Default)]
pub struct TracingAudit;

impl AuditSink for TracingAudit {
    fn record(&self, event: &AuditEvent) {
        macro_rules! emit {
            ($level:expr) => {
                tracing::event!(
                    target: "mcp_token_lifecycle::audit",
                    $level,
                    at = %event.at,
                    action = event.action.as_str(),
                    reason = event.reason.as_ref().map(Reason::as_str),
                    endpoint = event.endpoint.as_ref().map(HttpEndpoint::as_str),
                    family = event.family.map(tracing::field::display),
                    generation = event.generation,
                    client_id = event.client_id.as_deref(),
                    service = event.service.as_deref(),
                )
            };
        }
        match event.action {
            Action::Reuse(_) | Action::Forgery | Action::Fault => emit!(tracing::Level::WARN),
            _ => emit!(tracing::Level::INFO),
        }
    }
}
