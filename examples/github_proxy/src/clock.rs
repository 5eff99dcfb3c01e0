//! A clock that the demonstration puts forward, so that tokens expire without anybody waiting for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mcp_token_lifecycle::{Clock, SystemClock, Timestamp};

/// The system's clock, and what was added to it.
#[derive(Clone, Default)]
pub struct TurnedClock(Arc<AtomicU64>);

impl TurnedClock {
    pub fn pass(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for TurnedClock {
    fn now(&self) -> Timestamp {
        SystemClock.now().saturating_add(Duration::from_secs(self.0.load(Ordering::SeqCst)))
    }
}
