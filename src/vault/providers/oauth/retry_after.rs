//! `Retry-After` (RFC 9110 §10.2.3).

use std::time::Duration;

use http::HeaderMap;
use http::header::{DATE, HeaderName, RETRY_AFTER};
use time::{Date, Month, Time, UtcDateTime};

use crate::time::Timestamp;

/// How long to wait: a number of seconds, or a date relative to the `Date` of the same answer, because a provider has
/// no clock. A date without `Date` is ignored.
pub(in crate::vault) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: HeaderName| headers.get(name)?.to_str().ok();
    let after = text(RETRY_AFTER)?;
    match after.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => Some(http_date(after)?.since(http_date(text(DATE)?)?)),
    }
}

/// Parses `Sun, 06 Nov 1994 08:49:37 GMT`, the form that senders must use (RFC 9110 §5.6.7).
fn http_date(text: &str) -> Option<Timestamp> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut parts = text.split(' ');
    let [_, day, month, year, clock, "GMT"] = std::array::from_fn(|_| parts.next().unwrap_or_default()) else {
        return None;
    };
    let month = MONTHS.iter().zip(1..).find_map(|(name, number)| (*name == month).then_some(number))?;
    let date = Date::from_calendar_date(year.parse().ok()?, Month::try_from(month).ok()?, day.parse().ok()?).ok()?;
    let mut clock = clock.split(':').map(str::parse);
    let mut next = || clock.next()?.ok();
    let time = Time::from_hms(next()?, next()?, next()?).ok()?;
    u64::try_from(UtcDateTime::new(date, time).unix_timestamp()).ok().map(Timestamp::from_unix)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn read(after: &'static str, date: Option<&'static str>) -> Option<Duration> {
        let headers = [(RETRY_AFTER, Some(after)), (DATE, date)];
        retry_after(&headers.into_iter().filter_map(|(n, v)| Some((n, HeaderValue::from_static(v?)))).collect())
    }

    #[test]
    fn seconds_or_a_date_as_seen_from_the_answers_own() {
        let date = Some("Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Timestamp::from_unix(784_111_777)));
        assert_eq!(read("120", None), Some(Duration::from_secs(120)));
        assert_eq!(read("Sun, 06 Nov 1994 08:51:07 GMT", date), Some(Duration::from_secs(90)));
        assert_eq!(read("Sat, 05 Nov 1994 08:49:37 GMT", date), Some(Duration::ZERO), "it is past");
    }

    #[test]
    fn what_cannot_be_read_says_nothing() {
        let date = Some("Sun, 06 Nov 1994 08:49:37 GMT");
        for after in ["", "-1", "1.5", "99999999999999999999", "soon", "Sun, 31 Feb 1994 08:49:37 GMT"] {
            assert_eq!(read(after, date), None, "{after}");
        }
        for after in ["Sun, 06 Nov 1994 08:49 GMT", "Sun, 06 Nov 1994 24:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT"] {
            assert_eq!(read(after, date), None, "{after}");
        }
        assert_eq!(read("Sun, 06 Nov 1994 08:51:07 GMT", None), None, "as seen from when?");
    }
}
