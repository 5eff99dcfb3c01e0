//! The builder of a rotation policy, which checks every bound.

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
    /// Whether the caller set the leeway. A leeway from a preset is reduced to the bound; one that the caller set is
    /// refused if it exceeds the bound.
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
    /// Sets the longest lifetime of an access token: 1 second to 24 hours, at most the idle lifetime. The default is 30
    /// minutes.
    access_lifetime(lifetime: Duration) => lifetimes.access;
    /// Sets how long a refresh token stays valid without use: at most the absolute lifetime. The default is 14 days.
    idle_lifetime(lifetime: Duration) => lifetimes.idle;
    /// Sets the lifetime of the whole family, which is never extended. The default is 90 days.
    absolute_lifetime(lifetime: Duration) => lifetimes.absolute;
    /// Sets the lifetime of an authorization code: 1 second to 10 minutes (OAuth 2.1 §4.1.2). The default is 1 minute.
    code_lifetime(lifetime: Duration) => lifetimes.code;
    /// Sets how much of the family's lifetime must be left for an access token to be issued: 1 second to the access
    /// lifetime. The default is 5 seconds.
    min_access_lifetime(lifetime: Duration) => min_access;
    /// Sets by how many percent, at least, the lifetime of an access token may be shortened at random: 0 to 50. The
    /// default is 5.
    ///
    /// The span is wider where the leeway requires it: see [how a thief is
    /// detected](RotationPolicy#how-a-thief-is-detected).
    jitter_percent(percent: u8) => jitter_percent;
    /// Sets whether refresh tokens rotate. The default is [`Rotation::Always`].
    rotation(rotation: Rotation) => rotation;
    /// Sets how often spent tokens may be answered with the current one within one generation: at least 1.
    ///
    /// The default, `None`, does not count retries, so a retry costs no write.
    retry_limit(limit: Option<u32>) => retry_limit;
    /// Sets for how long after a rotation the spent token is still answered with its successor, as long as nothing
    /// shows that the client received the successor. It must be at least the reuse leeway and at most the idle
    /// lifetime. The default, `None`, is no such window.
    ///
    /// A live check or an introspection of the successor's access token shows that the client received it; the first
    /// one costs one write in each generation. An offline check shows nothing, so it refuses the access tokens of such
    /// a policy ([`VerifyError::LiveCheckRequired`](crate::VerifyError::LiveCheckRequired)).
    lost_response_window(window: Option<Duration>) => lost_response_window;
    /// Sets for how long after its redemption an authorization code is answered again: at most the code lifetime, and
    /// never beyond the end of that code.
    ///
    /// The default is zero: a code can be used once, and presenting it again revokes the tokens that it led to (OAuth
    /// 2.1 §4.1.3).
    code_retry_window(window: Duration) => code_retry_window;
    /// Sets what reuse of a spent token leads to. The default is [`OnReuse::RevokeFamily`].
    on_reuse(act: OnReuse) => on_reuse;
    /// Sets what happens to a token that is ahead of the store. The default is [`OnAhead::Reject`].
    on_ahead(act: OnAhead) => on_ahead;
    /// Sets how a live check treats access tokens whose refresh token is spent. The default is
    /// [`OnSuperseded::Accept`].
    on_superseded(act: OnSuperseded) => on_superseded;
}

impl RotationPolicyBuilder {
    /// Sets for how long a spent refresh token is still answered with the current one.
    ///
    /// The time counts from when that token was spent and is never extended. It is at most about a twelfth of the
    /// access lifetime, because the jitter must outweigh it: see [how a thief is
    /// detected](RotationPolicy#how-a-thief-is-detected). Zero means strict single use. The default is the leeway of
    /// the preset (30 seconds), or a twelfth of the access lifetime if that is less.
    ///
    /// In the last access lifetime of a family the leeway shrinks to a twelfth of the time that is left, because the
    /// access tokens end with the family.
    pub const fn reuse_leeway(mut self, leeway: Duration) -> Self {
        self.policy.reuse_leeway = leeway;
        self.leeway_is_chosen = true;
        self
    }

    /// Checks the settings and returns the policy.
    ///
    /// # Errors
    ///
    /// [`PolicyError`] if a setting is out of its bounds; it names the setting, its value and the bound.
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
    /// Returns a builder that begins with [`RotationPolicy::standard`].
    pub const fn builder() -> RotationPolicyBuilder {
        Self::standard().to_builder()
    }

    /// Returns a builder that begins with this policy.
    pub const fn to_builder(self) -> RotationPolicyBuilder {
        RotationPolicyBuilder { policy: self, leeway_is_chosen: false }
    }
}
