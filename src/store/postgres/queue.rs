//! Jobs that wait to share a statement: whatever came while the one before was under way.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;

use super::error::Fault;

/// How many jobs may wait. Beyond it the store answers `Unavailable` rather than grow.
const WAITING: usize = 8192;

/// The most jobs in one statement: bounds its parameters and the wait of those behind it.
const BATCH: usize = 512;

/// The most statements under way: a second one fills the time in which the first is on the wire.
const WORKERS: usize = 2;

pub(super) struct Queue<J>(Mutex<State<J>>);

struct State<J> {
    waiting: VecDeque<J>,
    workers: usize,
}

impl<J: Send + 'static> Queue<J> {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(State { waiting: VecDeque::new(), workers: 0 })))
    }

    /// Let `job` wait. If there are workers to be had, one begins to `work` on what waits; it ends when nothing does.
    pub(super) fn push<F: Future<Output = ()> + Send>(
        self: &Arc<Self>,
        job: J,
        work: impl Fn(Vec<J>) -> F + Send + 'static,
    ) -> Result<(), Fault> {
        let runtime = Handle::try_current().map_err(|_| Fault::NoRuntime)?;
        let mut state = self.lock();
        if state.waiting.len() >= WAITING {
            return Err(Fault::Overloaded);
        }
        state.waiting.push_back(job);
        if state.workers < WORKERS {
            state.workers += 1;
            let mut worker = Worker { queue: self.clone(), retired: false };
            drop(state);
            runtime.spawn(async move {
                while let Some(jobs) = worker.take() {
                    work(jobs).await;
                }
            });
        }
        Ok(())
    }

    /// These first, at the next turn.
    pub(super) fn put_back(&self, jobs: Vec<J>) {
        let mut state = self.lock();
        jobs.into_iter().rev().for_each(|job| state.waiting.push_front(job));
    }

    fn lock(&self) -> MutexGuard<'_, State<J>> {
        // Nothing panics while it holds the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One that works, until nothing waits or its runtime ends.
struct Worker<J: Send + 'static> {
    queue: Arc<Queue<J>>,
    retired: bool,
}

impl<J: Send + 'static> Worker<J> {
    /// What waits; `None` is the end, decided under the lock so that the next job finds it out.
    fn take(&mut self) -> Option<Vec<J>> {
        let mut state = self.queue.lock();
        let count = state.waiting.len().min(BATCH);
        if count == 0 {
            state.workers -= 1;
            self.retired = true;
            return None;
        }
        Some(state.waiting.drain(..count).collect())
    }
}

impl<J: Send + 'static> Drop for Worker<J> {
    fn drop(&mut self) {
        if !self.retired {
            self.queue.lock().workers -= 1;
        }
    }
}
