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
/// use mcp_token_lifecycle::upstream::RefreshPolicy;
///
/// let policy = RefreshPolicy::builder().refresh_at_percent(70).build()?;
/// # Ok::<(), mcp_token_lifecycle::upstream::RefreshPolicyError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefreshPolicy {
    pub(crate) refresh_at_percent: u8,
    pub(crate) jitter_percent: u8,
    pub(crate) margin: Duration,
    pub(crate) claim: Duration,
    pub(crate) patience: Duration,
    pub(crate) first_pause: Duration,
    pub(crate) longest_pause: Duration,
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
            patience: Duration::from_secs(15),
            first_pause: Duration::from_secs(1),
            longest_pause: minutes(5),
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

    /// Whether a service is still to be left alone at `now`, which was to be asked again at `retry_at`.
    pub(crate) fn holds_off(retry_at: Timestamp, now: Timestamp) -> bool {
        is_ahead(retry_at, now, Self::MAX_PAUSE)
    }

    /// Whether a claim up to `until` holds at `now`. Twice the longest leaves room for the clock of whoever made it.
    pub(crate) fn is_claimed(until: Timestamp, now: Timestamp) -> bool {
        is_ahead(until, now, 2 * Self::MAX_CLAIM)
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

/// Whether `at` is still to come at `now`. What is further ahead than the `most` that it was ever set to was written when a clock
/// was wrong, and keeps nobody waiting.
fn is_ahead(at: Timestamp, now: Timestamp, most: Duration) -> bool {
    now < at && at.since(now) <= most
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
    /// limits, plus what the clocks of two processes on one store may differ by. If it is shorter, two processes may ask with one
    /// refresh token, and a service that rotates takes the second request for a theft.
    claim: Duration;
    /// How long a lease waits in all for a refresh, its own or somebody else's; one minute at most. The default is 15 seconds.
    patience: Duration;
    /// The pause after a first failure of a service. The default is one second.
    first_pause: Duration;
    /// What the pause grows to, doubled with every failure. The default is 5 minutes.
    longest_pause: Duration;
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
        let policy = self.0;
        let second = Duration::from_secs(1);
        let broken = [
            (!(1..=99).contains(&policy.refresh_at_percent), RefreshPolicyError::RefreshAt),
            (policy.jitter_percent >= policy.refresh_at_percent, RefreshPolicyError::Jitter),
            (policy.margin > minutes(60), RefreshPolicyError::Margin),
            (policy.claim < second || policy.claim > RefreshPolicy::MAX_CLAIM, RefreshPolicyError::Claim),
            (policy.patience > minutes(1), RefreshPolicyError::Patience),
            (policy.first_pause < second || policy.first_pause > policy.longest_pause, RefreshPolicyError::Pause),
            (policy.longest_pause > DAY, RefreshPolicyError::Pause),
            (policy.retention < minutes(60), RefreshPolicyError::Retention),
        ];
        match broken.into_iter().find(|(broken, _)| *broken) {
            Some((_, error)) => Err(error),
            None => Ok(policy),
        }
    }
}

/// Why a refresh policy was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RefreshPolicyError {
    /// Before the beginning or after the end.
    #[error("a token is refreshed at 1 to 99 percent of its lifetime")]
    RefreshAt,
    /// Nothing would be left of the lifetime.
    #[error("the jitter must be less than what it is taken from")]
    Jitter,
    /// More than most tokens live.
    #[error("the margin may be one hour at most")]
    Margin,
    /// Too short for any request, or so long that a crash blocks everybody.
    #[error("a claim must be between one second and one hour")]
    Claim,
    /// Longer than any client waits.
    #[error("a lease may wait for one minute at most")]
    Patience,
    /// No pause, or a first one that is longer than the longest.
    #[error("pauses must be between one second and one day, the first no longer than the longest")]
    Pause,
    /// A service that is down for a while would never be told.
    #[error("a revocation must be retried for one hour at least")]
    Retention,
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn a_setting_out_of_range_is_refused_by_its_name() {
        let builder = RefreshPolicy::builder;
        let cases = [
            (builder().refresh_at_percent(0), RefreshPolicyError::RefreshAt),
            (builder().refresh_at_percent(100), RefreshPolicyError::RefreshAt),
            (builder().jitter_percent(80), RefreshPolicyError::Jitter),
            (builder().margin(seconds(3_601)), RefreshPolicyError::Margin),
            (builder().claim(Duration::from_millis(999)), RefreshPolicyError::Claim),
            (builder().claim(seconds(3_601)), RefreshPolicyError::Claim),
            (builder().patience(seconds(61)), RefreshPolicyError::Patience),
            (builder().first_pause(Duration::from_millis(999)), RefreshPolicyError::Pause),
            (builder().first_pause(seconds(301)), RefreshPolicyError::Pause),
            (builder().longest_pause(seconds(24 * 3_600 + 1)), RefreshPolicyError::Pause),
            (builder().retention(seconds(3_599)), RefreshPolicyError::Retention),
        ];
        for (builder, error) in cases {
            assert_eq!(builder.build(), Err(error));
        }
        assert_eq!(builder().build(), Ok(RefreshPolicy::default()));
        let extreme = builder().refresh_at_percent(99).jitter_percent(98).margin(Duration::ZERO).patience(seconds(60));
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
