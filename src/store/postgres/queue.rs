//! Jobs that wait to share a statement: whatever came while the one before was under way.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::task::yield_now;

use super::error::Fault;

/// How many jobs may wait. Beyond it the store answers `Unavailable` rather than grow.
const WAITING: usize = 8192;

/// The most jobs in one statement: bounds its parameters and the wait of those behind it.
const BATCH: usize = 512;

/// The most statements under way. One is best, for then all who wait share the next.
const WORKERS: usize = 4;

/// A statement that takes this long is held up, perhaps by a row that somebody has locked: another may go past it.
const HELD_UP: Duration = Duration::from_millis(50);

pub(super) struct Queue<J>(Mutex<State<J>>);

struct State<J> {
    waiting: VecDeque<J>,
    workers: usize,
    /// When the last statement began.
    begun: Instant,
}

impl<J: Send + 'static> Queue<J> {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(State { waiting: VecDeque::new(), workers: 0, begun: Instant::now() })))
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
        if state.workers == 0 || state.workers < WORKERS && state.begun.elapsed() > HELD_UP {
            state.workers += 1;
            state.begun = Instant::now();
            let mut worker = Worker { queue: self.clone(), retired: false };
            drop(state);
            runtime.spawn(async move {
                let (mut company, mut patience) = (0, Duration::ZERO);
                loop {
                    worker.queue.gather(company, patience).await;
                    let begun = Instant::now();
                    let Some(jobs) = worker.take() else { return };
                    company = jobs.len();
                    work(jobs).await;
                    patience = begun.elapsed() / 8;
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

    /// Wait until as many wait as were just answered, but not for long: they come back within a moment, and a statement
    /// without them would make them wait for two.
    async fn gather(&self, company: usize, patience: Duration) {
        let patient_until = Instant::now() + patience;
        while self.lock().waiting.len() < company && Instant::now() < patient_until {
            // A timer would be too coarse.
            yield_now().await;
        }
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
        state.begun = Instant::now();
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
