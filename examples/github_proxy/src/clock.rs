//! A clock that the demonstration advances, so that tokens expire without waiting.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mcp_token_lifecycle::{Clock, SystemClock, Timestamp};

/// The system clock plus a number of seconds.
#[derive(Clone, Default)]
pub struct AdjustableClock(Arc<AtomicU64>);

impl AdjustableClock {
    pub fn pass(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for AdjustableClock {
    fn now(&self) -> Timestamp {
        SystemClock.now().saturating_add(Duration::from_secs(self.0.load(Ordering::SeqCst)))
    }
}
