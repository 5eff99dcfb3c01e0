//! The windows in which a spent token is still answered.

use std::time::Duration;

use super::context::Context;
use crate::family::TokenFamily;
use crate::id::IssuerId;
use crate::policy::{Leeway, Lifetimes, RotationPolicy};
use crate::time::{CLOCK_TOLERANCE, Timestamp};

/// How long after its commit a rotation that this issuer never answered may be requested again, under every policy. The
/// first answer ends this window, so of two holders of the spent token the second is detected.
const UNANSWERED: Duration = Duration::from_secs(60 * 60);

/// The windows of one family at the current time. Time in which this issuer could not reach its store counts against
/// none of them.
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

    /// Returns the time since `then` without outages.
    pub(super) fn elapsed(&self, then: Timestamp) -> Duration {
        self.cx.now.since(then).saturating_sub(self.cx.outages.within(then, self.cx.now))
    }

    /// Whether the code of the family may still be redeemed.
    pub(super) fn code_is_alive(&self) -> bool {
        is_within(self.elapsed(self.family.created_at), self.lifetimes.code)
    }

    /// Whether the spent token of `generation` is within its leeway, or its rotation was never answered.
    pub(super) fn is_open(&self, generation: u64) -> bool {
        let is_unanswered = self.cx.unanswered == Some(self.family.generation)
            && generation.checked_add(1) == Some(self.family.generation)
            && is_within(self.cx.now.since(self.family.rotated_at()), UNANSWERED);
        self.exists(generation) && is_unanswered
            || self.is_within_leeway(generation, |leeway, by| match by == self.cx.issuer {
                true => leeway.own,
                false => leeway.across_issuers,
            })
    }

    /// Whether no issuer answers the spent token of `generation` any more.
    ///
    /// Answers that show a client that its token is spent wait for this. Earlier they would show a thief of the token
    /// that the victim has rotated, and that the leeway is open.
    pub(super) fn is_over(&self, generation: u64) -> bool {
        let is_open_elsewhere = self.is_within_leeway(generation, |leeway, _| leeway.across_issuers);
        !is_open_elsewhere && !self.is_open(generation) && !self.is_lost(generation)
    }

    fn is_within_leeway(&self, generation: u64, of: impl Fn(Leeway, IssuerId) -> Duration) -> bool {
        let Some(spent) = self.family.spent(generation) else { return false };
        let window = match generation {
            0 => self.policy.code_retry_window,
            _ => of(self.leeway(spent.at), spent.by),
        };
        self.exists(generation) && is_within(self.elapsed(spent.at), window)
    }

    /// Whether a token of `generation` can exist: a code exists only if the family began with one, and until the code
    /// expires.
    fn exists(&self, generation: u64) -> bool {
        generation > 0 || self.family.code.is_some() && self.code_is_alive()
    }

    /// Whether the spent token of `generation` is within the lost-response window: nothing has shown that the client
    /// received its successor, the current token.
    pub(super) fn is_lost(&self, generation: u64) -> bool {
        let is_previous = generation > 0 && generation.checked_add(1) == Some(self.family.generation);
        let elapsed = self.family.spent(generation).map(|spent| self.elapsed(spent.at));
        is_previous
            && !self.family.confirmed
            && self.policy.lost_response_window.zip(elapsed).is_some_and(|(window, elapsed)| is_within(elapsed, window))
    }

    /// Whether one more rotation would drop the time at which a token was spent that is still in its leeway.
    pub(super) fn is_crowded(&self) -> bool {
        let oldest = self.family.generation.checked_sub(self.family.issued.len() as u64);
        oldest.is_some_and(|generation| self.is_open(generation))
    }

    /// Returns the leeway of a token that was spent at `then`. Every access token that was issued with it was issued
    /// before `then`, and so had at least the lifetime of one issued at `then`; its scope could not exceed the grant's.
    fn leeway(&self, then: Timestamp) -> Leeway {
        let until_end = self.family.absolute_end(&self.lifetimes).since(then);
        let retries = self.policy.reuse_leeway.saturating_add(CLOCK_TOLERANCE);
        let until_idle = self.lifetimes.idle.saturating_sub(retries);
        self.policy.leeway(self.lifetimes.access.min(until_idle).min(until_end))
    }
}

/// Compares whole seconds, so that a fraction does not lengthen a window.
fn is_within(elapsed: Duration, window: Duration) -> bool {
    elapsed.as_secs() < window.as_secs()
}
