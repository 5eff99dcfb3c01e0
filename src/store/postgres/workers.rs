//! The tasks that take the waiting jobs: all jobs that arrive during one statement go into the next.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_channel::oneshot;
use tokio::runtime::Handle;
use tokio::task::yield_now;
use tokio::time::timeout_at;

use super::error::{Fault, WAITING};
use crate::store::batch::{Batcher, Pace};

/// The most jobs in one statement. It bounds its parameters, and how long the jobs behind it wait.
const BATCH: usize = 512;

/// The most statements in progress. One is best, because then all waiting jobs share the next.
const WORKERS: usize = 4;

/// A statement that takes this long is held up, perhaps by a locked row: then another statement may start.
const HELD_UP: Duration = Duration::from_millis(50);

/// How long a worker gathers jobs at most. Gathering keeps a core busy.
const PATIENCE: Duration = Duration::from_millis(1);

/// The waiting jobs, and the workers that take them.
pub(super) struct Workers<J> {
    queue: Batcher<J>,
    /// Locked before the queue, never after it.
    state: Mutex<State>,
}

struct State {
    workers: usize,
    /// When the last statement began.
    begun: Instant,
}

impl<J: Send + 'static> Workers<J> {
    pub(super) fn new() -> Arc<Self> {
        let state = State { workers: 0, begun: Instant::now() };
        Arc::new(Self { queue: Batcher::new(WAITING), state: Mutex::new(state) })
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
        self.queue.push(job).map_err(|_| Fault::Overloaded)?;
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

    /// Starts a worker if jobs wait and another worker is allowed. The worker ends when no job waits.
    fn start_worker<F: Future<Output = bool> + Send>(
        self: &Arc<Self>,
        runtime: &Handle,
        work: impl Fn(Vec<J>) -> F + Send + 'static,
    ) {
        let mut state = self.lock();
        let is_allowed = state.workers == 0 || state.workers < WORKERS && state.begun.elapsed() >= HELD_UP;
        if !is_allowed || self.queue.len() == 0 {
            return;
        }
        state.workers += 1;
        state.begun = Instant::now();
        let mut worker = Worker { workers: self.clone(), retired: false };
        drop(state);
        runtime.spawn(async move {
            let mut pace = Pace::default();
            loop {
                worker.workers.gather(&pace).await;
                let begun = Instant::now();
                let Some(jobs) = worker.take() else { return };
                let count = jobs.len();
                match work(jobs).await {
                    true => pace.learn(count, begun.elapsed(), PATIENCE),
                    false => pace.forget(),
                }
            }
        });
    }

    /// Puts `jobs` at the front of the queue.
    pub(super) fn put_back(&self, jobs: Vec<J>) {
        self.queue.put_back(jobs);
    }

    /// Waits until as many jobs wait as `pace` expects, but for no longer than it allows.
    async fn gather(&self, pace: &Pace) {
        let begun = Instant::now();
        while pace.missing(self.queue.len(), begun.elapsed()).is_some() {
            // A timer would be too coarse.
            yield_now().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No thread panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A worker, which works until no job waits or its runtime ends.
struct Worker<J: Send + 'static> {
    workers: Arc<Workers<J>>,
    retired: bool,
}

impl<J: Send + 'static> Worker<J> {
    /// Takes the waiting jobs. `None` ends the worker. This is decided under the lock under which workers are started,
    /// so that the next job starts another worker.
    fn take(&mut self) -> Option<Vec<J>> {
        let mut state = self.workers.lock();
        let jobs = self.workers.queue.take(BATCH);
        if jobs.is_empty() {
            state.workers -= 1;
            self.retired = true;
            return None;
        }
        state.begun = Instant::now();
        Some(jobs)
    }
}

impl<J: Send + 'static> Drop for Worker<J> {
    fn drop(&mut self) {
        if !self.retired {
            self.workers.lock().workers -= 1;
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

    async fn ask(queue: Arc<Workers<Job>>, hangs: bool) -> Result<(), Fault> {
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
    fn hang(queue: &Arc<Workers<Job>>, runtime: &Runtime, workers: usize) {
        for worker in 1..=workers {
            queue.lock().begun -= HELD_UP;
            runtime.spawn(ask(queue.clone(), true));
            until(queue, |state, waiting| state.workers == worker && waiting == 0);
        }
    }

    /// Waits for a state of the workers and a number of waiting jobs.
    fn until(queue: &Workers<Job>, condition: impl Fn(&State, usize) -> bool) {
        while !condition(&queue.lock(), queue.queue.len()) {
            std::thread::yield_now();
        }
    }

    #[test]
    fn job_behind_a_hanging_one_overtakes_it_without_a_caller() {
        let (queue, runtime) = (Workers::new(), runtime());
        hang(&queue, &runtime, 1);
        assert!(runtime.block_on(ask(queue, false)).is_ok());
    }

    #[test]
    fn job_that_waits_is_done_here_when_the_workers_runtime_ends() {
        let (queue, here, there) = (Workers::new(), runtime(), runtime());
        hang(&queue, &there, WORKERS);
        let waits = here.spawn(ask(queue.clone(), false));
        until(&queue, |_, waiting| waiting > 0);
        there.shutdown_background();
        assert!(here.block_on(waits).unwrap().is_ok());
    }
}
