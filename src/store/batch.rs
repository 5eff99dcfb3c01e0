//! Jobs that wait to share one commit: all jobs that arrive during one commit go into the next.
//!
//! [`Batcher`] is the queue, and [`Pace`] decides how long a worker waits for more jobs than it has. The worker of redb
//! is a thread, which sleeps in a [`Consumer`]; the workers of PostgreSQL are tasks.

use std::collections::VecDeque;
#[cfg(feature = "redb")]
use std::sync::{Arc, Condvar};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
#[cfg(feature = "redb")]
use std::time::Instant;

/// Why a job was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// As many jobs wait as may wait.
    Full,
    /// The workers have ended.
    #[cfg(feature = "redb")]
    Closed,
}

/// A bounded queue of jobs.
pub(super) struct Batcher<J> {
    capacity: usize,
    state: Mutex<State<J>>,
    /// Signals that as many jobs wait as a sleeping thread wants.
    #[cfg(feature = "redb")]
    arrived: Condvar,
}

struct State<J> {
    waiting: VecDeque<J>,
    /// How many jobs a sleeping thread waits for. `usize::MAX` if no thread sleeps.
    #[cfg(feature = "redb")]
    wanted: usize,
    #[cfg(feature = "redb")]
    closed: bool,
}

impl<J> Batcher<J> {
    /// Creates a queue in which at most `capacity` jobs wait.
    pub(super) fn new(capacity: usize) -> Self {
        let state = State {
            waiting: VecDeque::new(),
            #[cfg(feature = "redb")]
            wanted: usize::MAX,
            #[cfg(feature = "redb")]
            closed: false,
        };
        Self {
            capacity,
            state: Mutex::new(state),
            #[cfg(feature = "redb")]
            arrived: Condvar::new(),
        }
    }

    pub(super) fn push(&self, job: J) -> Result<(), Refused> {
        let mut state = self.lock();
        #[cfg(feature = "redb")]
        if state.closed {
            return Err(Refused::Closed);
        }
        if state.waiting.len() >= self.capacity {
            return Err(Refused::Full);
        }
        state.waiting.push_back(job);
        #[cfg(feature = "redb")]
        if state.waiting.len() >= state.wanted {
            // The thread is woken once, and not again by each job that arrives until it runs.
            state.wanted = usize::MAX;
            drop(state);
            self.arrived.notify_one();
        }
        Ok(())
    }

    /// Puts `jobs` at the front of the queue, also if it is full.
    #[cfg(feature = "postgres")]
    pub(super) fn put_back(&self, jobs: Vec<J>) {
        let mut state = self.lock();
        jobs.into_iter().rev().for_each(|job| state.waiting.push_front(job));
    }

    /// Returns the number of waiting jobs.
    #[cfg(feature = "postgres")]
    pub(super) fn len(&self) -> usize {
        self.lock().waiting.len()
    }

    /// Takes the waiting jobs, at most `most` of them.
    #[cfg(feature = "postgres")]
    pub(super) fn take(&self, most: usize) -> Vec<J> {
        self.lock().take(most)
    }

    /// Refuses further jobs. The waiting ones are still taken.
    #[cfg(feature = "redb")]
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<J>> {
        // No thread panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<J> State<J> {
    fn take(&mut self, most: usize) -> Vec<J> {
        let count = self.waiting.len().min(most);
        self.waiting.drain(..count).collect()
    }
}

/// The threads that take the jobs of a queue. The queue is closed when it is dropped.
#[cfg(feature = "redb")]
pub(super) struct Consumer<J> {
    queue: Arc<Batcher<J>>,
    /// Of several threads, one waits for jobs and the others wait for it.
    turn: Mutex<()>,
}

#[cfg(feature = "redb")]
impl<J> Consumer<J> {
    pub(super) fn new(queue: Arc<Batcher<J>>) -> Self {
        Self { queue, turn: Mutex::new(()) }
    }

    /// Sleeps until a job waits, and takes at most `most` jobs. Returns none if the queue is closed and empty.
    pub(super) fn next(&self, most: usize) -> Vec<J> {
        self.take_after(1, None, most)
    }

    /// Sleeps until `wanted` jobs wait, but for no longer than `patience`, and takes at most `most` jobs.
    pub(super) fn next_within(&self, patience: Duration, wanted: usize, most: usize) -> Vec<J> {
        self.take_after(wanted, Some(Instant::now() + patience), most)
    }

    fn take_after(&self, wanted: usize, until: Option<Instant>, most: usize) -> Vec<J> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.queue.lock();
        while state.waiting.len() < wanted && !state.closed {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                break;
            }
            state.wanted = wanted;
            // No limit is a day, after which the loop goes on.
            let left = left.unwrap_or(Duration::from_secs(86_400));
            state = self.queue.arrived.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.wanted = usize::MAX;
        state.take(most)
    }
}

#[cfg(feature = "redb")]
impl<J> Drop for Consumer<J> {
    /// The callers of jobs that no worker takes must not wait for an answer.
    fn drop(&mut self) {
        self.queue.close();
        let jobs = self.queue.lock().take(usize::MAX);
        // Dropping a job wakes its caller, who must find the queue unlocked.
        drop(jobs);
    }
}

/// How many jobs a worker expects, and how long it waits for them.
///
/// The callers that were answered together return within a moment, and a commit without them would make them wait for
/// two commits. So a worker expects as many jobs as the last commit had. A lone caller never waits, because the worker
/// that answered it expects one job.
#[derive(Default)]
pub(super) struct Pace {
    expected: usize,
    patience: Duration,
}

impl Pace {
    /// A worker waits for at most this part of the time that the last commit took.
    const PART: u32 = 8;

    /// Learns from a commit that answered `len` jobs and took `took`. The next one waits for at most `most`.
    pub(super) fn learn(&mut self, len: usize, took: Duration, most: Duration) {
        *self = Self { expected: len, patience: most.min(took / Self::PART) };
    }

    /// Expects no jobs after a commit that failed: its callers do not return at once.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Returns how many jobs are missing and how long to wait for them, if the worker has `found` jobs after it waited
    /// for `waited`.
    pub(super) fn missing(&self, found: usize, waited: Duration) -> Option<(usize, Duration)> {
        let (missing, left) = (self.expected.checked_sub(found)?, self.patience.checked_sub(waited)?);
        (missing > 0 && !left.is_zero()).then_some((missing, left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn pace_after(len: usize, took: Duration) -> Pace {
        let mut pace = Pace::default();
        pace.learn(len, took, Duration::MAX);
        pace
    }

    #[test]
    fn pace_lets_a_lone_job_go_at_once() {
        assert_eq!(Pace::default().missing(1, Duration::ZERO), None);
        assert_eq!(pace_after(1, SECOND).missing(1, Duration::ZERO), None);
    }

    #[test]
    fn pace_waits_for_as_many_as_were_answered() {
        let pace = pace_after(64, SECOND);
        assert_eq!(pace.missing(1, Duration::ZERO), Some((63, SECOND / 8)));
        assert_eq!(pace.missing(60, SECOND / 16), Some((4, SECOND / 16)));
        assert_eq!(pace.missing(64, Duration::ZERO), None);
        assert_eq!(pace.missing(65, Duration::ZERO), None);
    }

    #[test]
    fn pace_ends_with_its_patience() {
        let pace = pace_after(64, SECOND);
        assert_eq!(pace.missing(1, SECOND / 8), None);
        assert_eq!(pace.missing(1, SECOND), None);
    }

    #[test]
    fn pace_patience_has_a_bound() {
        let mut pace = Pace::default();
        pace.learn(2, 60 * SECOND, SECOND);
        assert_eq!(pace.missing(1, Duration::ZERO), Some((1, SECOND)));
    }

    #[test]
    fn pace_expects_nothing_after_a_failure() {
        let mut pace = pace_after(64, SECOND);
        pace.forget();
        assert_eq!(pace.missing(1, Duration::ZERO), None);
    }

    #[test]
    fn batcher_refuses_more_than_its_capacity() {
        let queue = Batcher::new(2);
        assert_eq!([1, 2, 3].map(|job| queue.push(job)), [Ok(()), Ok(()), Err(Refused::Full)]);
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn batcher_gives_jobs_in_order_and_in_bounds() {
        let queue = Batcher::new(9);
        (1..=4).for_each(|job| queue.push(job).unwrap());
        assert_eq!((queue.take(3), queue.len()), (vec![1, 2, 3], 1));
        queue.put_back(vec![2, 3]);
        assert_eq!((queue.take(9), queue.len()), (vec![2, 3, 4], 0));
    }

    #[cfg(feature = "redb")]
    mod threads {
        use std::thread;

        use super::*;

        fn queue() -> (Arc<Batcher<u32>>, Consumer<u32>) {
            let queue = Arc::new(Batcher::new(100));
            (queue.clone(), Consumer::new(queue))
        }

        fn until_asleep(queue: &Batcher<u32>) {
            while queue.lock().wanted == usize::MAX {
                thread::yield_now();
            }
        }

        #[test]
        fn consumer_wakes_for_the_first_job() {
            let (queue, consumer) = queue();
            thread::scope(|scope| {
                let jobs = scope.spawn(|| consumer.next(9));
                until_asleep(&queue);
                queue.push(1).unwrap();
                assert_eq!(jobs.join().unwrap(), [1]);
            });
        }

        #[test]
        fn consumer_sleeps_until_enough_jobs_wait() {
            let (queue, consumer) = queue();
            thread::scope(|scope| {
                let jobs = scope.spawn(|| consumer.next_within(60 * SECOND, 3, 9));
                until_asleep(&queue);
                for job in 1..=2 {
                    queue.push(job).unwrap();
                    assert_eq!(queue.lock().wanted, 3, "it is not woken");
                }
                queue.push(3).unwrap();
                assert_eq!(jobs.join().unwrap(), [1, 2, 3]);
            });
        }

        #[test]
        fn consumer_takes_what_waits_when_its_patience_ends() {
            let (queue, consumer) = queue();
            queue.push(1).unwrap();
            assert_eq!(consumer.next_within(Duration::from_millis(1), 2, 9), [1]);
            assert!(consumer.next_within(Duration::ZERO, 2, 9).is_empty());
        }

        #[test]
        fn closed_queue_gives_its_jobs_and_refuses_new_ones() {
            let (queue, consumer) = queue();
            queue.push(1).unwrap();
            queue.close();
            assert_eq!(queue.push(2), Err(Refused::Closed));
            assert_eq!((consumer.next(9), consumer.next(9)), (vec![1], vec![]));
        }

        #[test]
        fn close_wakes_a_sleeping_consumer() {
            let (queue, consumer) = queue();
            thread::scope(|scope| {
                let jobs = scope.spawn(|| consumer.next(9));
                until_asleep(&queue);
                queue.close();
                assert!(jobs.join().unwrap().is_empty());
            });
        }

        #[test]
        fn dropped_consumer_drops_what_waits() {
            let (queue, consumer) = queue();
            queue.push(1).unwrap();
            drop(consumer);
            assert_eq!(queue.push(2), Err(Refused::Closed));
            assert!(queue.lock().waiting.is_empty());
        }
    }
}
