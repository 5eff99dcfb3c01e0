//! Follows a token after its request was accepted.

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

/// The longest pause, so that a changed clock or a suspended machine is noticed within a minute.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// The shortest pause, because the clock has whole seconds.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

/// Waits with tokio's timer. Outside of a tokio runtime it never completes, so an idle response stays open until its
/// next frame.
pub(super) fn tokio_sleep(duration: Duration) -> BoxFuture<'static, ()> {
    match tokio::runtime::Handle::try_current() {
        Ok(_) => Box::pin(tokio::time::sleep(duration)),
        Err(_) => Box::pin(std::future::pending()),
    }
}

/// Follows the access token of a request, so that what the request opened can be closed with it.
///
/// [`BearerLayer`](super::BearerLayer) does that for response bodies. The application has to close what leaves HTTP,
/// such as a WebSocket: with [`with_upgrades`](super::BearerLayer::with_upgrades) each request has a `TokenWatch` in
/// its extensions.
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

    /// Completes when the token has expired or, with the live check, is no longer live.
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
    // A mutex that is never locked. It lets a body be shared between threads, as some transports require.
    timer: Mutex<Option<Timer>>,
    is_over: bool,
}

/// The time at which the task is woken, and the pause until then.
struct Timer {
    at: Timestamp,
    pause: BoxFuture<'static, ()>,
}

/// The state for repeating the live check.
struct Looking {
    live: Live,
    claims: Arc<AccessClaims>,
    /// When the last read of the store began.
    looked_at: Timestamp,
    /// Until when the last read is recent enough.
    next: Timestamp,
    due_since: Option<Timestamp>,
    read: Option<Arc<FamilyRead>>,
    // Never locked, like the timer.
    reading: Mutex<Option<Reading>>,
}

impl Following {
    /// Follows the token with `claims`, whose request has just been accepted.
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

    /// Returns whether the token is good; pending while the store is read. While it is good, the task is woken when
    /// that may change.
    pub(super) fn poll_good(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        while !self.is_over {
            // The clock decides and the timer only wakes, so that a change of the clock takes effect.
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
            // A timer that is too early costs one poll; one that is too late would delay a check.
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
    /// Returns until when the last read is recent enough; `None` if it has shown that the token is no longer live.
    fn poll(&mut self, guard: &Arc<Guard>, now: Timestamp, cx: &mut Context<'_>) -> Poll<Option<Timestamp>> {
        if (self.looked_at..self.next).contains(&now) {
            return Poll::Ready(Some(self.next));
        }
        let Live { check, reads, interval } = &self.live;
        let since = (*self.due_since.get_or_insert(now)).min(now);
        // If the clock was set back, only reads from now on count.
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
        // An outage revokes nothing: the response stays open until the next read or the token's expiry.
        let from = if matches!(seen, Seen::Fault) { now } else { at };
        (self.looked_at, self.next, self.due_since) = (at, from.saturating_add(seen.stands_for(*interval)), None);
        Poll::Ready(Some(self.next))
    }
}
