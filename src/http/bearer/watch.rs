//! How long a token stays good after its request was let in.

use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use super::family_reads::{Due, FamilyRead, Reading, Seen};
use super::guard::{Guard, Live};
use crate::grant::AccessClaims;
use crate::store::BoxFuture;
use crate::time::Timestamp;

/// No pause is longer, so that a clock that was set, or a machine that slept, is noticed within a minute.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// The clock has whole seconds.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

/// Waits with tokio's timer. Outside of a tokio runtime there is none: then what is idle stays open until it moves.
pub(super) fn tokio_sleep(duration: Duration) -> BoxFuture<'static, ()> {
    match tokio::runtime::Handle::try_current() {
        Ok(_) => Box::pin(tokio::time::sleep(duration)),
        Err(_) => Box::pin(std::future::pending()),
    }
}

/// Follows the access token of a request for as long as what the request opened stays open.
///
/// [`BearerLayer`](super::BearerLayer) follows it for response bodies. What leaves HTTP, such as a WebSocket, has to be closed by the
/// application: with [`with_upgrades`](super::BearerLayer::with_upgrades) a `TokenWatch` is in the extensions of each request.
#[derive(Clone)]
pub struct TokenWatch {
    guard: Arc<Guard>,
    claims: Arc<AccessClaims>,
    opened_at: Timestamp,
}

impl TokenWatch {
    pub(super) fn new(guard: &Arc<Guard>, claims: AccessClaims) -> Self {
        let opened_at = guard.clock.now();
        Self { guard: Arc::clone(guard), claims: Arc::new(claims), opened_at }
    }

    /// Waits until the token has expired or, with the live check, is no longer live by the store.
    pub async fn ended(&self) {
        let mut following = Following::of(self);
        poll_fn(|cx| match following.poll_good(cx) {
            Poll::Ready(false) => Poll::Ready(()),
            Poll::Ready(true) | Poll::Pending => Poll::Pending,
        })
        .await;
    }
}

impl fmt::Debug for TokenWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { guard: _, claims, opened_at } = self;
        f.debug_struct("TokenWatch").field("claims", claims).field("opened_at", opened_at).finish_non_exhaustive()
    }
}

/// A token that is being followed.
pub(super) struct Following {
    guard: Arc<Guard>,
    expires_at: Timestamp,
    looking: Option<Looking>,
    // A mutex that is never locked: so that a body may be shared between threads, as some transports ask for.
    timer: Mutex<Option<Timer>>,
    is_over: bool,
}

/// When a task is woken, and the pause until then.
struct Timer {
    at: Timestamp,
    pause: BoxFuture<'static, ()>,
}

/// What the live check needs to look again.
struct Looking {
    live: Live,
    claims: Arc<AccessClaims>,
    /// The store as it was then has been seen.
    looked_at: Timestamp,
    /// Until then, that will do.
    next: Timestamp,
    due_since: Option<Timestamp>,
    read: Option<Arc<FamilyRead>>,
    // Never locked, as the timer.
    reading: Mutex<Option<Reading>>,
}

impl Following {
    /// Follow the token with `claims`, whose request has just been let in.
    pub(super) fn new(guard: &Arc<Guard>, claims: &AccessClaims) -> Self {
        match guard.live {
            Some(_) => Self::of(&TokenWatch::new(guard, claims.clone())),
            None => Self::start(guard, claims.expires_at(), None),
        }
    }

    fn of(watch: &TokenWatch) -> Self {
        let TokenWatch { guard, claims, opened_at } = watch;
        let looking = guard.live.as_ref().map(|live| Looking {
            live: live.clone(),
            claims: Arc::clone(claims),
            looked_at: *opened_at,
            next: opened_at.saturating_add(live.interval),
            due_since: None,
            read: None,
            reading: Mutex::default(),
        });
        Self::start(guard, claims.expires_at(), looking)
    }

    fn start(guard: &Arc<Guard>, expires_at: Timestamp, looking: Option<Looking>) -> Self {
        Self { guard: Arc::clone(guard), expires_at, looking, timer: Mutex::default(), is_over: false }
    }

    /// Whether the token is good; pending while the store is asked. Unless it is over, the task is woken when it may be.
    pub(super) fn poll_good(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        while !self.is_over {
            // The clock decides and the timer only wakes, so that a clock that was set in between is heeded.
            let now = self.guard.clock.now();
            let until = match &mut self.looking {
                _ if now >= self.expires_at => Poll::Ready(None),
                Some(looking) => looking.poll(&self.guard, now, cx),
                None => Poll::Ready(Some(self.expires_at)),
            };
            if until == Poll::Ready(None) {
                self.is_over = true;
                break;
            }
            let next = match until {
                Poll::Ready(Some(next)) => next.min(self.expires_at),
                _ => self.expires_at,
            };
            let length = next.since(now).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
            let at = now.saturating_add(length);
            let timer = self.timer.get_mut().unwrap_or_else(PoisonError::into_inner);
            // A timer that goes off early costs one poll, one that goes off late a look.
            timer.take_if(|timer| timer.at > at);
            let Timer { pause, .. } = timer.get_or_insert_with(|| Timer { at, pause: (self.guard.sleep)(length) });
            match pause.as_mut().poll(cx) {
                Poll::Ready(()) => *timer = None,
                Poll::Pending => return until.map(|_| true),
            }
        }
        Poll::Ready(false)
    }
}

impl Looking {
    /// Until when the last look will do; `None` if it has shown that the token is not live any more.
    fn poll(&mut self, guard: &Arc<Guard>, now: Timestamp, cx: &mut Context<'_>) -> Poll<Option<Timestamp>> {
        if (self.looked_at..self.next).contains(&now) {
            return Poll::Ready(Some(self.next));
        }
        let Live { check, reads, interval } = &self.live;
        let since = (*self.due_since.get_or_insert(now)).min(now);
        // Since a clock was set back, only what is read from now on is news.
        let before = Timestamp::from_unix(now.as_unix().saturating_sub(1));
        let due = Due { after: self.looked_at.min(before), since, now, interval: *interval };
        let begin = |family| -> BoxFuture<'static, Seen> {
            let (check, guard) = (Arc::clone(check), Arc::clone(guard));
            Box::pin(async move {
                let found = check.read(family).await.map(|found| Seen::Found(found.map(Arc::new)));
                found.unwrap_or_else(|fault| guard.seen_fault(&fault, None))
            })
        };
        let read = self.read.get_or_insert_with(|| reads.at(self.claims.family()));
        let own = self.reading.get_mut().unwrap_or_else(PoisonError::into_inner);
        let (at, mut seen) = ready!(read.poll(due, own, begin, cx));
        if let Seen::Found(family) = &seen {
            match check.is_still_live(family.as_deref(), &self.claims) {
                Ok(true) => {}
                Ok(false) => return Poll::Ready(None),
                Err(fault) => seen = guard.seen_fault(&fault, Some(&self.claims)),
            }
        }
        // An outage revokes nothing: what is open stays open, until the next look or the token's expiry.
        let from = if matches!(seen, Seen::Fault) { now } else { at };
        (self.looked_at, self.next, self.due_since) = (at, from.saturating_add(seen.stands_for(*interval)), None);
        Poll::Ready(Some(self.next))
    }
}
