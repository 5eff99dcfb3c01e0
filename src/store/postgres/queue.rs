//! Jobs that wait to share a statement: whatever came while the one before was under way.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_channel::oneshot;
use tokio::runtime::Handle;
use tokio::task::yield_now;
use tokio::time::timeout_at;

use super::error::Fault;

/// How many jobs may wait. Beyond it the store answers `Unavailable` rather than grow.
const WAITING: usize = 8192;

/// The most jobs in one statement: bounds its parameters and the wait of those behind it.
const BATCH: usize = 512;

/// The most statements under way. One is best, for then all who wait share the next.
const WORKERS: usize = 4;

/// A statement that takes this long is held up, perhaps by a row that somebody has locked: another may go past it.
const HELD_UP: Duration = Duration::from_millis(50);

/// The longest that a worker gathers, which keeps a core busy.
const PATIENCE: Duration = Duration::from_millis(1);

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

    /// Let `job` wait for workers, and wait for its `answer` for no longer than `limit`.
    ///
    /// `work` is what a worker does with the jobs that it takes; it says whether they had an answer from the server.
    pub(super) async fn ask<T, F: Future<Output = bool> + Send>(
        self: &Arc<Self>,
        job: J,
        mut answer: oneshot::Receiver<T>,
        limit: Duration,
        work: impl Fn(Vec<J>) -> F + Clone + Send + 'static,
    ) -> Result<T, Fault> {
        let runtime = Handle::try_current().map_err(|_| Fault::NoRuntime)?;
        let (asked, mut patience) = (Instant::now(), HELD_UP);
        self.push(job)?;
        loop {
            self.employ(&runtime, work.clone());
            match timeout_at((asked + patience.min(limit)).into(), &mut answer).await {
                Ok(answer) => return answer.map_err(|_| Fault::Stopped),
                Err(_) if patience >= limit => return Err(Fault::NoAnswer),
                // The workers may be held up, or gone with their runtime, and nobody else come to notice.
                Err(_) => patience *= 2,
            }
        }
    }

    fn push(&self, job: J) -> Result<(), Fault> {
        let mut state = self.lock();
        if state.waiting.len() >= WAITING {
            return Err(Fault::Overloaded);
        }
        state.waiting.push_back(job);
        Ok(())
    }

    /// If something waits and there are workers to be had, one begins to `work` on it; it ends when nothing waits.
    fn employ<F: Future<Output = bool> + Send>(
        self: &Arc<Self>,
        runtime: &Handle,
        work: impl Fn(Vec<J>) -> F + Send + 'static,
    ) {
        let mut state = self.lock();
        let to_be_had = state.workers == 0 || state.workers < WORKERS && state.begun.elapsed() >= HELD_UP;
        if state.waiting.is_empty() || !to_be_had {
            return;
        }
        state.workers += 1;
        state.begun = Instant::now();
        let mut worker = Worker { queue: self.clone(), retired: false };
        drop(state);
        runtime.spawn(async move {
            let (mut last_batch_len, mut patience) = (0, Duration::ZERO);
            loop {
                worker.queue.gather(last_batch_len, patience).await;
                let begun = Instant::now();
                let Some(jobs) = worker.take() else { return };
                last_batch_len = jobs.len();
                let answered = work(jobs).await;
                patience = patience_after(begun.elapsed(), answered);
            }
        });
    }

    /// These first, at the next turn.
    pub(super) fn put_back(&self, jobs: Vec<J>) {
        let mut state = self.lock();
        jobs.into_iter().rev().for_each(|job| state.waiting.push_front(job));
    }

    /// Wait until as many wait as were just answered, but not for long: they come back within a moment, and a statement
    /// without them would make them wait for two.
    async fn gather(&self, last_batch_len: usize, patience: Duration) {
        let patient_until = Instant::now() + patience;
        while self.lock().waiting.len() < last_batch_len && Instant::now() < patient_until {
            // A timer would be too coarse.
            yield_now().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<J>> {
        // Nothing panics while it holds the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long to gather after a statement that `took` this long. Who had no answer does not come back at once.
fn patience_after(took: Duration, answered: bool) -> Duration {
    if answered { PATIENCE.min(took / 8) } else { Duration::ZERO }
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

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::runtime::{Builder, Runtime};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    struct Job {
        hangs: bool,
        reply: oneshot::Sender<()>,
    }

    async fn ask(queue: Arc<Queue<Job>>, hangs: bool) -> Result<(), Fault> {
        let (reply, answer) = oneshot::channel();
        let work = |jobs: Vec<Job>| async {
            for Job { hangs, reply } in jobs {
                if hangs {
                    pending::<()>().await;
                }
                let _ = reply.send(());
            }
            true
        };
        queue.ask(Job { hangs, reply }, answer, LIMIT, work).await
    }

    fn runtime() -> Runtime {
        Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap()
    }

    /// So many workers of this runtime have a job that hangs.
    fn hang(queue: &Arc<Queue<Job>>, runtime: &Runtime, workers: usize) {
        for worker in 1..=workers {
            queue.lock().begun -= HELD_UP;
            runtime.spawn(ask(queue.clone(), true));
            until(queue, |state| state.workers == worker && state.waiting.is_empty());
        }
    }

    fn until(queue: &Queue<Job>, condition: impl Fn(&State<Job>) -> bool) {
        while !condition(&queue.lock()) {
            std::thread::yield_now();
        }
    }

    #[test]
    fn what_waits_behind_a_job_that_hangs_goes_past_it_although_nobody_else_comes() {
        let (queue, runtime) = (Queue::new(), runtime());
        hang(&queue, &runtime, 1);
        assert!(runtime.block_on(ask(queue, false)).is_ok());
    }

    #[test]
    fn what_waits_is_carried_out_here_when_the_runtime_of_the_worker_ends() {
        let (queue, here, there) = (Queue::new(), runtime(), runtime());
        hang(&queue, &there, WORKERS);
        let waits = here.spawn(ask(queue.clone(), false));
        until(&queue, |state| !state.waiting.is_empty());
        there.shutdown_background();
        assert!(here.block_on(waits).unwrap().is_ok());
    }

    #[test]
    fn a_worker_gathers_for_a_moment_and_not_after_a_failure() {
        let (short, long) = (Duration::from_micros(80), Duration::from_secs(5));
        assert_eq!(patience_after(short, true), Duration::from_micros(10));
        assert_eq!(patience_after(long, true), Duration::from_millis(1));
        assert_eq!(patience_after(short, false), Duration::ZERO);
        assert_eq!(patience_after(long, false), Duration::ZERO);
    }
}
