//! The looks at the store on behalf of what is open: one read of a family at a time, for everything that is open on it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker, ready};
use std::time::Duration;

use crate::error::Error;
use crate::family::{FamilyId, TokenFamily};
use crate::store::BoxFuture;
use crate::time::Timestamp;

/// A read of one family.
pub(super) type Read = BoxFuture<'static, Result<Option<TokenFamily>, Error>>;

/// The families that something is open on. An entry goes with the last of what is open.
#[derive(Default)]
pub(in crate::http) struct Looks(Mutex<HashMap<FamilyId, Weak<Look>>>);

impl Looks {
    /// The look that everything on `family` shares.
    pub(super) fn at(self: &Arc<Self>, family: FamilyId) -> Arc<Look> {
        let mut families = lock(&self.0);
        if let Some(look) = families.get(&family).and_then(Weak::upgrade) {
            return look;
        }
        let look = Look { family, looks: Arc::clone(self), state: Mutex::default(), waiting: Arc::default() };
        let look = Arc::new(look);
        families.insert(family, Arc::downgrade(&look));
        look
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        lock(&self.0).len()
    }
}

/// What the store last said of a family, and the read that is under way.
pub(super) struct Look {
    family: FamilyId,
    looks: Arc<Looks>,
    state: Mutex<State>,
    waiting: Arc<Waiting>,
}

#[derive(Default)]
struct State {
    reading: Option<Read>,
    seen: Option<(Timestamp, Seen)>,
}

/// What a look has shown.
#[derive(Clone)]
pub(super) enum Seen {
    /// The family, or that there is none any more.
    Found(Option<Arc<TokenFamily>>),
    /// Nothing: the store did not answer.
    Fault,
}

impl Look {
    /// What was seen less than `interval` before `now`, and when. If there is no such look, `read` begins one, which goes on
    /// whoever of those that wait for it is dropped; `report` gets its fault.
    pub(super) fn poll(
        &self,
        now: Timestamp,
        interval: Duration,
        read: impl FnOnce(FamilyId) -> Read,
        report: impl FnOnce(&Error),
        cx: &mut Context<'_>,
    ) -> Poll<(Timestamp, Seen)> {
        let mut state = lock(&self.state);
        let reading = match &mut state.reading {
            Some(reading) => reading,
            None => {
                if let Some((at, seen)) = &state.seen
                    && (*at..at.saturating_add(interval)).contains(&now)
                {
                    return Poll::Ready((*at, seen.clone()));
                }
                state.reading.insert(read(self.family))
            }
        };
        self.waiting.add(cx.waker());
        let waker = Waker::from(Arc::clone(&self.waiting));
        let answer = ready!(reading.as_mut().poll(&mut Context::from_waker(&waker)));
        let seen = answer.map(|found| Seen::Found(found.map(Arc::new))).unwrap_or_else(|fault| {
            report(&fault);
            Seen::Fault
        });
        *state = State { reading: None, seen: Some((now, seen.clone())) };
        drop(state);
        waker.wake();
        Poll::Ready((now, seen))
    }
}

impl Drop for Look {
    fn drop(&mut self) {
        let mut families = lock(&self.looks.0);
        // Another may have taken its place already.
        if families.get(&self.family).is_some_and(|look| look.strong_count() == 0) {
            families.remove(&self.family);
        }
    }
}

/// All who wait for one read: whichever of them is polled next goes on with it.
#[derive(Default)]
struct Waiting(Mutex<Vec<Waker>>);

impl Waiting {
    fn add(&self, waker: &Waker) {
        let mut wakers = lock(&self.0);
        if !wakers.iter().any(|other| other.will_wake(waker)) {
            wakers.push(waker.clone());
        }
    }
}

impl Wake for Waiting {
    fn wake(self: Arc<Self>) {
        let wakers = std::mem::take(&mut *lock(&self.0));
        wakers.into_iter().for_each(Waker::wake);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::error::ErrorKind;

    const MINUTE: Duration = Duration::from_secs(60);

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix(seconds)
    }

    /// What a look shows at `now`, and whether the store was read for it.
    fn look(look: &Look, now: u64, answer: impl FnOnce() -> Read) -> (Poll<(Timestamp, Seen)>, bool) {
        let mut read = false;
        let begin = |_| {
            read = true;
            answer()
        };
        let seen = look.poll(at(now), MINUTE, begin, |_| {}, &mut Context::from_waker(Waker::noop()));
        (seen, read)
    }

    fn gone() -> Read {
        Box::pin(async { Ok(None) })
    }

    #[test]
    fn looks_forget_a_family_that_nothing_is_open_on() {
        let looks = Arc::new(Looks::default());
        let families = [1, 2].map(|byte| FamilyId::from_bytes([byte; 16]));
        let (first, twin, other) = (looks.at(families[0]), looks.at(families[0]), looks.at(families[1]));
        assert!(Arc::ptr_eq(&first, &twin) && !Arc::ptr_eq(&first, &other));
        assert_eq!(looks.len(), 2);
        drop((first, other));
        assert_eq!(looks.len(), 1);
        drop(twin);
        assert_eq!(looks.len(), 0);
        drop(looks.at(families[0]));
        assert_eq!(looks.len(), 0);
    }

    #[test]
    fn look_is_good_for_an_interval_and_not_before_it_was_taken() {
        let shared = Arc::new(Looks::default()).at(FamilyId::from_bytes([1; 16]));
        for (now, read) in [(100, true), (100, false), (159, false), (160, true), (219, false), (50, true), (60, false)]
        {
            let (seen, was_read) = look(&shared, now, gone);
            assert!(matches!(seen, Poll::Ready((_, Seen::Found(None)))));
            assert_eq!(was_read, read, "{now}");
        }
        assert!(matches!(look(&shared, 70, gone).0, Poll::Ready((time, _)) if time == at(50)));
    }

    #[test]
    fn look_that_fails_is_one_look_too() {
        let shared = Arc::new(Looks::default()).at(FamilyId::from_bytes([1; 16]));
        let fault = || -> Read { Box::pin(async { Err(Error::new(ErrorKind::StoreUnavailable)) }) };
        assert!(matches!(look(&shared, 100, fault), (Poll::Ready((_, Seen::Fault)), true)));
        assert!(matches!(look(&shared, 159, gone), (Poll::Ready((_, Seen::Fault)), false)));
        assert!(matches!(look(&shared, 160, gone), (Poll::Ready((_, Seen::Found(None))), true)));
    }

    #[test]
    fn read_is_gone_on_with_by_whoever_waits_and_wakes_all() {
        struct Count(AtomicUsize);
        impl Wake for Count {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }
        let shared = Arc::new(Looks::default()).at(FamilyId::from_bytes([1; 16]));
        let (gate, opened) = std::sync::mpsc::channel::<()>();
        let mut opened = Some(opened);
        let waiting = Arc::new(Mutex::new(None::<Waker>));
        let tasks = [(); 3].map(|()| Arc::new(Count(AtomicUsize::new(0))));
        let poll = |task: &Arc<Count>, opened: &mut Option<std::sync::mpsc::Receiver<()>>| {
            let stored = Arc::clone(&waiting);
            let begin = |_| -> Read {
                let opened = Mutex::new(opened.take().unwrap());
                Box::pin(std::future::poll_fn(move |cx| match lock(&opened).try_recv() {
                    Ok(()) => Poll::Ready(Ok(None)),
                    Err(_) => {
                        *lock(&stored) = Some(cx.waker().clone());
                        Poll::Pending
                    }
                }))
            };
            let waker = Waker::from(Arc::clone(task));
            shared.poll(at(100), MINUTE, begin, |_| {}, &mut Context::from_waker(&waker)).is_ready()
        };
        for task in &tasks {
            // Twice is woken once.
            assert!(!poll(task, &mut opened) && !poll(task, &mut opened));
        }
        gate.send(()).unwrap();
        lock(&waiting).take().unwrap().wake();
        assert!(tasks.iter().all(|task| task.0.load(Ordering::SeqCst) == 1));
        // The first is not there any more.
        assert!(poll(&tasks[1], &mut opened) && poll(&tasks[2], &mut opened));
    }
}
