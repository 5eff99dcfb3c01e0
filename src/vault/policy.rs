//! When a credential is refreshed, for how long somebody waits, and how failures are spaced.

use std::time::Duration;

use super::credential::TokenSet;
use crate::time::Timestamp;

const fn minutes(count: u64) -> Duration {
    Duration::from_secs(count * 60)
}

const DAY: Duration = minutes(24 * 60);

/// How old a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Age {
    Fresh,
    /// It is good, and to be refreshed ahead.
    Due,
    /// It has expired, or would on the way.
    Over,
}

/// How the vault refreshes, waits and retries; checked once, when it is built. The default is [`RefreshPolicy::standard`].
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
    /// A token is taken to live for ten seconds at least. One of less, or of zero, would be refreshed by every single lease; the
    /// service says itself if it honours it no more.
    pub const MIN_LIFETIME: Duration = Duration::from_secs(10);

    /// A lifetime that a service gives is believed up to ten years.
    pub const MAX_LIFETIME: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

    /// No service is left alone for longer than this, whatever it asks.
    pub(crate) const MAX_PAUSE: Duration = DAY;

    const MAX_CLAIM: Duration = minutes(60);

    /// Refresh at 80 percent of the lifetime, less up to 5 percent at random.
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

    /// A builder that begins with [`RefreshPolicy::standard`].
    pub const fn builder() -> RefreshPolicyBuilder {
        RefreshPolicyBuilder(Self::standard())
    }

    /// What is made of a lifetime that the service gives: from [`MIN_LIFETIME`](Self::MIN_LIFETIME) to
    /// [`MAX_LIFETIME`](Self::MAX_LIFETIME).
    pub(crate) fn sane(lifetime: Duration) -> Duration {
        lifetime.clamp(Self::MIN_LIFETIME, Self::MAX_LIFETIME)
    }

    /// Whether a service is still to be left alone at `now`, by a pause that was set at `from` and ends at `until`.
    pub(crate) fn holds_off(&self, from: Timestamp, until: Timestamp, now: Timestamp) -> bool {
        self.has_begun(from, now) && now < until
    }

    /// Whether a claim from `from` up to `until` keeps this process from refreshing at `now`. Its holder asks the service before
    /// `until` or never; here it holds for longer, by what the clocks may differ by and by the time for which the store was `away`.
    pub(crate) fn is_claimed(&self, from: Timestamp, until: Timestamp, away: Duration, now: Timestamp) -> bool {
        self.has_begun(from, now) && now < until.saturating_add(self.clock_skew).saturating_add(away)
    }

    /// Whether `from` is not further ahead than the clocks may differ by. A later one was written when a clock was wrong, and
    /// does not count.
    fn has_begun(&self, from: Timestamp, now: Timestamp) -> bool {
        from.since(now) <= self.clock_skew
    }

    /// Whether a service that has refused since `refused_since`, for no known reason, will not do anything else.
    pub(crate) fn gives_up(&self, refused_since: Option<Timestamp>, now: Timestamp) -> bool {
        refused_since.is_some_and(|since| now.since(since) >= self.refusal_limit)
    }

    /// The age at `now` of `tokens` that were obtained at `obtained_at`. The margin is a tenth of the lifetime at most, or a short
    /// one would never be good.
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

    /// The share of the lifetime that the policy says, less a jitter that is the same for everybody who asks about this token.
    fn refresh_at(&self, obtained_at: Timestamp, expires_at: Timestamp, jitter: u8) -> Timestamp {
        let lifetime = u128::from(expires_at.since(obtained_at).as_secs());
        let jitter = u128::from(self.jitter_percent) * u128::from(jitter);
        let share = u128::from(self.refresh_at_percent) * 256 - jitter;
        let left = lifetime - lifetime * share / (100 * 256);
        earlier(expires_at, u64::try_from(left).unwrap_or(u64::MAX))
    }

    /// How long to leave the service alone after so many failures in a row: doubled each time, up to the longest pause, and
    /// longer if it asks for more, up to [`MAX_PAUSE`](Self::MAX_PAUSE). `random` takes up to a quarter off, so that two servers
    /// do not come back together.
    pub(crate) fn pause(&self, failures: u32, retry_after: Option<Duration>, random: u8) -> Duration {
        let doubled = self.first_pause.saturating_mul(1 << failures.saturating_sub(1).min(30));
        let pause = doubled.min(self.longest_pause);
        let pause = pause - pause * u32::from(random) / (4 * 256);
        let asked = retry_after.unwrap_or_default().min(Self::MAX_PAUSE);
        // Rounded up: a clock of whole seconds would see none of a fraction.
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
    /// At how many percent of its lifetime a token is refreshed, from 1 to 99. The default is 80.
    refresh_at_percent: u8;
    /// How many percent of the lifetime sooner at most, at random. The default is 5.
    jitter_percent: u8;
    /// How long a leased token is good for at least, or a tenth of its lifetime if that is less. The default is 5 seconds.
    margin: Duration;
    /// How long whoever refreshes keeps others from it. The default is 30 seconds.
    ///
    /// It must be longer than a write to the store, a read of it and a request to the provider may take together, by their time
    /// limits. If it is shorter, two processes may ask with one refresh token, and a service that rotates takes the second request
    /// for a theft.
    claim: Duration;
    /// What the clocks of two processes on one store may differ by; one hour at most. The default is one minute.
    ///
    /// A claim whose holder does not come back keeps others from refreshing for so much longer. A claim or a pause that begins
    /// further ahead was written by a clock that is wrong, and is passed over.
    clock_skew: Duration;
    /// How long a lease waits in all for a refresh, its own or somebody else's; one minute at most. The default is 15 seconds.
    patience: Duration;
    /// The pause after a first failure of a service. The default is one second.
    first_pause: Duration;
    /// What the pause grows to, doubled with every failure. The default is 5 minutes.
    longest_pause: Duration;
    /// For how long a service may refuse a refresh for a reason that is not known, such as an error code of its own, until the user
    /// is asked to authorize again; from one minute to one day. The default is 12 hours.
    ///
    /// The service is still asked after every pause, and a refresh that succeeds undoes it.
    refusal_limit: Duration;
    /// How long an unwrapped data key is kept in memory; zero keeps none. The default is 5 minutes.
    data_key_lifetime: Duration;
    /// How long a revocation is retried for a credential whose expiry is unknown. The default is 90 days.
    retention: Duration;
}

impl RefreshPolicyBuilder {
    /// The policy.
    ///
    /// # Errors
    ///
    /// [`RefreshPolicyError`] names the setting that is out of range.
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

/// Why a refresh policy was refused: the setting, its bound, and the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RefreshPolicyError {
    /// Before the beginning or after the end.
    #[error("refresh_at_percent must be between 1 and 99, got {0}")]
    RefreshAt(u8),
    /// Nothing would be left of the lifetime.
    #[error("jitter_percent must be below refresh_at_percent ({refresh_at_percent}), got {got}")]
    #[non_exhaustive]
    Jitter {
        /// The jitter.
        got: u8,
        /// What it is taken from.
        refresh_at_percent: u8,
    },
    /// More than most tokens live.
    #[error("margin must be at most 1 hour, got {0:?}")]
    Margin(Duration),
    /// Too short for any request, or so long that a crash blocks every other process.
    #[error("claim must be between 1 second and 1 hour, got {0:?}")]
    Claim(Duration),
    /// No allowance but a clock that is wrong.
    #[error("clock_skew must be at most 1 hour, got {0:?}")]
    ClockSkew(Duration),
    /// Longer than any client waits.
    #[error("patience must be at most 1 minute, got {0:?}")]
    Patience(Duration),
    /// No pause, or one that is longer than the longest.
    #[error("first_pause must be between 1 second and longest_pause ({longest_pause:?}), got {got:?}")]
    #[non_exhaustive]
    FirstPause {
        /// The first pause.
        got: Duration,
        /// The longest.
        longest_pause: Duration,
    },
    /// The service would be given up rather than left alone.
    #[error("longest_pause must be at most 1 day, got {0:?}")]
    LongestPause(Duration),
    /// Too short for a fault that passes, or so long that the user hears of it too late.
    #[error("refusal_limit must be between 1 minute and 1 day, got {0:?}")]
    RefusalLimit(Duration),
    /// A service that is down for a while would never hear of the revocation.
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
