//! When the store was out of reach: time that does not count against a claim.
//!
//! A refresher that has spent the refresh token and cannot write the new one needs its claim until the store is back, or the first
//! other process to refresh then presents the spent one. So every vault notes for how long the store did not answer it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::store::StoreError;
use crate::time::Timestamp;

/// The last time for which the store did not answer: from its last answer before, or else from the first question without one, to
/// its first answer after.
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

    /// How much of it lies after `since`.
    pub(crate) fn after(self, since: Timestamp) -> Duration {
        self.until.since(self.from.max(since))
    }
}

/// What a vault has noticed of its store.
#[derive(Debug, Default)]
pub(crate) struct Reach(Mutex<Noticed>);

#[derive(Debug, Default)]
struct Noticed {
    answered_at: Option<Timestamp>,
    /// Since when there has been no answer.
    away_since: Option<Timestamp>,
    last: Outage,
}

impl Reach {
    /// Note that the store has answered at `now`, or has not. Returns what it was asked for.
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
