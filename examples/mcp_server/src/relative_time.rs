//! Describes a time by its distance from now.

use mcp_token_lifecycle::Timestamp;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Describes `at` as seen from `now`: "2 hours ago", "in 30 days". The number is rounded: a session that was granted
/// for 30 days a few seconds ago ends "in 30 days".
pub fn describe(at: Timestamp, now: Timestamp) -> String {
    let (past, future) = (now.since(at).as_secs(), at.since(now).as_secs());
    match (distance(past), distance(future)) {
        (Some(past), _) => format!("{past} ago"),
        (None, Some(future)) => format!("in {future}"),
        (None, None) if future > 0 => "in less than a minute".to_owned(),
        (None, None) => "just now".to_owned(),
    }
}

/// Returns `seconds` in the largest unit that they contain. `None` below a minute.
fn distance(seconds: u64) -> Option<String> {
    let units = [("day", DAY), ("hour", HOUR), ("minute", MINUTE)];
    let (unit, length) = units.into_iter().find(|(_, length)| seconds >= *length)?;
    let count = (seconds + length / 2) / length;
    Some(format!("{count} {unit}{}", if count == 1 { "" } else { "s" }))
}
