//! Instants as whole seconds since the Unix epoch, and where they come from.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// How far the clocks of the issuers that share a store may differ.
///
/// Within it no honest client is refused. A refresh token that was spent by one issuer is answered by another for this much
/// longer than the leeway, so far as the jitter outweighs both. An issuer whose clock is further behind than this answers
/// [`ErrorKind::ClockSkew`](crate::ErrorKind::ClockSkew), which is 503, in place of a decision.
pub const CLOCK_TOLERANCE: Duration = Duration::from_secs(15);

/// A point in time: whole seconds since 1970-01-01T00:00:00Z, as in the `NumericDate` of RFC 7519 §2.
///
/// All arithmetic saturates, at zero and at `i64::MAX`, so that no input can overflow it and every database can hold it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The instant `seconds` after the Unix epoch.
    pub const fn from_unix(seconds: u64) -> Self {
        Self(seconds)
    }

    /// Seconds since the Unix epoch.
    pub const fn as_unix(self) -> u64 {
        self.0
    }

    /// This instant moved forward by the whole seconds of `duration`.
    pub const fn saturating_add(self, duration: Duration) -> Self {
        let sum = self.0.saturating_add(duration.as_secs());
        Self(if sum > i64::MAX as u64 { i64::MAX as u64 } else { sum })
    }

    /// How long it is from `earlier` to this instant; zero if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_secs(self.0.saturating_sub(earlier.0))
    }

    pub(crate) fn to_bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }

    pub(crate) fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(u64::from_be_bytes(bytes))
    }
}

impl From<SystemTime> for Timestamp {
    /// A time before the epoch becomes the epoch.
    fn from(time: SystemTime) -> Self {
        Self(time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs())
    }
}

/// RFC 3339 in UTC, such as `2026-11-21T21:05:12Z`; plain seconds beyond the year 9999.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match i64::try_from(self.0).ok().and_then(|s| time::UtcDateTime::from_unix_timestamp(s).ok()) {
            Some(t) => write!(
                f,
                "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
                t.year(),
                u8::from(t.month()),
                t.day(),
                t.hour(),
                t.minute(),
                t.second()
            ),
            None => write!(f, "{}s", self.0),
        }
    }
}

/// Where the issuer reads the time. Tests inject their own.
pub trait Clock: Send + Sync {
    /// The current time.
    fn now(&self) -> Timestamp;
}

/// The operating system's wall clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        SystemTime::now().into()
    }
}

impl<F: Fn() -> Timestamp + Send + Sync> Clock for F {
    fn now(&self) -> Timestamp {
        self()
    }
}
