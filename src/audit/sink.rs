//! The receiver of audit events.

use super::event::AuditEvent;
use crate::pointers::pointers;

/// Receives audit events.
///
/// The issuer calls the sink right after it has committed an action. So of two requests that race, the later action may
/// be reported first. If a request is cancelled between commit and report, its action is not reported; the reason of
/// the family's next event shows what happened. The call must not block for long: pass the event to a queue.
pub trait AuditSink: Send + Sync {
    /// Records `event`.
    fn record(&self, event: &AuditEvent);
}

pointers! {
    impl AuditSink {
        fn record(&self, event: &AuditEvent) {
            T::record(self, event);
        }
    }
}

/// Makes a sink of a function that receives each event.
pub fn audit_from_fn(record: impl Fn(&AuditEvent) + Send + Sync) -> impl AuditSink {
    struct FromFn<F>(F);

    impl<F: Fn(&AuditEvent) + Send + Sync> AuditSink for FromFn<F> {
        fn record(&self, event: &AuditEvent) {
            (self.0)(event);
        }
    }

    FromFn(record)
}

/// A sink that drops every event. It is the default.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoAudit;

impl AuditSink for NoAudit {
    fn record(&self, _: &AuditEvent) {}
}
