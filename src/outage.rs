//! What an issuer knows of its own failures: when it could not reach its store, and which rotations it never answered.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::error::Error;
use crate::family::FamilyId;
use crate::store::StoreError;
use crate::time::{Clock, Timestamp};

/// How many outages are remembered; windows are short, so that older ones rarely matter.
const REMEMBERED: usize = 4;

/// How many unanswered rotations are remembered.
const UNANSWERED: usize = 1024;

/// A store operation that was given up after this long counts as one that failed. A shorter one does not, or a client could
/// make an outage by closing its connection.
const HANGING: Duration = Duration::from_secs(2);

/// The last times in which the issuer could not reach its store, newest first and apart from each other.
///
/// A client that meets an outage cannot retry in time, so that time counts against no window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outages {
    spans: [(Timestamp, Timestamp); REMEMBERED],
}

impl Outages {
    /// These outages and one more, which must not have begun before the newest of them.
    #[must_use]
    pub fn with(mut self, from: Timestamp, to: Timestamp) -> Self {
        if to <= from {
            return self;
        }
        let [newest, ..] = &mut self.spans;
        if from <= newest.1 {
            *newest = (newest.0.min(from), newest.1.max(to));
        } else {
            self.spans.rotate_right(1);
            self.spans[0] = (from, to);
        }
        self
    }

    /// How much of the time from `from` to `to` they take up.
    pub fn within(&self, from: Timestamp, to: Timestamp) -> Duration {
        self.spans.iter().map(|(began, ended)| to.min(*ended).since(from.max(*began))).sum()
    }
}

/// Watches the operations on the store.
#[derive(Default)]
pub(crate) struct StoreWatch {
    /// Whether `state` has anything to tell. Nearly always it has not, and then nobody takes the lock.
    has_failed: AtomicBool,
    is_failing: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// When the first operation began that has failed since the last success.
    failing_since: Option<Timestamp>,
    outages: Outages,
    /// Families with the generation that was, perhaps, committed and not answered.
    unanswered: VecDeque<(FamilyId, u64)>,
}

impl StoreWatch {
    /// Carry out `operation` and note whether the store answered.
    pub(crate) async fn observe<T>(
        &self,
        clock: &dyn Clock,
        operation: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, Error> {
        let mut pending = Pending { watch: self, clock, began: clock.now(), is_over: false };
        let result = operation.await;
        pending.is_over = true;
        match &result {
            Ok(_) if self.is_failing.load(Ordering::Acquire) => self.succeeded(clock.now()),
            Ok(_) => {}
            Err(_) => self.failed(pending.began),
        }
        Ok(result?)
    }

    fn failed(&self, began: Timestamp) {
        let mut state = self.state();
        state.failing_since = Some(state.failing_since.map_or(began, |since| since.min(began)));
        self.has_failed.store(true, Ordering::Release);
        self.is_failing.store(true, Ordering::Release);
    }

    fn succeeded(&self, now: Timestamp) {
        let mut state = self.state();
        if let Some(since) = state.failing_since.take() {
            state.outages = state.outages.with(since, now);
        }
        self.is_failing.store(false, Ordering::Release);
    }

    /// The outages so far.
    pub(crate) fn outages(&self) -> Outages {
        if self.has_failed.load(Ordering::Acquire) { self.state().outages } else { Outages::default() }
    }

    /// The generation of `family` that was perhaps committed and never answered.
    pub(crate) fn unanswered(&self, family: FamilyId) -> Option<u64> {
        if !self.has_failed.load(Ordering::Acquire) {
            return None;
        }
        self.state().unanswered.iter().find(|(id, _)| *id == family).map(|(_, generation)| *generation)
    }

    /// A commit of `generation` sets out. Unless it is answered, it is remembered.
    pub(crate) fn expect_answer(&self, family: FamilyId, generation: u64) -> Unanswered<'_> {
        Unanswered { watch: self, family, generation, is_answered: false }
    }

    /// The client of `family` gets an answer.
    pub(crate) fn answered(&self, family: FamilyId) {
        if self.has_failed.load(Ordering::Acquire) {
            self.state().unanswered.retain(|(id, _)| *id != family);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An operation under way; one that is dropped after a while is one to which the store did not answer.
struct Pending<'a> {
    watch: &'a StoreWatch,
    clock: &'a dyn Clock,
    began: Timestamp,
    is_over: bool,
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if !self.is_over && self.clock.now().since(self.began) >= HANGING {
            self.watch.failed(self.began);
        }
    }
}

/// An answer that is owed: dropped without [`answered`](Self::answered), it leaves a note that nobody has the generation.
pub(crate) struct Unanswered<'a> {
    watch: &'a StoreWatch,
    family: FamilyId,
    generation: u64,
    is_answered: bool,
}

impl Unanswered<'_> {
    /// The client gets its answer, or the commit is known not to have happened.
    pub(crate) fn answered(mut self) {
        self.is_answered = true;
        self.watch.answered(self.family);
    }
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if self.is_answered {
            return;
        }
        let mut state = self.watch.state();
        state.unanswered.retain(|(id, _)| *id != self.family);
        if state.unanswered.len() == UNANSWERED {
            state.unanswered.pop_front();
        }
        state.unanswered.push_back((self.family, self.generation));
        self.watch.has_failed.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix(seconds)
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn outages_within_counts_only_what_overlaps() {
        let outages = Outages::default().with(at(100), at(130)).with(at(200), at(210));
        assert_eq!(outages.within(at(0), at(1000)), seconds(40));
        assert_eq!(outages.within(at(110), at(205)), seconds(25));
        assert_eq!(outages.within(at(130), at(200)), seconds(0));
    }

    #[test]
    fn outages_that_overlap_are_counted_once() {
        let outages = Outages::default().with(at(100), at(130)).with(at(120), at(140)).with(at(140), at(150));
        assert_eq!(outages.within(at(0), at(1000)), seconds(50));
    }

    #[test]
    fn outages_forget_the_oldest() {
        let outages = (1..=6).fold(Outages::default(), |outages, n| outages.with(at(100 * n), at(100 * n + 10)));
        assert_eq!(outages.within(at(0), at(300)), seconds(0));
        assert_eq!(outages.within(at(0), at(1000)), seconds(40));
    }
}
