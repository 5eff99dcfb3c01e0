//! When the vault refreshes a credential, how long a lease waits, and how failures are spaced.

use std::time::Duration;

use super::credential::TokenSet;
use crate::time::Timestamp;

const fn minutes(count: u64) -> Duration {
    Duration::from_secs(count * 60)
}

const DAY: Duration = minutes(24 * 60);

/// The age of an access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Age {
    /// The token is good and needs no refresh.
    Fresh,
    /// The token is good, and is due for a refresh.
    Due,
    /// The token has expired, or would expire before the service sees it.
    Over,
}

/// How the vault refreshes, waits and retries. The builder checks the settings once. The default is
/// [`RefreshPolicy::standard`].
///
/// ```
/// use mcp_token_lifecycle::vault::RefreshPolicy;
///
/// let policy = RefreshPolicy::builder().refresh_at_percent(70).build()?;
/// # Ok::<(), mcp_token_lifecycle::vault::RefreshPolicyError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefreshPolicy {
    pub(crate) refresh_at_percent: u8,
    pub(crate) jitter_percent: u8,
    pub(crate) margin: Duration,
    pub(crate) claim: Duration,
    pub(crate) clock_skew: Duration,
    pub(crate) patience: Duration,
    pub(crate) first_pause: Duration,
    pub(crate) longest_pause: Duration,
    pub(crate) refusal_limit: Duration,
    pub(crate) data_key_lifetime: Duration,
    pub(crate) retention: Duration,
}

impl Default for RefreshPolicy {
    fn default() -> Self {
        Self::standard()
    }
}

impl RefreshPolicy {
    /// The shortest lifetime that the vault assumes for an access token: 10 seconds. With a shorter one each lease
    /// would refresh the token. A service that no longer accepts the token refuses it in any case.
    pub const MIN_LIFETIME: Duration = Duration::from_secs(10);

    /// The longest lifetime that the vault accepts from a service: ten years. A longer one is cut.
    pub const MAX_LIFETIME: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

    /// The longest pause before the vault asks a service again, even if the service asks for a longer one.
    pub(crate) const MAX_PAUSE: Duration = DAY;

    const MAX_CLAIM: Duration = minutes(60);

    /// The standard policy: refresh at 80 percent of the lifetime, less up to 5 percent at random. The setters of
    /// [`RefreshPolicyBuilder`] list the other defaults.
    pub const fn standard() -> Self {
        Self {
            refresh_at_percent: 80,
            jitter_percent: 5,
            margin: Duration::from_secs(5),
            claim: Duration::from_secs(30),
            clock_skew: minutes(1),
            patience: Duration::from_secs(15),
            first_pause: Duration::from_secs(1),
            longest_pause: minutes(5),
            refusal_limit: minutes(12 * 60),
            data_key_lifetime: minutes(5),
            retention: Duration::from_secs(90 * DAY.as_secs()),
        }
    }

    /// Creates a builder with the settings of [`RefreshPolicy::standard`].
    pub const fn builder() -> RefreshPolicyBuilder {
        RefreshPolicyBuilder(Self::standard())
    }

    /// Cuts a lifetime that a service gave to the range from [`MIN_LIFETIME`](Self::MIN_LIFETIME) to
    /// [`MAX_LIFETIME`](Self::MAX_LIFETIME).
    pub(crate) fn sane(lifetime: Duration) -> Duration {
        lifetime.clamp(Self::MIN_LIFETIME, Self::MAX_LIFETIME)
    }

    /// Whether a pause from `from` to `until` is in force at `now`.
    pub(crate) fn holds_off(&self, from: Timestamp, until: Timestamp, now: Timestamp) -> bool {
        self.has_begun(from, now) && now < until
    }

    /// Whether a claim from `from` to `until` keeps this process from refreshing at `now`.
    ///
    /// The holder of a claim sends its request before `until` or not at all. Other processes treat the claim as held
    /// for longer: by `clock_skew`, and by the time for which the store was `away`.
    pub(crate) fn is_claimed(&self, from: Timestamp, until: Timestamp, away: Duration, now: Timestamp) -> bool {
        self.has_begun(from, now) && now < until.saturating_add(self.clock_skew).saturating_add(away)
    }

    /// Whether `from` is at most `clock_skew` ahead of `now`. A process with a wrong clock wrote a later one, or the
    /// clock was set back since.
    pub(crate) fn has_begun(&self, from: Timestamp, now: Timestamp) -> bool {
        from.since(now) <= self.clock_skew
    }

    /// Whether a service has refused for at least `refusal_limit`, with codes that are not known.
    pub(crate) fn gives_up(&self, refused_since: Option<Timestamp>, now: Timestamp) -> bool {
        refused_since.is_some_and(|since| now.since(since) >= self.refusal_limit)
    }

    /// The age at `now` of `tokens` that were obtained at `obtained_at`. The margin is at most a tenth of the lifetime;
    /// otherwise a token with a short lifetime would never be good.
    pub(crate) fn age(&self, tokens: &TokenSet, obtained_at: Timestamp, jitter: u8, now: Timestamp) -> Age {
        let Some(expires_at) = tokens.expires_at else { return Age::Fresh };
        let margin = self.margin.min(expires_at.since(obtained_at) / 10);
        if now >= earlier(expires_at, margin.as_secs()) {
            Age::Over
        } else if now >= self.refresh_at(obtained_at, expires_at, jitter) {
            Age::Due
        } else {
            Age::Fresh
        }
    }

    /// When to refresh: at the policy's share of the lifetime, less a jitter. The jitter is the same for each process
    /// that asks about this token.
    fn refresh_at(&self, obtained_at: Timestamp, expires_at: Timestamp, jitter: u8) -> Timestamp {
        let lifetime = u128::from(expires_at.since(obtained_at).as_secs());
        let jitter = u128::from(self.jitter_percent) * u128::from(jitter);
        let share = u128::from(self.refresh_at_percent) * 256 - jitter;
        let left = lifetime - lifetime * share / (100 * 256);
        earlier(expires_at, u64::try_from(left).unwrap_or(u64::MAX))
    }

    /// How long to pause after `failures` failures in a row. The pause doubles each time up to `longest_pause`. It is
    /// longer if the service asks for more, up to [`MAX_PAUSE`](Self::MAX_PAUSE). `random` takes off up to a quarter,
    /// so that two servers do not retry at the same moment.
    pub(crate) fn pause(&self, failures: u32, retry_after: Option<Duration>, random: u8) -> Duration {
        let doubled = self.first_pause.saturating_mul(1 << failures.saturating_sub(1).min(30));
        let pause = doubled.min(self.longest_pause);
        let pause = pause - pause * u32::from(random) / (4 * 256);
        let asked = retry_after.unwrap_or_default().min(Self::MAX_PAUSE);
        // Rounded up, because the clock counts whole seconds.
        Duration::from_secs(pause.max(asked).as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX))
    }
}

fn earlier(at: Timestamp, seconds: u64) -> Timestamp {
    Timestamp::from_unix(at.as_unix().saturating_sub(seconds))
}

/// Builds a [`RefreshPolicy`].
#[derive(Clone, Copy, Debug)]
#[must_use = "a builder does nothing until it is built"]
pub struct RefreshPolicyBuilder(RefreshPolicy);

macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident: $type:ty;)+) => {
        impl RefreshPolicyBuilder {
            $(
                $(#[$doc])*
                pub const fn $name(mut self, $name: $type) -> Self {
                    self.0.$name = $name;
                    self
                }
            )+
        }
    };
}

setters! {
    /// Sets when a token is refreshed, as a percentage of its lifetime from 1 to 99. The default is 80.
    refresh_at_percent: u8;
    /// Sets by how many percent of the lifetime the refresh may come earlier, at random. It must be below
    /// `refresh_at_percent`. The default is 5.
    jitter_percent: u8;
    /// Sets how long a leased token is good for at least: at most 1 hour, and never more than a tenth of its lifetime.
    /// The default is 5 seconds.
    margin: Duration;
    /// Sets for how long a process that refreshes keeps the others from refreshing: from 1 second to 1 hour. The
    /// default is 30 seconds.
    ///
    /// The vault ends a request to the provider at the end of its claim. So it must be longer than the time limits of a
    /// write to the store, a read of the store and the time that the service takes together. If it is shorter, two
    /// processes may present one refresh token, and a service that rotates takes the second request for a theft.
    claim: Duration;
    /// Sets by how much the clocks of two processes on one store may differ: at most 1 hour. The default is 1 minute.
    ///
    /// A claim whose holder crashed keeps other processes from refreshing for this much longer. A claim that begins
    /// further ahead than this comes from a wrong clock: it is respected for its length, counted from when it is found.
    /// A pause that begins further ahead is ignored.
    clock_skew: Duration;
    /// Sets how long a lease waits for a refresh, its own or that of another caller: at most 1 minute. The default is
    /// 15 seconds.
    patience: Duration;
    /// Sets the pause after the first failure of a service: at least 1 second and at most `longest_pause`. The default
    /// is 1 second.
    first_pause: Duration;
    /// Sets the longest pause; the pause doubles with each failure up to it. It is at most 1 day. The default is 5
    /// minutes.
    longest_pause: Duration;
    /// Sets for how long a service may refuse refreshes with an unknown error code before the user is asked to
    /// authorize again: from 1 minute to 1 day. The default is 12 hours.
    ///
    /// The vault continues to ask the service after each pause. A refresh that succeeds makes the credential active
    /// again.
    refusal_limit: Duration;
    /// Sets for how long an unwrapped data key stays in memory; zero keeps none. The default is 5 minutes.
    ///
    /// Leases keep working for up to this long after the key service becomes unreachable, for credentials whose key is
    /// in memory.
    data_key_lifetime: Duration;
    /// Sets for how long a revocation is retried if the expiry of the credential is unknown: at least 1 hour. The
    /// default is 90 days.
    retention: Duration;
}

impl RefreshPolicyBuilder {
    /// Checks the settings and returns the policy.
    ///
    /// # Errors
    ///
    /// [`RefreshPolicyError`] names the first setting that is out of range.
    pub fn build(self) -> Result<RefreshPolicy, RefreshPolicyError> {
        use RefreshPolicyError::{
            Claim, ClockSkew, FirstPause, Jitter, LongestPause, Margin, Patience, RefreshAt, RefusalLimit, Retention,
        };
        let policy = self.0;
        let second = Duration::from_secs(1);
        let broken = [
            (!(1..=99).contains(&policy.refresh_at_percent)).then_some(RefreshAt(policy.refresh_at_percent)),
            (policy.jitter_percent >= policy.refresh_at_percent)
                .then_some(Jitter { got: policy.jitter_percent, refresh_at_percent: policy.refresh_at_percent }),
            (policy.margin > minutes(60)).then_some(Margin(policy.margin)),
            (policy.claim < second || policy.claim > RefreshPolicy::MAX_CLAIM).then_some(Claim(policy.claim)),
            (policy.clock_skew > minutes(60)).then_some(ClockSkew(policy.clock_skew)),
            (policy.patience > minutes(1)).then_some(Patience(policy.patience)),
            (policy.longest_pause > DAY).then_some(LongestPause(policy.longest_pause)),
            (policy.first_pause < second || policy.first_pause > policy.longest_pause)
                .then_some(FirstPause { got: policy.first_pause, longest_pause: policy.longest_pause }),
            (policy.refusal_limit < minutes(1) || policy.refusal_limit > DAY)
                .then_some(RefusalLimit(policy.refusal_limit)),
            (policy.retention < minutes(60)).then_some(Retention(policy.retention)),
        ];
        broken.into_iter().flatten().next().map_or(Ok(policy), Err)
    }
}

/// Why the settings of a [`RefreshPolicy`] were refused. The text names the setting, its bound and the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RefreshPolicyError {
    /// `refresh_at_percent` is not between 1 and 99.
    #[error("refresh_at_percent must be between 1 and 99, got {0}")]
    RefreshAt(u8),
    /// `jitter_percent` is not below `refresh_at_percent`.
    #[error("jitter_percent must be below refresh_at_percent ({refresh_at_percent}), got {got}")]
    #[non_exhaustive]
    Jitter {
        /// The value of `jitter_percent`.
        got: u8,
        /// The value of `refresh_at_percent`, which is the bound.
        refresh_at_percent: u8,
    },
    /// `margin` is longer than 1 hour, which is more than most tokens live.
    #[error("margin must be at most 1 hour, got {0:?}")]
    Margin(Duration),
    /// `claim` is shorter than 1 second, which is too short for a request, or longer than 1 hour, for which a crash
    /// would block all other processes.
    #[error("claim must be between 1 second and 1 hour, got {0:?}")]
    Claim(Duration),
    /// `clock_skew` is longer than 1 hour: a clock that differs by more has to be corrected.
    #[error("clock_skew must be at most 1 hour, got {0:?}")]
    ClockSkew(Duration),
    /// `patience` is longer than 1 minute, which is longer than a client waits.
    #[error("patience must be at most 1 minute, got {0:?}")]
    Patience(Duration),
    /// `first_pause` is shorter than 1 second or longer than `longest_pause`.
    #[error("first_pause must be between 1 second and longest_pause ({longest_pause:?}), got {got:?}")]
    #[non_exhaustive]
    FirstPause {
        /// The value of `first_pause`.
        got: Duration,
        /// The value of `longest_pause`, which is the bound.
        longest_pause: Duration,
    },
    /// `longest_pause` is longer than 1 day.
    #[error("longest_pause must be at most 1 day, got {0:?}")]
    LongestPause(Duration),
    /// `refusal_limit` is shorter than 1 minute, so that a passing fault would end the login, or longer than 1 day, so
    /// that the user would learn of it too late.
    #[error("refusal_limit must be between 1 minute and 1 day, got {0:?}")]
    RefusalLimit(Duration),
    /// `retention` is shorter than 1 hour: a revocation would be given up while the service is down.
    #[error("retention must be at least 1 hour, got {0:?}")]
    Retention(Duration),
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn policy_out_of_range_names_setting_bound_and_value() {
        let builder = RefreshPolicy::builder;
        let cases = [
            (builder().refresh_at_percent(0), "refresh_at_percent must be between 1 and 99, got 0"),
            (builder().refresh_at_percent(100), "refresh_at_percent must be between 1 and 99, got 100"),
            (builder().jitter_percent(81), "jitter_percent must be below refresh_at_percent (80), got 81"),
            (builder().margin(seconds(3_601)), "margin must be at most 1 hour, got 3601s"),
            (builder().claim(Duration::from_millis(999)), "claim must be between 1 second and 1 hour, got 999ms"),
            (builder().claim(seconds(3_601)), "claim must be between 1 second and 1 hour, got 3601s"),
            (builder().clock_skew(seconds(3_601)), "clock_skew must be at most 1 hour, got 3601s"),
            (builder().patience(seconds(61)), "patience must be at most 1 minute, got 61s"),
            (
                builder().first_pause(Duration::from_millis(999)),
                "first_pause must be between 1 second and longest_pause (300s), got 999ms",
            ),
            (
                builder().first_pause(seconds(301)),
                "first_pause must be between 1 second and longest_pause (300s), got 301s",
            ),
            (builder().longest_pause(seconds(86_401)), "longest_pause must be at most 1 day, got 86401s"),
            (builder().refusal_limit(seconds(59)), "refusal_limit must be between 1 minute and 1 day, got 59s"),
            (builder().refusal_limit(seconds(86_401)), "refusal_limit must be between 1 minute and 1 day, got 86401s"),
            (builder().retention(seconds(3_599)), "retention must be at least 1 hour, got 3599s"),
        ];
        for (builder, message) in cases {
            assert_eq!(builder.build().map_err(|error| error.to_string()), Err(message.to_owned()));
        }
        assert_eq!(builder().build(), Ok(RefreshPolicy::default()));
        let extreme = builder().refresh_at_percent(99).jitter_percent(98).margin(Duration::ZERO).patience(seconds(60));
        let extreme = extreme.clock_skew(Duration::ZERO).refusal_limit(seconds(60));
        assert!(extreme.claim(seconds(1)).first_pause(seconds(1)).longest_pause(seconds(1)).build().is_ok());
    }

    #[test]
    fn the_jitter_brings_a_refresh_forward_by_so_much_at_most_and_differs_between_tokens() {
        let (policy, [obtained, expires]) = (RefreshPolicy::standard(), [10_000, 11_000].map(Timestamp::from_unix));
        let refreshed = |jitter| policy.refresh_at(obtained, expires, jitter).as_unix();
        assert_eq!((refreshed(0), refreshed(255)), (10_800, 10_750));
        assert!((0..255).all(|jitter| refreshed(jitter) >= refreshed(jitter + 1)));
    }

    #[test]
    fn a_pause_doubles_up_to_the_longest_and_the_service_may_ask_for_more() {
        let policy = RefreshPolicy::standard();
        let pauses = [1, 2, 3, 9, 10, u32::MAX].map(|failures| policy.pause(failures, None, 0).as_secs());
        assert_eq!(pauses, [1, 2, 4, 256, 300, 300]);
        assert_eq!(policy.pause(10, None, 255), seconds(226), "a quarter less, rounded up");
        assert_eq!(policy.pause(10, Some(seconds(299)), 0), seconds(300));
        assert_eq!(policy.pause(10, Some(seconds(301)), 0), seconds(301));
        assert_eq!(policy.pause(1, Some(Duration::MAX), 0), RefreshPolicy::MAX_PAUSE);
    }
}
