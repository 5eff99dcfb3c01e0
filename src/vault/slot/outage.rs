//! When the store was unreachable: time that does not count against a claim.
//!
//! A process may have spent the refresh token and be unable to write the new one. Its claim has to hold until the store
//! is back; otherwise the next process to refresh presents the spent token. So each vault records for how long the
//! store did not answer it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::store::StoreError;
use crate::time::Timestamp;

/// The last outage of the store. It lasts from the last answer before it, or else from the first unanswered request, to
/// the first answer after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outage {
    from: Timestamp,
    until: Timestamp,
}

impl Outage {
    #[cfg(test)]
    pub(crate) fn of(from: Timestamp, until: Timestamp) -> Self {
        Self { from, until }
    }

    /// Returns how much of the outage lies after `since`.
    pub(crate) fn after(self, since: Timestamp) -> Duration {
        self.until.since(self.from.max(since))
    }
}

/// What a vault knows about the reachability of its store.
#[derive(Debug, Default)]
pub(crate) struct Reach(Mutex<Noticed>);

#[derive(Debug, Default)]
struct Noticed {
    answered_at: Option<Timestamp>,
    /// When the current outage began.
    away_since: Option<Timestamp>,
    last: Outage,
}

impl Reach {
    /// Records whether the store answered at `now`, and returns `answer`.
    pub(crate) fn note<T>(&self, answer: Result<T, StoreError>, now: Timestamp) -> Result<T, StoreError> {
        let mut noticed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if answer.is_ok() {
            if let Some(from) = noticed.away_since.take() {
                noticed.last = Outage { from, until: now };
            }
            noticed.answered_at = Some(now);
        } else if noticed.away_since.is_none() {
            noticed.away_since = Some(noticed.answered_at.unwrap_or(now));
        }
        answer
    }

    /// Returns the last outage that has ended.
    pub(crate) fn last_outage(&self) -> Outage {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix(seconds)
    }

    #[test]
    fn outage_runs_from_answer_to_answer() {
        let reach = Reach::default();
        let away = |since| reach.last_outage().after(at(since)).as_secs();
        let (up, down) = (
            |now| drop(reach.note(Ok(()), at(now))),
            |now| {
                drop(reach.note::<()>(Err(StoreError::unavailable("down")), at(now)));
            },
        );
        up(100);
        assert_eq!(away(0), 0);
        down(110);
        down(120);
        assert_eq!(away(0), 0, "it is not over");
        up(130);
        assert_eq!([0, 100, 110, 129, 130, 500].map(away), [30, 30, 20, 1, 0, 0]);
        up(1_000);
        assert_eq!(away(0), 30, "answers are no outage");
    }

    #[test]
    fn outage_without_an_answer_before_runs_from_the_first_question() {
        let reach = Reach::default();
        drop(reach.note::<()>(Err(StoreError::unavailable("down")), at(50)));
        drop(reach.note(Ok(()), at(70)));
        assert_eq!(reach.last_outage().after(at(0)).as_secs(), 20);
    }
}
