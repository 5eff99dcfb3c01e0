//! Waiting in growing pauses, up to a limit.

use std::time::Duration;

use super::runtime::Runtime;

/// How much waiting time is left. It adds up the pauses that it asked for, so it needs no clock.
pub(crate) struct Patience {
    left: Duration,
    pause: Duration,
    longest: Duration,
}

impl Patience {
    /// Allows `total` waiting time, in pauses that double from 20 ms up to `longest`.
    pub(crate) fn new(total: Duration, longest: Duration) -> Self {
        Self { left: total, pause: Duration::from_millis(20), longest }
    }

    /// Pauses once. Returns `false` if no waiting time is left.
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

    /// Waits for `future` for as long as waiting time is left. `None` if the time ran out first.
    pub(crate) async fn wait<T>(&mut self, runtime: &Runtime, future: impl Future<Output = T>) -> Option<T> {
        let output = runtime.within(self.left, future).await;
        if output.is_none() {
            self.left = Duration::ZERO;
        }
        output
    }
}
