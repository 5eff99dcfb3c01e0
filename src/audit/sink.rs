//! Where audit events go.

use super::event::AuditEvent;

/// Where audit events go.
///
/// An event is handed over right after its act was committed, so of two requests that race the later act may be told first. If
/// the request is cancelled in between, the act is not told; what it did to the family shows in the reason of the next event.
/// The call must not block for long: hand the event to a queue.
pub trait AuditSink: Send + Sync {
    /// Take note of `event`.
    fn record(&self, event: &AuditEvent);
}

impl<F: Fn(&AuditEvent) + Send + Sync> AuditSink for F {
    fn record(&self, event: &AuditEvent) {
        self(event);
    }
}

/// A sink that forgets: the default.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoAudit;

impl AuditSink for NoAudit {
    fn record(&self, _: &AuditEvent) {}
}
