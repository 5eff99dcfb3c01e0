//! How the tokens of a client are rotated and how long they live.

use std::time::Duration;

use super::choices::{OnAhead, OnReuse, OnSuperseded, Rotation};
use super::lifetimes::Lifetimes;
use crate::grant::{Binding, Client, ClientKind};
use crate::time::CLOCK_TOLERANCE;

/// How many times the tolerated retry window fits into the span of the jitter. A thief who aims at the middle of the victim's
/// window passes undetected with probability 2L/J, so one rotation in three at most.
const JITTER_PER_LEEWAY: u32 = 6;

const MINUTE: Duration = minutes(1);
const DAY: Duration = days(1);

const fn minutes(count: u64) -> Duration {
    Duration::from_secs(count * 60)
}

const fn days(count: u64) -> Duration {
    minutes(count * 24 * 60)
}

/// How the tokens of a client are rotated and how long they live; checked once, when it is built.
///
/// | preset | access | idle | absolute | leeway | for |
/// |---|---|---|---|---|---|
/// | [`strict`](Self::strict) | 14 to 15 min | 7 d | 30 d | none | where losing a session is better than any doubt |
/// | [`standard`](Self::standard) | 25 to 30 min | 14 d | 90 d | 30 s | the default |
/// | [`shared_credential`](Self::shared_credential) | 16 to 30 min | 14 d | 90 d | 2 min | several processes with one credential file |
/// | [`reusable`](Self::reusable) | 25 to 30 min | 14 d | 90 d | 30 s | confidential or sender-constrained clients: no rotation |
/// | [`background_agent`](Self::background_agent) | 5 to 10 min | 30 d | 90 d | 30 s | agents that work without their user |
///
/// # How a thief is found
///
/// A thief who holds a copy of the current refresh token goes undetected only while thief and victim refresh within one leeway
/// *L* of each other. The victim refreshes when its access token expires, and that moment is random: each access token's life
/// is shortened by up to a span *J*. A thief who knows everything but the random number survives one rotation with probability
/// 2*L*/*J*, and *n* rotations with (2*L*/*J*)<sup>n</sup>. The span is at least six times the leeway and the tolerance for
/// clocks ([`CLOCK_TOLERANCE`]) together, for every token that can be issued: where a short life leaves no room for that span,
/// the leeway shrinks with it. So the median theft is found at the first rotation, and 99 % within six.
///
/// ```
/// use std::time::Duration;
/// use mcp_token_lifecycle::RotationPolicy;
///
/// let policy = RotationPolicy::builder()
///     .access_lifetime(Duration::from_secs(15 * 60))
///     .reuse_leeway(Duration::from_secs(10))
///     .build()?;
/// # Ok::<(), mcp_token_lifecycle::PolicyError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RotationPolicy {
    pub(crate) rotation: Rotation,
    pub(crate) reuse_leeway: Duration,
    pub(crate) retry_limit: Option<u32>,
    pub(crate) lost_response_window: Option<Duration>,
    pub(crate) code_retry_window: Duration,
    pub(crate) on_reuse: OnReuse,
    pub(crate) on_ahead: OnAhead,
    pub(crate) on_superseded: OnSuperseded,
    pub(crate) lifetimes: Lifetimes,
    pub(crate) min_access: Duration,
    pub(crate) jitter_percent: u8,
}

impl Default for RotationPolicy {
    /// [`RotationPolicy::standard`].
    fn default() -> Self {
        Self::standard()
    }
}

/// The longest leeway that a jitter of `span` outweighs. In whole seconds a thief meets the victim in 2L − 1 of the span's
/// J + 1, which must be a third at most.
pub(super) fn most_leeway(span: Duration) -> Duration {
    Duration::from_secs((span.as_secs() + 4) / u64::from(JITTER_PER_LEEWAY))
}

/// How long a spent token is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Leeway {
    /// By the issuer that answered it when it was spent.
    pub(crate) own: Duration,
    /// By any other issuer, whose clock may differ.
    pub(crate) across_issuers: Duration,
}

impl RotationPolicy {
    /// The longest access lifetime that any policy may have.
    pub const LONGEST_ACCESS: Duration = DAY;

    /// Rotation with a leeway of 30 seconds for lost responses and parallel refreshes.
    pub const fn standard() -> Self {
        Self {
            rotation: Rotation::Always,
            reuse_leeway: Duration::from_secs(30),
            retry_limit: None,
            lost_response_window: None,
            code_retry_window: Duration::ZERO,
            on_reuse: OnReuse::RevokeFamily,
            on_ahead: OnAhead::Reject,
            on_superseded: OnSuperseded::Accept,
            lifetimes: Lifetimes { access: minutes(30), idle: days(14), absolute: days(90), code: MINUTE },
            min_access: Duration::from_secs(5),
            jitter_percent: 5,
        }
    }

    /// Strict single use: no leeway, shorter lifetimes. A client that loses one response loses its session.
    pub const fn strict() -> Self {
        let lifetimes = Lifetimes { access: minutes(15), idle: days(7), absolute: days(30), code: MINUTE };
        Self { reuse_leeway: Duration::ZERO, lifetimes, ..Self::standard() }
    }

    /// For several processes that share one credential file: two minutes of leeway.
    pub const fn shared_credential() -> Self {
        Self { reuse_leeway: minutes(2), ..Self::standard() }
    }

    /// No rotation for confidential clients and sender-constrained families.
    pub const fn reusable() -> Self {
        Self { rotation: Rotation::UnlessConstrained, ..Self::standard() }
    }

    /// Access tokens of ten minutes at most, for agents that work without their user.
    pub const fn background_agent() -> Self {
        let lifetimes = Lifetimes { access: minutes(10), idle: days(30), ..Self::standard().lifetimes };
        Self { lifetimes, ..Self::standard() }
    }

    /// The lifetimes, before any [`ScopeLimit`].
    pub const fn lifetimes(&self) -> Lifetimes {
        self.lifetimes
    }

    /// How long a spent token is still answered with the current one, at most: [`PolicySet::reuse_leeway`] has what is left of
    /// it where a [`ScopeLimit`] shortens the access tokens.
    pub const fn reuse_leeway(&self) -> Duration {
        self.reuse_leeway
    }

    pub(crate) fn rotates(&self, client: &Client, binding: Option<&Binding>) -> bool {
        match self.rotation {
            Rotation::Always => true,
            Rotation::UnlessConstrained => {
                client.kind() == ClientKind::Public && !binding.is_some_and(Binding::is_sender_constraint)
            }
        }
    }

    /// By how much at most an access token that may live for `lifetime` is shortened at random; see [how a thief is
    /// found](Self#how-a-thief-is-found). It never falls when the lifetime grows.
    pub fn jitter_span(&self, lifetime: Duration) -> Duration {
        let tolerance = if self.reuse_leeway.is_zero() { Duration::ZERO } else { CLOCK_TOLERANCE };
        let percent = lifetime.saturating_mul(self.jitter_percent.into()) / 100;
        percent.max(JITTER_PER_LEEWAY * (self.reuse_leeway + tolerance)).min(lifetime / 2)
    }

    /// The leeway of a spent refresh token whose access tokens lived for at least `lifetime` but for the jitter, and the
    /// tolerance for clocks on top of it if another issuer spent it: both together at most a sixth of the jitter's span.
    pub(crate) fn leeway(&self, lifetime: Duration) -> Leeway {
        let room = most_leeway(self.jitter_span(lifetime));
        let own = self.reuse_leeway.min(room);
        let tolerance = if own.is_zero() { own } else { CLOCK_TOLERANCE.min(room - own) };
        Leeway { own, across_issuers: own + tolerance }
    }
}
