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
