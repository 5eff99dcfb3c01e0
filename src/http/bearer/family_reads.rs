//! Shares the reads of the store between open responses: one read of a family at a time for all that are open on it.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use crate::family::TokenFamily;
use crate::id::FamilyId;
use crate::store::BoxFuture;
use crate::time::Timestamp;

/// The pause after a failed read, unless the interval is shorter.
const RETRY: Duration = Duration::from_secs(5);

/// The families with open responses or connections. An entry is removed with the last of them.
#[derive(Default)]
pub(in crate::http) struct FamilyReads(Mutex<HashMap<FamilyId, Weak<FamilyRead>>>);

impl FamilyReads {
    /// Returns the reads that all responses of `family` share.
    pub(super) fn at(self: &Arc<Self>, family: FamilyId) -> Arc<FamilyRead> {
        let mut families = lock(&self.0);
        if let Some(read) = families.get(&family).and_then(Weak::upgrade) {
            return read;
        }
        let read = Arc::new(FamilyRead { family, reads: Arc::clone(self), state: Mutex::default() });
        families.insert(family, Arc::downgrade(&read));
        read
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        lock(&self.0).len()
    }
}

/// The result of the last read of a family, and the tasks that wait for the current one.
pub(super) struct FamilyRead {
    family: FamilyId,
    reads: Arc<FamilyReads>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    is_reading: bool,
    seen: Option<(Timestamp, Seen)>,
    waiting: Vec<Waker>,
}

/// The result of a read.
#[derive(Clone)]
pub(super) enum Seen {
    /// The family; `None` if the store has none.
    Found(Option<Arc<TokenFamily>>),
    /// No result: the store did not answer.
    Fault,
}

impl Seen {
    /// How long the result is used if the live check is repeated at `interval`. After a failure the next read comes
    /// earlier, because an outage may be short.
    pub(super) fn stands_for(&self, interval: Duration) -> Duration {
        match self {
            Self::Found(_) => interval,
            Self::Fault => interval.min(RETRY),
        }
    }
}

/// Which reads are recent enough for an open response. A read counts from its beginning, because it shows nothing later
/// than that.
#[derive(Clone, Copy)]
pub(super) struct Due {
    /// The time of the last check. Only a read that began later counts.
    pub(super) after: Timestamp,
    /// When the next check became due.
    pub(super) since: Timestamp,
    pub(super) now: Timestamp,
    pub(super) interval: Duration,
}

impl Due {
    /// Whether the result of a read that began at `at` may be used. One that began after the check became due may be
    /// used however long it took; otherwise a slow store would stop open responses.
    fn is_met(&self, at: Timestamp, seen: &Seen) -> bool {
        let is_fresh = self.now < at.saturating_add(seen.stands_for(self.interval));
        self.after < at && at <= self.now && (self.since <= at || is_fresh)
    }
}

impl FamilyRead {
    /// Returns the result of a read that may be used, and when it began. If there is none and none is running, `read`
    /// starts one.
    ///
    /// The read runs as its own task, so that it holds a connection to the store no longer than necessary, however
    /// rarely the response is polled. Without a tokio runtime it stays in `own`, progresses with that response, and is
    /// dropped with it.
    pub(super) fn poll(
        self: &Arc<Self>,
        due: Due,
        own: &mut Option<Reading>,
        read: impl FnOnce(FamilyId) -> BoxFuture<'static, Seen>,
        cx: &mut Context<'_>,
    ) -> Poll<(Timestamp, Seen)> {
        let mut read = Some(read);
        loop {
            if let Some(reading) = own {
                ready!(Pin::new(reading).poll(cx));
                *own = None;
            }
            let mut state = lock(&self.state);
            if let Some((at, seen)) = state.seen.as_ref().filter(|(at, seen)| due.is_met(*at, seen)) {
                return Poll::Ready((*at, seen.clone()));
            }
            if !state.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
                state.waiting.push(cx.waker().clone());
            }
            let Some(read) = read.take().filter(|_| !state.is_reading) else { return Poll::Pending };
            state.is_reading = true;
            drop(state);
            let shared = Arc::clone(self);
            let mut reading = Reading { shared, began_at: due.now, read: read(self.family), is_over: false };
            if Pin::new(&mut reading).poll(cx).is_pending() {
                match tokio::runtime::Handle::try_current() {
                    Ok(runtime) => drop(runtime.spawn(reading)),
                    Err(_) => *own = Some(reading),
                }
                return Poll::Pending;
            }
        }
    }
}

impl Drop for FamilyRead {
    fn drop(&mut self) {
        let mut families = lock(&self.reads.0);
        // A new entry may have replaced this one already.
        if families.get(&self.family).is_some_and(|read| read.strong_count() == 0) {
            families.remove(&self.family);
        }
    }
}

/// A running read. If it is dropped, another may start.
pub(super) struct Reading {
    shared: Arc<FamilyRead>,
    began_at: Timestamp,
    read: BoxFuture<'static, Seen>,
    is_over: bool,
}

impl Reading {
    /// Stores the result and wakes the waiting tasks.
    fn end(&mut self, seen: Option<Seen>) {
        self.is_over = true;
        let mut state = lock(&self.shared.state);
        state.is_reading = false;
        if let Some(seen) = seen {
            state.seen = Some((self.began_at, seen));
        }
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl Future for Reading {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let seen = ready!(self.read.as_mut().poll(cx));
        self.end(Some(seen));
        Poll::Ready(())
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        if !self.is_over {
            self.end(None);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix(seconds)
    }

    fn shared() -> Arc<FamilyRead> {
        Arc::new(FamilyReads::default()).at(FamilyId::from_bytes([1; 16]))
    }

    /// What is seen at `now` by something that has seen nothing yet, and whether the store was read for it.
    fn look(shared: &Arc<FamilyRead>, now: u64, answer: Seen) -> (Poll<(Timestamp, Seen)>, bool) {
        let mut was_read = false;
        let begin = |_| -> BoxFuture<'static, Seen> {
            was_read = true;
            Box::pin(async { answer })
        };
        let due = Due { after: at(0), since: at(now), now: at(now), interval: MINUTE };
        let seen = shared.poll(due, &mut None, begin, &mut Context::from_waker(Waker::noop()));
        (seen, was_read)
    }

    /// Reads that are ready when the test says so.
    #[derive(Clone, Default)]
    struct Gate(Arc<Mutex<(bool, Option<Waker>)>>);

    impl Gate {
        fn read(&self) -> BoxFuture<'static, Seen> {
            let gate = self.clone();
            Box::pin(std::future::poll_fn(move |cx| {
                let mut state = lock(&gate.0);
                state.1 = Some(cx.waker().clone());
                if state.0 { Poll::Ready(Seen::Found(None)) } else { Poll::Pending }
            }))
        }

        fn open(&self) {
            let mut state = lock(&self.0);
            state.0 = true;
            let waker = state.1.take();
            drop(state);
            waker.into_iter().for_each(Waker::wake);
        }
    }

    /// A task that counts how often it is woken, with what it would own of a read.
    #[derive(Default)]
    struct Task(Arc<Count>, Option<Reading>);

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    impl Task {
        fn woken(&self) -> usize {
            self.0.0.load(Ordering::SeqCst)
        }

        /// When the read began that was seen at `now`.
        fn poll(&mut self, shared: &Arc<FamilyRead>, now: u64, gate: &Gate) -> Option<u64> {
            let due = Due { after: at(0), since: at(100), now: at(now), interval: MINUTE };
            let waker = Waker::from(Arc::clone(&self.0));
            match shared.poll(due, &mut self.1, |_| gate.read(), &mut Context::from_waker(&waker)) {
                Poll::Ready((at, _)) => Some(at.as_unix()),
                Poll::Pending => None,
            }
        }
    }

    #[test]
    fn family_reads_forget_a_family_that_nothing_is_open_on() {
        let reads = Arc::new(FamilyReads::default());
        let families = [1, 2].map(|byte| FamilyId::from_bytes([byte; 16]));
        let (first, twin, other) = (reads.at(families[0]), reads.at(families[0]), reads.at(families[1]));
        assert!(Arc::ptr_eq(&first, &twin) && !Arc::ptr_eq(&first, &other));
        assert_eq!(reads.len(), 2);
        drop((first, other));
        assert_eq!(reads.len(), 1);
        drop(twin);
        assert_eq!(reads.len(), 0);
        drop(reads.at(families[0]));
        assert_eq!(reads.len(), 0);
    }

    #[test]
    fn read_will_do_for_an_interval_and_not_before_it_began() {
        let shared = shared();
        for (now, read) in [(100, true), (100, false), (159, false), (160, true), (219, false), (50, true), (60, false)]
        {
            let (seen, was_read) = look(&shared, now, Seen::Found(None));
            assert!(matches!(seen, Poll::Ready((_, Seen::Found(None)))));
            assert_eq!(was_read, read, "{now}");
        }
        assert!(matches!(look(&shared, 70, Seen::Found(None)).0, Poll::Ready((time, _)) if time == at(50)));
    }

    #[test]
    fn read_that_fails_is_repeated_after_5_seconds() {
        let shared = shared();
        assert!(matches!(look(&shared, 100, Seen::Fault), (Poll::Ready((_, Seen::Fault)), true)));
        assert!(matches!(look(&shared, 104, Seen::Found(None)), (Poll::Ready((_, Seen::Fault)), false)));
        assert!(matches!(look(&shared, 105, Seen::Found(None)), (Poll::Ready((_, Seen::Found(None))), true)));
    }

    #[test]
    fn due_is_met_by_news_that_is_fresh_or_began_when_due() {
        let due = Due { after: at(50), since: at(110), now: at(200), interval: MINUTE };
        for (began_at, found, failed) in [
            (50, false, false),
            (51, false, false),
            (109, false, false),
            (110, true, true),
            (150, true, true),
            (200, true, true),
            (201, false, false),
        ] {
            assert_eq!(due.is_met(at(began_at), &Seen::Found(None)), found, "{began_at}");
            assert_eq!(due.is_met(at(began_at), &Seen::Fault), failed, "{began_at}");
        }
        let due = Due { since: at(200), ..due };
        for (began_at, found, failed) in
            [(140, false, false), (141, true, false), (195, true, false), (196, true, true)]
        {
            assert_eq!(due.is_met(at(began_at), &Seen::Found(None)), found, "{began_at}");
            assert_eq!(due.is_met(at(began_at), &Seen::Fault), failed, "{began_at}");
        }
    }

    #[test]
    fn read_without_a_runtime_ends_with_the_task_that_began_it() {
        let (shared, gate) = (shared(), Gate::default());
        let (mut first, mut second, mut third) = (Task::default(), Task::default(), Task::default());
        for task in [&mut first, &mut second, &mut third] {
            // Twice is woken once.
            assert_eq!((task.poll(&shared, 100, &gate), task.poll(&shared, 100, &gate)), (None, None));
        }
        assert!(first.1.is_some() && second.1.is_none() && third.1.is_none(), "one read at a time");
        drop(first);
        assert_eq!((second.woken(), third.woken()), (1, 1), "either may begin another");
        assert_eq!((second.poll(&shared, 130, &gate), third.poll(&shared, 130, &gate)), (None, None));
        gate.open();
        assert_eq!((second.poll(&shared, 140, &gate), third.woken()), (Some(130), 2));
        assert_eq!(third.poll(&shared, 140, &gate), Some(130), "it shows the store as it was when it began");
    }

    #[tokio::test]
    async fn read_on_a_runtime_goes_on_without_the_task_that_began_it() {
        let (shared, gate) = (shared(), Gate::default());
        let (mut first, mut second) = (Task::default(), Task::default());
        assert_eq!((first.poll(&shared, 100, &gate), second.poll(&shared, 100, &gate)), (None, None));
        assert!(first.1.is_none(), "the runtime has it");
        drop(first);
        gate.open();
        tokio::task::yield_now().await;
        assert!(!lock(&shared.state).is_reading, "nothing was polled but the runtime");
        assert_eq!((second.woken(), second.poll(&shared, 140, &gate)), (1, Some(100)));
    }

    #[test]
    fn read_that_a_runtime_gives_up_makes_room_for_another() {
        let (shared, gate, mut task) = (shared(), Gate::default(), Task::default());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async { assert_eq!(task.poll(&shared, 100, &gate), None) });
        drop(runtime);
        assert_eq!(task.woken(), 1);
        gate.open();
        assert_eq!(task.poll(&shared, 140, &gate), Some(140));
    }
}
