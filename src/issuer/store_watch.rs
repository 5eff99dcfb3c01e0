//! What an issuer knows about its own failures: its recent store outages, and the rotations that it never answered.

use crate::decision::Outages;
use crate::error::Error;
use crate::id::FamilyId;
use crate::store::StoreError;
use crate::time::{Clock, Timestamp};
use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The number of unanswered rotations that are remembered.
const MAX_NOTES: usize = 1024;

/// An outage ends with the next success, but at most this long after the last failure: an issuer without requests does
/// not know when its store became reachable again.
const SILENCE: Duration = Duration::from_secs(60);

/// A store operation that is dropped after at least this time counts as failed. One that is dropped earlier does not:
/// otherwise a client could fake an outage by closing its connection.
const HANGING: Duration = Duration::from_secs(2);

/// Observes the operations on the store.
#[derive(Default)]
pub(crate) struct StoreWatch {
    /// When the last successful operation began, in seconds since the Unix epoch.
    last_success: AtomicU64,
    /// Whether an operation has ever failed, or an answer was never given. Until then there is nothing to look up, and
    /// most requests take no lock.
    has_trouble: AtomicBool,
    /// Whether an outage lasts up to the next success, however late that is.
    is_patient: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The begin and the end of the failures since the last success.
    failing: Option<(Timestamp, Timestamp)>,
    outages: Outages,
    owed: HashMap<FamilyId, Owed>,
    /// How many of the owed answers were never given.
    notes: usize,
}

/// An answer that is owed to the client of a family.
#[derive(Clone, Copy)]
struct Owed {
    /// The generation that is being committed.
    generation: u64,
    /// How many requests are about to give the answer.
    pending: usize,
    /// Whether one of them ended without an answer: the generation may have been committed, and no client has it.
    is_note: bool,
}

impl StoreWatch {
    /// Creates a watch whose outages do not end by [`SILENCE`].
    #[cfg(feature = "vault")]
    pub(crate) fn patient() -> Self {
        Self { is_patient: true, ..Self::default() }
    }

    /// Carries out `operation` and records whether the store answered.
    pub(crate) async fn observe<T>(
        &self,
        clock: &dyn Clock,
        operation: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, Error> {
        let mut pending = Pending { watch: self, clock, began: clock.now(), is_over: false };
        let result = operation.await;
        pending.is_over = true;
        match &result {
            Ok(_) => self.succeeded(pending.began, clock),
            Err(_) => self.failed(pending.began, clock.now()),
        }
        Ok(result?)
    }

    fn failed(&self, began: Timestamp, now: Timestamp) {
        let since = began.max(Timestamp::from_unix(self.last_success.load(Ordering::Relaxed)));
        let mut state = self.state();
        state.failing = Some(state.failing.map_or((since, now), |(since, last)| (since, last.max(now))));
        self.has_trouble.store(true, Ordering::Release);
    }

    fn succeeded(&self, began: Timestamp, clock: &dyn Clock) {
        self.last_success.fetch_max(began.as_unix(), Ordering::Relaxed);
        let Some(mut state) = self.trouble() else { return };
        if let Some((since, last)) = state.failing.take() {
            let now = clock.now();
            let end = if self.is_patient { now } else { now.min(last.saturating_add(SILENCE)) };
            state.outages = state.outages.with(since, end);
            self.last_success.fetch_max(now.as_unix(), Ordering::Relaxed);
        }
    }

    /// Returns the recent outages.
    pub(crate) fn outages(&self) -> Outages {
        self.trouble().map(|state| state.outages).unwrap_or_default()
    }

    /// Returns the generation of `family` that may have been committed and was never answered.
    pub(crate) fn unanswered(&self, family: FamilyId) -> Option<u64> {
        self.trouble()?.owed.get(&family).filter(|owed| owed.is_note).map(|owed| owed.generation)
    }

    /// Records that a commit of `generation` begins. Unless the result is settled, a note remains that no client has
    /// that generation.
    pub(crate) fn expect_answer(&self, family: FamilyId, generation: u64) -> Unanswered<'_> {
        let mut state = self.state();
        let new = Owed { generation, pending: 0, is_note: false };
        let owed = state.owed.entry(family).or_insert(new);
        let is_earlier = owed.generation != generation;
        let earlier = is_earlier.then(|| std::mem::replace(owed, new));
        owed.pending += 1;
        state.notes -= usize::from(earlier.is_some_and(|earlier| earlier.is_note));
        Unanswered { watch: self, family, generation, outcome: Outcome::Unknown }
    }

    /// Records that the client of `family` gets an answer that needed no commit.
    pub(crate) fn answered(&self, family: FamilyId) {
        self.state().forget(family);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the state if there has been trouble.
    fn trouble(&self) -> Option<MutexGuard<'_, State>> {
        self.has_trouble.load(Ordering::Acquire).then(|| self.state())
    }
}

impl State {
    fn forget(&mut self, family: FamilyId) {
        let forgotten = self.owed.remove(&family);
        self.notes -= usize::from(forgotten.is_some_and(|owed| owed.is_note));
    }

    /// Records that a request ended that was about to give the answer of `generation`. Another request may have given
    /// it before.
    fn settle(&mut self, family: FamilyId, generation: u64, outcome: Outcome) {
        let Some(owed) = self.owed.get_mut(&family).filter(|owed| owed.generation == generation) else { return };
        owed.pending -= 1;
        if outcome == Outcome::Unknown && !owed.is_note {
            owed.is_note = true;
            self.notes += 1;
        }
        if outcome == Outcome::Answered || owed.pending == 0 && !owed.is_note {
            self.forget(family);
        } else if self.notes > MAX_NOTES {
            let another = self.owed.iter().find(|(id, owed)| owed.is_note && **id != family).map(|(id, _)| *id);
            another.into_iter().for_each(|id| self.forget(id));
        }
    }
}

/// An operation in progress. If it is dropped after [`HANGING`], the store counts as not having answered.
struct Pending<'a> {
    watch: &'a StoreWatch,
    clock: &'a dyn Clock,
    began: Timestamp,
    is_over: bool,
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let now = self.clock.now();
        if now.since(self.began) >= HANGING {
            self.watch.failed(self.began, now);
        }
    }
}

/// What became of a commit whose answer is owed to a client.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Unknown,
    NotCommitted,
    Answered,
}

/// An answer that is owed to a client. Dropped, it leaves a note that the answer may never have been given.
pub(crate) struct Unanswered<'a> {
    watch: &'a StoreWatch,
    family: FamilyId,
    generation: u64,
    outcome: Outcome,
}

impl Unanswered<'_> {
    /// Records that the commit did not happen.
    pub(crate) fn not_committed(mut self) {
        self.outcome = Outcome::NotCommitted;
    }

    /// Records that the commit happened and is answered now.
    pub(crate) fn answered(mut self) {
        self.outcome = Outcome::Answered;
    }
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        self.watch.state().settle(self.family, self.generation, self.outcome);
        if self.outcome == Outcome::Unknown {
            self.watch.has_trouble.store(true, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::clock_from_fn;

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
        let outages = Outages::default().with(at(100), at(130)).with(at(120), at(140)).with(at(90), at(135));
        assert_eq!(outages.within(at(0), at(1000)), seconds(40));
        assert_eq!(outages.with(at(105), at(215)).within(at(100), at(220)), seconds(115));
    }

    #[test]
    fn outage_runs_from_last_success_to_soon_after_last_failure() {
        let watch = StoreWatch::default();
        watch.succeeded(at(120), &clock_from_fn(|| at(121)));
        watch.failed(at(100), at(130));
        watch.succeeded(at(3700), &clock_from_fn(|| at(3700)));
        assert_eq!(watch.outages(), Outages::default().with(at(120), at(190)));
        watch.failed(at(3690), at(3710));
        watch.succeeded(at(3715), &clock_from_fn(|| at(3715)));
        assert_eq!(watch.outages(), Outages::default().with(at(120), at(190)).with(at(3700), at(3715)));
    }

    fn family(number: u8) -> FamilyId {
        FamilyId::from_bytes([number; 16])
    }

    #[test]
    fn answer_of_one_request_settles_what_others_owe() {
        let watch = StoreWatch::default();
        let (first, second) = (watch.expect_answer(family(1), 2), watch.expect_answer(family(1), 2));
        assert_eq!(watch.unanswered(family(1)), None, "both are under way");
        first.answered();
        drop(second);
        assert_eq!(watch.unanswered(family(1)), None, "the second was dropped after the first had answered");
    }

    #[test]
    fn note_stays_until_it_is_answered() {
        let watch = StoreWatch::default();
        drop(watch.expect_answer(family(1), 2));
        assert_eq!(watch.unanswered(family(1)), Some(2));
        watch.expect_answer(family(1), 2).not_committed();
        assert_eq!(watch.unanswered(family(1)), Some(2), "a conflict answers nothing");
        watch.answered(family(1));
        assert_eq!(watch.unanswered(family(1)), None);
    }

    #[test]
    fn notes_are_bounded() {
        let watch = StoreWatch::default();
        for number in 0..2000_u128 {
            drop(watch.expect_answer(FamilyId::from_bytes(number.to_be_bytes()), 1));
        }
        let state = watch.state();
        assert_eq!((state.owed.len(), state.notes), (MAX_NOTES, MAX_NOTES));
        drop(state);
        assert_eq!(watch.unanswered(FamilyId::from_bytes(1999_u128.to_be_bytes())), Some(1));
    }

    #[test]
    fn outages_forget_the_oldest() {
        let outages = (1..=6).fold(Outages::default(), |outages, n| outages.with(at(100 * n), at(100 * n + 10)));
        assert_eq!(outages.within(at(0), at(300)), seconds(0));
        assert_eq!(outages.within(at(0), at(1000)), seconds(40));
    }
}
