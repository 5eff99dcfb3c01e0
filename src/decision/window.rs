//! For how long a spent token is still answered.

use std::time::Duration;

use super::Context;
use crate::family::TokenFamily;
use crate::policy::{Leeway, Lifetimes, RotationPolicy};
use crate::time::{CLOCK_TOLERANCE, Timestamp};

/// How long after its commit a rotation that this issuer never answered may be asked for again, under every policy.
const UNANSWERED: Duration = Duration::from_secs(60);

/// The windows of one family, as of now. Time in which this issuer could not reach its store counts against none of them.
#[derive(Clone, Copy)]
pub(super) struct Windows<'a> {
    pub(super) family: &'a TokenFamily,
    pub(super) policy: &'a RotationPolicy,
    pub(super) lifetimes: Lifetimes,
    pub(super) cx: &'a Context<'a>,
}

impl<'a> Windows<'a> {
    pub(super) fn new(family: &'a TokenFamily, cx: &'a Context<'a>) -> Self {
        let policy = cx.policies.policy(family.grant.client_id());
        Self { family, policy, lifetimes: cx.policies.lifetimes(&family.grant), cx }
    }

    /// How long it is since `then`, outages left out.
    pub(super) fn elapsed(&self, then: Timestamp) -> Duration {
        self.cx.now.since(then).saturating_sub(self.cx.outages.within(then, self.cx.now))
    }

    /// Whether the code of the family may still be redeemed.
    pub(super) fn code_is_alive(&self) -> bool {
        is_within(self.elapsed(self.family.created_at), self.lifetimes.code)
    }

    /// Whether the spent token of `generation` is within the window that every spent token has.
    pub(super) fn is_open(&self, generation: u64) -> bool {
        let Some(spent) = self.family.spent(generation) else { return false };
        let elapsed = self.elapsed(spent.at);
        let is_unanswered = is_within(elapsed, UNANSWERED)
            && self.cx.unanswered == Some(self.family.generation)
            && generation.checked_add(1) == Some(self.family.generation);
        let window = match (generation, self.leeway(spent.at)) {
            (0, _) => self.policy.code_retry_window,
            (_, leeway) if spent.by == self.cx.issuer => leeway.own,
            (_, leeway) => leeway.across_issuers,
        };
        let exists = generation > 0 || self.family.code.is_some() && self.code_is_alive();
        exists && (is_within(elapsed, window) || is_unanswered)
    }

    /// Whether the spent token of `generation` is within the lost-response window: nothing has shown that its successor,
    /// the current token, ever arrived.
    pub(super) fn is_lost(&self, generation: u64) -> bool {
        let is_previous = generation > 0 && generation.checked_add(1) == Some(self.family.generation);
        let elapsed = self.family.spent(generation).map(|spent| self.elapsed(spent.at));
        is_previous
            && !self.family.confirmed
            && self.policy.lost_response_window.zip(elapsed).is_some_and(|(window, elapsed)| is_within(elapsed, window))
    }

    /// Whether one more rotation would forget when a token was spent that is still in its leeway.
    pub(super) fn is_crowded(&self) -> bool {
        let oldest = self.family.generation.checked_sub(self.family.issued.len() as u64);
        oldest.is_some_and(|generation| self.is_open(generation))
    }

    /// The leeway of a token that was spent at `then`. Every access token that came with it was issued before and so lived for
    /// at least as long as one issued then; the scope of none could exceed the grant's.
    fn leeway(&self, then: Timestamp) -> Leeway {
        let until_end = self.family.absolute_end(&self.lifetimes).since(then);
        let retries = self.policy.reuse_leeway.saturating_add(CLOCK_TOLERANCE);
        let until_idle = self.lifetimes.idle.saturating_sub(retries);
        self.policy.leeway(self.lifetimes.access.min(until_idle).min(until_end))
    }
}

/// In whole seconds: a fraction lengthens no window.
fn is_within(elapsed: Duration, window: Duration) -> bool {
    elapsed.as_secs() < window.as_secs()
}
