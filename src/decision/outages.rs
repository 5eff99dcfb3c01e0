//! When an issuer could not reach its store.

use std::time::Duration;

use crate::time::Timestamp;

/// How many outages are remembered; windows are short, so that older ones rarely matter.
const REMEMBERED: usize = 4;

/// The last times in which the issuer could not reach its store, newest first and apart from each other.
///
/// A client that meets an outage cannot retry in time, so that time counts against no window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outages {
    spans: [(Timestamp, Timestamp); REMEMBERED],
}

impl Outages {
    /// These outages and one more, as far as it is later than the newest of them.
    #[must_use]
    pub fn with(mut self, from: Timestamp, to: Timestamp) -> Self {
        let [(_, newest_end), ..] = self.spans;
        let from = from.max(newest_end);
        if from < to {
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
