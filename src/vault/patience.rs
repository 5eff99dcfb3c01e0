//! Waiting for somebody else, again and again, and not for ever.

use std::time::Duration;

use super::runtime::Runtime;

/// What is left of somebody's patience. It counts the time that was asked to sleep, so it needs no clock.
pub(crate) struct Patience {
    left: Duration,
    pause: Duration,
    longest: Duration,
}

impl Patience {
    /// `total` in all, in pauses that double from 20 ms up to `longest`.
    pub(crate) fn new(total: Duration, longest: Duration) -> Self {
        Self { left: total, pause: Duration::from_millis(20), longest }
    }

    /// Pause once. `false` if there is no patience left.
    pub(crate) async fn pause(&mut self, runtime: &Runtime) -> bool {
        let pause = self.pause.min(self.left);
        if pause.is_zero() {
            return false;
        }
        self.left -= pause;
        self.pause = (2 * self.pause).min(self.longest);
        runtime.sleep(pause).await;
        true
    }

    /// Wait for `future` for as long as there is patience.
    pub(crate) async fn wait<T>(&mut self, runtime: &Runtime, future: impl Future<Output = T>) -> Option<T> {
        let output = runtime.within(self.left, future).await;
        if output.is_none() {
            self.left = Duration::ZERO;
        }
        output
    }
}
