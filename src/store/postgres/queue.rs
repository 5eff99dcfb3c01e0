//! Jobs that wait to share a statement: all jobs that arrive during one statement go into the next.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_channel::oneshot;
use tokio::runtime::Handle;
use tokio::task::yield_now;
use tokio::time::timeout_at;

use super::error::{Fault, WAITING};

/// The most jobs in one statement. It bounds its parameters, and how long the jobs behind it wait.
const BATCH: usize = 512;

/// The most statements in progress. One is best, because then all waiting jobs share the next.
const WORKERS: usize = 4;

/// A statement that takes this long is held up, perhaps by a locked row: then another statement may start.
const HELD_UP: Duration = Duration::from_millis(50);

/// How long a worker gathers jobs at most. Gathering keeps a core busy.
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

    /// Queues `job` for the workers, and waits for its `answer` for no longer than `limit`.
    ///
    /// `work` is what a worker does with the jobs that it takes. It returns whether the server answered.
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
            self.start_worker(&runtime, work.clone());
            match timeout_at((asked + patience.min(limit)).into(), &mut answer).await {
                Ok(answer) => return answer.map_err(|_| Fault::Stopped),
                Err(_) if patience >= limit => return Err(Fault::NoAnswer),
                // The workers may be held up, or may have ended with their runtime, and no other caller may come to
                // notice it.
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

    /// Starts a worker if jobs wait and another worker is allowed. The worker ends when no job waits.
    fn start_worker<F: Future<Output = bool> + Send>(
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

    /// Puts `jobs` at the front of the queue.
    pub(super) fn put_back(&self, jobs: Vec<J>) {
        let mut state = self.lock();
        jobs.into_iter().rev().for_each(|job| state.waiting.push_front(job));
    }

    /// Waits for as many jobs as were just answered, but not for long. Their callers return within a moment, and a
    /// statement without them would make them wait for two statements.
    async fn gather(&self, last_batch_len: usize, patience: Duration) {
        let patient_until = Instant::now() + patience;
        while self.lock().waiting.len() < last_batch_len && Instant::now() < patient_until {
            // A timer would be too coarse.
            yield_now().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<J>> {
        // No thread panics while it holds the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns how long to gather after a statement that `took` this long. Callers that got no answer do not return at
/// once.
fn patience_after(took: Duration, answered: bool) -> Duration {
    if answered { PATIENCE.min(took / 8) } else { Duration::ZERO }
}

/// A worker, which works until no job waits or its runtime ends.
struct Worker<J: Send + 'static> {
    queue: Arc<Queue<J>>,
    retired: bool,
}

impl<J: Send + 'static> Worker<J> {
    /// Takes the waiting jobs. `None` ends the worker; this is decided under the lock, so that the next job starts
    /// another worker.
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

    /// Gives so many workers of this runtime a job that hangs.
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
    fn job_behind_a_hanging_one_overtakes_it_without_a_caller() {
        let (queue, runtime) = (Queue::new(), runtime());
        hang(&queue, &runtime, 1);
        assert!(runtime.block_on(ask(queue, false)).is_ok());
    }

    #[test]
    fn job_that_waits_is_done_here_when_the_workers_runtime_ends() {
        let (queue, here, there) = (Queue::new(), runtime(), runtime());
        hang(&queue, &there, WORKERS);
        let waits = here.spawn(ask(queue.clone(), false));
        until(&queue, |state| !state.waiting.is_empty());
        there.shutdown_background();
        assert!(here.block_on(waits).unwrap().is_ok());
    }

    #[test]
    fn patience_after_success_is_bounded_and_after_failure_zero() {
        let (short, long) = (Duration::from_micros(80), Duration::from_secs(5));
        assert_eq!(patience_after(short, true), Duration::from_micros(10));
        assert_eq!(patience_after(long, true), Duration::from_millis(1));
        assert_eq!(patience_after(short, false), Duration::ZERO);
        assert_eq!(patience_after(long, false), Duration::ZERO);
    }
}
