//! `Retry-After` (RFC 9110 §10.2.3).

use std::time::Duration;

use http::HeaderMap;
use http::header::{DATE, HeaderName, RETRY_AFTER};
use httpdate::parse_http_date;

/// How long to wait: a number of seconds, or a date relative to the `Date` of the same answer, because a provider has
/// no clock. A date in the past is zero. A date without `Date` is ignored.
pub(in crate::vault) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: HeaderName| headers.get(name)?.to_str().ok();
    let after = text(RETRY_AFTER)?;
    match after.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => {
            let (until, now) = (parse_http_date(after).ok()?, parse_http_date(text(DATE)?).ok()?);
            Some(until.duration_since(now).unwrap_or_default())
        }
    }
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
    fn retry_after_reads_the_obsolete_forms_of_a_date() {
        let date = Some("Sun, 06 Nov 1994 08:49:37 GMT");
        for after in ["Sunday, 06-Nov-94 08:51:07 GMT", "Sun Nov  6 08:51:07 1994"] {
            assert_eq!(read(after, date), Some(Duration::from_secs(90)), "{after}");
        }
    }

    #[test]
    fn seconds_or_a_date_as_seen_from_the_answers_own() {
        let date = Some("Sun, 06 Nov 1994 08:49:37 GMT");
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
        for after in ["Sun, 06 Nov 1994 08:49 GMT", "Sun, 06 Nov 1994 24:49:37 GMT"] {
            assert_eq!(read(after, date), None, "{after}");
        }
        assert_eq!(read("Sun, 06 Nov 1994 08:51:07 GMT", None), None, "as seen from when?");
    }
}
