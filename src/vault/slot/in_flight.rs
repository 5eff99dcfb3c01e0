//! What runs in the background, and the wait for its end.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

/// Counts the background tasks of a vault.
#[derive(Clone, Debug, Default)]
pub(crate) struct InFlight(Arc<Mutex<(usize, Vec<Waker>)>>);

/// One task; it counts until it is dropped.
pub(crate) struct Flight(InFlight);

impl InFlight {
    pub(crate) fn begin(&self) -> Flight {
        self.state().0 += 1;
        Flight(self.clone())
    }

    /// Waits until no task is left.
    pub(crate) async fn drained(&self) {
        poll_fn(|cx| {
            let mut state = self.state();
            if state.0 == 0 {
                return Poll::Ready(());
            }
            state.1.push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    fn state(&self) -> MutexGuard<'_, (usize, Vec<Waker>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let waiting = {
            let mut state = self.0.state();
            state.0 -= 1;
            if state.0 == 0 { std::mem::take(&mut state.1) } else { Vec::new() }
        };
        // Without the lock, because a waker may look at once.
        waiting.into_iter().for_each(Waker::wake);
    }
}
