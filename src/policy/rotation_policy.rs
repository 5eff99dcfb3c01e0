//! The rotation policy: how the tokens of a client rotate and how long they are valid.

use std::time::Duration;

use super::choices::{OnAhead, OnReuse, OnSuperseded, Rotation};
use super::lifetimes::Lifetimes;
use crate::grant::{Binding, Client, ClientKind};
use crate::time::CLOCK_TOLERANCE;

/// How many times the leeway and the tolerance for clocks together fit into the jitter span. A thief who aims at the
/// middle of the victim's window stays undetected through one rotation with probability 2L/J, which is at most a third.
const JITTER_PER_LEEWAY: u32 = 6;

const MINUTE: Duration = minutes(1);
const DAY: Duration = days(1);

const fn minutes(count: u64) -> Duration {
    Duration::from_secs(count * 60)
}

const fn days(count: u64) -> Duration {
    minutes(count * 24 * 60)
}

/// How the tokens of a client rotate and how long they are valid.
/// [`RotationPolicyBuilder::build`](crate::RotationPolicyBuilder::build) checks every bound.
///
/// | preset | access | idle | absolute | leeway | for |
/// |---|---|---|---|---|---|
/// | [`strict`](Self::strict) | 14 to 15 min | 7 d | 30 d | none | where losing a session is better than any doubt |
/// | [`standard`](Self::standard) | 25 to 30 min | 14 d | 90 d | 30 s | the default |
/// | [`shared_credential`](Self::shared_credential) | 16 to 30 min | 14 d | 90 d | 2 min | several processes with one credential file |
/// | [`reusable`](Self::reusable) | 25 to 30 min | 14 d | 90 d | 30 s | confidential or sender-constrained clients: no rotation |
/// | [`background_agent`](Self::background_agent) | 5 to 10 min | 30 d | 90 d | 30 s | agents that work without their user |
///
/// # How a thief is detected
///
/// A thief who holds a copy of the current refresh token stays undetected only while thief and victim refresh within
/// one leeway *L* of each other. The victim refreshes when its access token expires. That moment is random: the
/// lifetime of each access token is shortened by up to a span *J*. A thief who knows everything but the random number
/// stays undetected through one rotation with probability 2*L*/*J*, and through *n* rotations with probability
/// (2*L*/*J*)<sup>n</sup>.
///
/// For each token that can be issued, *J* is at least six times the sum of the leeway and the tolerance for clocks
/// ([`CLOCK_TOLERANCE`]). Where a short lifetime has no room for that span, the leeway shrinks with it. So the median
/// theft is detected at the first rotation, and 99 % within six.
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
    /// Returns [`RotationPolicy::standard`].
    fn default() -> Self {
        Self::standard()
    }
}

/// Returns the longest leeway that a jitter of `span` outweighs. In whole seconds a thief meets the victim in 2L − 1 of
/// the span's J + 1 values, which must be a third at most.
pub(super) fn most_leeway(span: Duration) -> Duration {
    Duration::from_secs((span.as_secs() + 4) / u64::from(JITTER_PER_LEEWAY))
}

/// For how long a spent token is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Leeway {
    /// For how long the issuer that spent the token answers it.
    pub(crate) own: Duration,
    /// For how long any other issuer answers it, whose clock may differ.
    pub(crate) across_issuers: Duration,
}

impl RotationPolicy {
    /// The longest access lifetime that a policy may have: 24 hours.
    pub const LONGEST_ACCESS: Duration = DAY;

    /// Returns the default policy: rotation with a leeway of 30 seconds for lost responses and parallel refreshes.
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

    /// Returns a policy of strict single use, without a leeway and with shorter lifetimes. A client that loses one
    /// response loses its session.
    pub const fn strict() -> Self {
        let lifetimes = Lifetimes { access: minutes(15), idle: days(7), absolute: days(30), code: MINUTE };
        Self { reuse_leeway: Duration::ZERO, lifetimes, ..Self::standard() }
    }

    /// Returns a policy for several processes that share one credential file, with a leeway of two minutes.
    pub const fn shared_credential() -> Self {
        Self { reuse_leeway: minutes(2), ..Self::standard() }
    }

    /// Returns a policy without rotation for confidential clients and sender-constrained families.
    pub const fn reusable() -> Self {
        Self { rotation: Rotation::UnlessConstrained, ..Self::standard() }
    }

    /// Returns a policy with access tokens of at most ten minutes, for agents that work without their user.
    pub const fn background_agent() -> Self {
        let lifetimes = Lifetimes { access: minutes(10), idle: days(30), ..Self::standard().lifetimes };
        Self { lifetimes, ..Self::standard() }
    }

    /// Returns the lifetimes of the policy, before any [`ScopeLimit`](crate::ScopeLimit).
    pub const fn lifetimes(&self) -> Lifetimes {
        self.lifetimes
    }

    /// Returns for how long a spent token is still answered with the current one, at most.
    ///
    /// Where a [`ScopeLimit`](crate::ScopeLimit) shortens the access tokens, the leeway is shorter: see
    /// [`PolicySet::reuse_leeway`](crate::PolicySet::reuse_leeway).
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

    /// Returns by how much, at most, an access token with this longest `lifetime` is shortened at random; see [how a
    /// thief is detected](Self#how-a-thief-is-detected).
    ///
    /// The span never falls when the lifetime grows.
    pub fn jitter_span(&self, lifetime: Duration) -> Duration {
        let tolerance = if self.reuse_leeway.is_zero() { Duration::ZERO } else { CLOCK_TOLERANCE };
        let percent = lifetime.saturating_mul(self.jitter_percent.into()) / 100;
        percent.max(JITTER_PER_LEEWAY * (self.reuse_leeway + tolerance)).min(lifetime / 2)
    }

    /// Returns the leeway of a spent refresh token whose access tokens had a lifetime of at least `lifetime` before the
    /// jitter. If another issuer spent the token, the tolerance for clocks is added. Both together are at most a sixth
    /// of the jitter span.
    pub(crate) fn leeway(&self, lifetime: Duration) -> Leeway {
        let room = most_leeway(self.jitter_span(lifetime));
        let own = self.reuse_leeway.min(room);
        let tolerance = if own.is_zero() { own } else { CLOCK_TOLERANCE.min(room - own) };
        Leeway { own, across_issuers: own + tolerance }
    }
}
