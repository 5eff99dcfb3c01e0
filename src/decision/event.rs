//! Audit events about families.

use crate::audit::{Action, AuditEvent};
use crate::family::TokenFamily;
use crate::time::Timestamp;
use std::sync::Arc;

impl AuditEvent {
    pub(crate) fn on_family(at: Timestamp, action: Action, family: &TokenFamily) -> Self {
        Self {
            family: Some(family.id),
            generation: Some(family.generation),
            client_id: Some(Arc::clone(&family.grant.client_id)),
            subject: Some(Arc::clone(&family.grant.subject)),
            ..Self::new(at, action)
        }
    }
}
