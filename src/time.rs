//! Timestamps in whole seconds since the Unix epoch, and the clocks that produce them.

use crate::pointers::pointers;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// The largest tolerated difference between the clocks of issuers that share a store: 15 seconds.
///
/// Issuers whose clocks differ by no more than this refuse no honest client. If another issuer spent a refresh token,
/// an issuer answers that token for up to this much longer than the leeway; where the jitter span has no room for the
/// extension, it is shorter. If a record was written by a clock that is ahead of this server's clock by more than this,
/// the issuer makes no decision and returns [`ErrorKind::ClockSkew`](crate::ErrorKind::ClockSkew), which is answered
/// with 503.
pub const CLOCK_TOLERANCE: Duration = Duration::from_secs(15);

/// A point in time in whole seconds since 1970-01-01T00:00:00Z, as in the `NumericDate` of RFC 7519 §2.
///
/// Arithmetic saturates at zero and at `i64::MAX`. So no input can overflow it, and every database can hold the result
/// in a signed 64-bit column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(u64);

impl Timestamp {
    /// Creates the timestamp `seconds` after the Unix epoch.
    pub const fn from_unix(seconds: u64) -> Self {
        Self(seconds)
    }

    /// Returns the seconds since the Unix epoch.
    pub const fn as_unix(self) -> u64 {
        self.0
    }

    /// Returns this timestamp plus the whole seconds of `duration`, at most `i64::MAX`.
    pub const fn saturating_add(self, duration: Duration) -> Self {
        let sum = self.0.saturating_add(duration.as_secs());
        Self(if sum > i64::MAX as u64 { i64::MAX as u64 } else { sum })
    }

    /// Returns the time from `earlier` to this timestamp, or zero if `earlier` is later.
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
    /// Converts a system time; a time before the epoch becomes the epoch, and fractions of a second are cut off.
    fn from(time: SystemTime) -> Self {
        Self(time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs())
    }
}

/// Writes RFC 3339 in UTC, such as `2026-11-21T21:05:12Z`, or plain seconds (`…s`) beyond the year 9999.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match i64::try_from(self.0).ok().and_then(|s| time::UtcDateTime::from_unix_timestamp(s).ok()) {
            Some(t) => write!(f, "{}T{:02}:{:02}:{:02}Z", t.date(), t.hour(), t.minute(), t.second()),
            None => write!(f, "{}s", self.0),
        }
    }
}

/// A source of the current time.
///
/// Tests replace the default, [`SystemClock`], with [`TokenIssuer::with_clock`](crate::TokenIssuer::with_clock). A
/// clock must not go backwards by more than [`CLOCK_TOLERANCE`], or requests fail with
/// [`ErrorKind::ClockSkew`](crate::ErrorKind::ClockSkew).
pub trait Clock: Send + Sync {
    /// Returns the current time.
    fn now(&self) -> Timestamp;
}

pointers! {
    impl Clock {
        fn now(&self) -> Timestamp {
            T::now(self)
        }
    }
}

/// The operating system's wall clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        SystemTime::now().into()
    }
}

/// Makes a clock of a function, for tests and simulations.
pub fn clock_from_fn(now: impl Fn() -> Timestamp + Send + Sync) -> impl Clock {
    struct FromFn<F>(F);

    impl<F: Fn() -> Timestamp + Send + Sync> Clock for FromFn<F> {
        fn now(&self) -> Timestamp {
            (self.0)()
        }
    }

    FromFn(now)
}
