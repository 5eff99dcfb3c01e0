//! The recent store outages of an issuer.

use std::time::Duration;

use crate::time::Timestamp;

/// The number of outages that are remembered. Windows are short, so older outages rarely matter.
const REMEMBERED: usize = 4;

/// The most recent periods in which the issuer could not reach its store, newest first, without overlap.
///
/// A client cannot retry during an outage, so that time counts against no window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outages {
    spans: [(Timestamp, Timestamp); REMEMBERED],
}

impl Outages {
    /// Adds an outage, as far as it is later than the newest one.
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

    /// Returns how much of the time between `from` and `to` was an outage.
    pub fn within(&self, from: Timestamp, to: Timestamp) -> Duration {
        self.spans.iter().map(|(began, ended)| to.min(*ended).since(from.max(*began))).sum()
    }
}
