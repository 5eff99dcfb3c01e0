//! The builder, which checks a policy once.

use super::choices::{OnAhead, OnReuse, OnSuperseded, Rotation};
use super::error::PolicyError;
use super::lifetimes::Lifetimes;
use super::rotation_policy::{RotationPolicy, most_leeway};
use std::time::Duration;

/// Builds a [`RotationPolicy`]. Durations count in whole seconds; fractions are cut off.
#[derive(Clone, Copy, Debug)]
#[must_use = "a builder does nothing until it is built"]
pub struct RotationPolicyBuilder {
    policy: RotationPolicy,
    /// A leeway that comes from a preset is cut to what fits; one that was asked for is refused if it does not fit.
    leeway_is_chosen: bool,
}

macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident($value:ident: $type:ty) => $($field:ident).+;)+) => {
        impl RotationPolicyBuilder {
            $(
                $(#[$doc])*
                pub const fn $name(mut self, $value: $type) -> Self {
                    self.policy.$($field).+ = $value;
                    self
                }
            )+
        }
    };
}

setters! {
    /// Longest lifetime of an access token. The default is 30 minutes.
    access_lifetime(lifetime: Duration) => lifetimes.access;
    /// Lifetime of a refresh token that is not used. The default is 14 days.
    idle_lifetime(lifetime: Duration) => lifetimes.idle;
    /// Lifetime of the whole family, never extended. The default is 90 days.
    absolute_lifetime(lifetime: Duration) => lifetimes.absolute;
    /// Lifetime of an authorization code, at most ten minutes (OAuth 2.1 §4.1.2). The default is one minute.
    code_lifetime(lifetime: Duration) => lifetimes.code;
    /// When less than this is left of the family, no access token is issued any more. The default is 5 seconds.
    min_access_lifetime(lifetime: Duration) => min_access;
    /// By how many percent, at least, an access token's life may be shortened at random; 50 at most, 5 by default. The span
    /// is wider where the leeway asks for it: see [how a thief is found](RotationPolicy#how-a-thief-is-found).
    jitter_percent(percent: u8) => jitter_percent;
    /// Whether refresh tokens rotate. The default is [`Rotation::Always`].
    rotation(rotation: Rotation) => rotation;
    /// How often, in one generation, spent tokens may be answered with the current one. The default, `None`, counts nothing,
    /// so that a retry costs no write.
    retry_limit(limit: Option<u32>) => retry_limit;
    /// How long after a rotation the spent token is still answered with its successor if nothing shows that the successor
    /// ever arrived. The default, `None`, is not to.
    ///
    /// A live check or an introspection of the successor's access token shows it; both cost one write per rotation then. An
    /// offline check shows nothing, so it refuses the access tokens of such a policy
    /// ([`VerifyError::LiveCheckRequired`](crate::VerifyError::LiveCheckRequired)).
    lost_response_window(window: Option<Duration>) => lost_response_window;
    /// How long after its redemption an authorization code is answered again, never beyond its own lifetime. The default is
    /// zero: a code is used once, and presenting it again revokes what it led to (OAuth 2.1 §4.1.3).
    code_retry_window(window: Duration) => code_retry_window;
    /// What reuse leads to. The default is [`OnReuse::RevokeFamily`].
    on_reuse(act: OnReuse) => on_reuse;
    /// What becomes of a token ahead of the store. The default is [`OnAhead::Reject`].
    on_ahead(act: OnAhead) => on_ahead;
    /// What a live check says of access tokens whose refresh token is spent. The default is [`OnSuperseded::Accept`].
    on_superseded(act: OnSuperseded) => on_superseded;
}

impl RotationPolicyBuilder {
    /// How long a spent refresh token is still answered with the current one, counted from when that token was spent and never
    /// extended: at most about a twelfth of the access lifetime, because the jitter must outweigh it
    /// ([how a thief is found](RotationPolicy#how-a-thief-is-found)). Zero means strict single use. By default it is that of
    /// the preset (30 seconds), or a twelfth of the access lifetime if that is less.
    ///
    /// In the last access lifetime of a family, whose tokens end with it, the leeway shrinks to a twelfth of what is left.
    pub const fn reuse_leeway(mut self, leeway: Duration) -> Self {
        self.policy.reuse_leeway = leeway;
        self.leeway_is_chosen = true;
        self
    }

    /// The policy.
    ///
    /// # Errors
    ///
    /// [`PolicyError`] names the setting, its value and its bound.
    pub fn build(self) -> Result<RotationPolicy, PolicyError> {
        let Lifetimes { access, idle, absolute, code } = self.policy.lifetimes;
        let most_leeway = most_leeway(access / 2);
        let reuse_leeway = match self.leeway_is_chosen {
            true => Duration::from_secs(self.policy.reuse_leeway.as_secs()),
            false => self.policy.reuse_leeway.min(most_leeway),
        };
        let policy = RotationPolicy { reuse_leeway, ..self.policy };
        for (setting, value) in [
            ("access_lifetime", access),
            ("idle_lifetime", idle),
            ("absolute_lifetime", absolute),
            ("code_lifetime", code),
            ("min_access_lifetime", policy.min_access),
        ] {
            at_least(setting, value, "at least", Duration::from_secs(1))?;
        }
        at_most("access_lifetime", access, "at most", RotationPolicy::LONGEST_ACCESS)?;
        at_most("access_lifetime", access, "at most idle_lifetime =", idle)?;
        at_most("idle_lifetime", idle, "at most absolute_lifetime =", absolute)?;
        at_most("code_lifetime", code, "at most", Duration::from_secs(600))?;
        at_most("min_access_lifetime", policy.min_access, "at most access_lifetime =", access)?;
        at_most("reuse_leeway", reuse_leeway, "at most about a twelfth of access_lifetime =", most_leeway)?;
        at_most("code_retry_window", policy.code_retry_window, "at most code_lifetime =", code)?;
        if let Some(window) = policy.lost_response_window {
            at_least("lost_response_window", window, "at least reuse_leeway =", reuse_leeway)?;
            at_most("lost_response_window", window, "at most idle_lifetime =", idle)?;
        }
        if policy.jitter_percent > 50 {
            let value = policy.jitter_percent.into();
            return Err(PolicyError::Number { setting: "jitter_percent", value, bound: "at most", limit: 50 });
        }
        if policy.retry_limit == Some(0) {
            return Err(PolicyError::Number { setting: "retry_limit", value: 0, bound: "at least", limit: 1 });
        }
        Ok(policy)
    }
}

fn at_least(setting: &'static str, value: Duration, bound: &'static str, limit: Duration) -> Result<(), PolicyError> {
    if value < limit { Err(PolicyError::Duration { setting, value, bound, limit }) } else { Ok(()) }
}

fn at_most(setting: &'static str, value: Duration, bound: &'static str, limit: Duration) -> Result<(), PolicyError> {
    if value > limit { Err(PolicyError::Duration { setting, value, bound, limit }) } else { Ok(()) }
}

impl RotationPolicy {
    /// A builder that begins with [`RotationPolicy::standard`].
    pub const fn builder() -> RotationPolicyBuilder {
        Self::standard().to_builder()
    }

    /// A builder that begins with this policy.
    pub const fn to_builder(self) -> RotationPolicyBuilder {
        RotationPolicyBuilder { policy: self, leeway_is_chosen: false }
    }
}
