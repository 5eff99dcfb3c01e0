//! When a token is served and when it is refreshed: pure functions of the stored state and the time.

use std::time::Duration;

use super::stored::Held;
use crate::crypto;
use crate::time::Timestamp;
use crate::vault::policy::Age;
use crate::vault::{RefreshPolicy, Refreshed, SecretText, TokenSet, UpstreamError};

pub(super) const POLICY: RefreshPolicy = RefreshPolicy::standard();

/// What to do for a caller who requests an access token.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Serve the stored token.
    Serve,
    /// Refresh, unless another caller does. Otherwise serve the stored token.
    RefreshAhead,
    /// Refresh, or wait for the caller that does.
    Refresh,
    /// Fail: the last refresh failed, and the next attempt is permitted after this time.
    HoldOff(Duration),
    /// Fail: there is no refresh token, or the server has refused for too long.
    Authorize,
}

impl Held {
    /// The state after tokens were obtained at `now`.
    pub(super) fn new(tokens: TokenSet, now: Timestamp) -> Self {
        let never = Timestamp::default();
        let (failed_at, retry_at) = (never, never);
        Self { tokens, obtained_at: now, failures: 0, failed_at, retry_at, refused_since: None, answer_lost: false }
    }

    /// Decides what to do at `now`. `refused` is the access token that a resource server has refused, if any.
    pub(super) fn act(&self, now: Timestamp, refused: Option<&SecretText>) -> Act {
        let age = match refused {
            Some(refused) if same(refused, &self.tokens.access_token) => Age::Over,
            _ => POLICY.age(&self.tokens, self.obtained_at, self.jitter(0), now),
        };
        let holds_off = POLICY.holds_off(self.failed_at, self.retry_at, now);
        match (age, self.tokens.can_refresh(now)) {
            (Age::Fresh, _) | (Age::Due, false) => Act::Serve,
            (Age::Due, true) if holds_off => Act::Serve,
            (Age::Due, true) => Act::RefreshAhead,
            (Age::Over, false) => Act::Authorize,
            (Age::Over, true) if holds_off && self.is_given_up(now) => Act::Authorize,
            (Age::Over, true) if holds_off => Act::HoldOff(self.retry_at.since(now)),
            (Age::Over, true) => Act::Refresh,
        }
    }

    /// The state after a refresh that was requested at `asked_at` and returned `new`.
    pub(super) fn refreshed(self, new: Refreshed, asked_at: Timestamp) -> Self {
        Self::new(self.tokens.successor(new, self.obtained_at, asked_at), asked_at)
    }

    /// The state after a refresh that was requested at `asked_at` and returned a refresh token without a usable access
    /// token. It counts as failed.
    pub(super) fn rotated(self, new: Refreshed, asked_at: Timestamp) -> Self {
        let tokens = self.tokens.successor(new, self.obtained_at, asked_at);
        Self { failures: self.failures, ..Self::new(tokens, self.obtained_at) }
    }

    /// The state after a refresh that failed with `error`, and the pause before the next one.
    pub(super) fn failed(self, error: &UpstreamError, now: Timestamp) -> (Self, Duration) {
        let failures = self.failures.saturating_add(1);
        let wait = POLICY.pause(failures, error.asked_pause(), self.jitter(failures));
        let refused_since = error.reason().refused_since(self.refused_since, now);
        let retry_at = now.saturating_add(wait);
        (Self { failures, failed_at: now, retry_at, refused_since, ..self }, wait)
    }

    /// Whether the server has refused for so long, with a code that is not known, that the user is asked to log in
    /// again.
    fn is_given_up(&self, now: Timestamp) -> bool {
        POLICY.gives_up(self.refused_since, now)
    }

    /// The jitter: the same for all processes that share the tokens, another for each token and each `turn`.
    fn jitter(&self, turn: u32) -> u8 {
        let hash = crypto::sha256(self.tokens.access_token.expose().as_bytes());
        hash[turn as usize % hash.len()]
    }
}

fn same(a: &SecretText, b: &SecretText) -> bool {
    crypto::equal(a.expose().as_bytes(), b.expose().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grant::Scope;

    const NOW: u64 = 1_800_000_000;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix(NOW + seconds)
    }

    fn held(lifetime: u64) -> Held {
        let tokens = TokenSet::new(SecretText::new("access"), Scope::parse("a").unwrap()).expires_at(at(lifetime));
        Held::new(tokens.refresh_token(SecretText::new("refresh")), at(0))
    }

    #[test]
    fn act_serves_then_refreshes_ahead_then_refreshes_first() {
        let held = held(1000);
        let acts: Vec<_> = (0..=1001).map(|second| held.act(at(second), None)).collect();
        let ahead = acts.iter().position(|act| *act == Act::RefreshAhead).unwrap();
        assert!((750..=800).contains(&ahead), "{ahead}");
        assert!(acts[..ahead].iter().all(|act| *act == Act::Serve));
        assert!(acts[ahead..995].iter().all(|act| *act == Act::RefreshAhead));
        assert!(acts[995..].iter().all(|act| *act == Act::Refresh));
    }

    #[test]
    fn act_refreshes_ahead_at_a_moment_that_differs_by_token() {
        let moment = |token: u32| {
            let mut held = held(100_000);
            held.tokens.access_token = SecretText::new(token.to_string());
            (70_000..=80_000).find(|second| held.act(at(*second), None) == Act::RefreshAhead).unwrap()
        };
        let moments: Vec<_> = (0..64).map(moment).collect();
        assert!(moments.iter().all(|moment| (75_000..=80_000).contains(moment)), "{moments:?}");
        assert!(moments.iter().max().unwrap() - moments.iter().min().unwrap() > 3_000, "{moments:?}");
    }

    #[test]
    fn act_gives_short_lives_a_short_margin_and_serves_no_expired() {
        assert_eq!(held(10).act(at(8), None), Act::RefreshAhead);
        assert_eq!(held(10).act(at(9), None), Act::Refresh);
        assert_eq!(held(0).act(at(0), None), Act::Refresh);
    }

    #[test]
    fn act_serves_a_token_without_expiry_at_any_time() {
        let mut held = held(0);
        held.tokens.expires_at = None;
        assert_eq!(held.act(Timestamp::from_unix(u64::MAX), None), Act::Serve);
    }

    #[test]
    fn act_without_refresh_token_serves_to_the_end_then_authorizes() {
        let mut held = held(1000);
        held.tokens.refresh_token = None;
        assert_eq!(held.act(at(994), None), Act::Serve);
        assert_eq!(held.act(at(995), None), Act::Authorize);
    }

    #[test]
    fn act_takes_an_expired_refresh_token_for_none() {
        let mut held = held(1000);
        held.tokens.refresh_expires_at = Some(at(900));
        assert_eq!(
            [899, 900, 994].map(|second| held.act(at(second), None)),
            [Act::RefreshAhead, Act::Serve, Act::Serve]
        );
        assert_eq!(held.act(at(995), None), Act::Authorize);
    }

    #[test]
    fn act_refreshes_a_refused_token_at_once_and_no_other() {
        let held = held(1000);
        assert_eq!(held.act(at(0), Some(&SecretText::new("access"))), Act::Refresh);
        assert_eq!(held.act(at(0), Some(&SecretText::new("another"))), Act::Serve);
    }

    #[test]
    fn failures_hold_off_for_longer_and_longer_up_to_a_limit() {
        let mut held = held(1000);
        let mut waits = Vec::new();
        for _ in 0..40 {
            let (next, wait) = held.failed(&UpstreamError::uncertain("cut"), at(2000));
            assert_eq!(next.act(at(2000), None), Act::HoldOff(Duration::from_secs(wait.as_secs())));
            assert_eq!(next.act(at(2000 + wait.as_secs()), None), Act::Refresh);
            (held, waits) = (next, [waits, vec![wait.as_secs()]].concat());
        }
        let doubled = [1, 2, 4, 8, 16, 32, 64, 128, 256].into_iter().chain(std::iter::repeat(300));
        assert!(waits.iter().zip(doubled).all(|(wait, most)| (most * 3 / 4..=most).contains(wait)), "{waits:?}");
    }

    #[test]
    fn failed_pauses_as_retry_after_asks_up_to_max_pause() {
        let wait = |after| held(1).failed(&UpstreamError::retry_after(after, "busy"), at(9)).1;
        let asked = Duration::from_secs(3600);
        assert_eq!((wait(asked), wait(Duration::MAX)), (asked, RefreshPolicy::MAX_PAUSE));
    }

    #[test]
    fn while_it_holds_off_the_valid_token_is_served() {
        let (held, _) = held(1000).failed(&UpstreamError::unavailable("down"), at(900));
        assert_eq!(held.act(at(900), None), Act::Serve);
        assert_eq!(held.act(at(901), None), Act::RefreshAhead);
    }

    #[test]
    fn act_refreshes_after_a_clock_set_back_without_failures() {
        let refused = SecretText::new("access");
        assert_eq!(held(1000).act(Timestamp::from_unix(NOW - 3600), Some(&refused)), Act::Refresh);
    }

    #[test]
    fn refusals_beyond_the_limit_ask_for_a_login() {
        let mut held = held(1000);
        let limit = POLICY.refusal_limit.as_secs();
        for second in [2_000, 2_000 + limit - 1] {
            (held, _) = held.failed(&UpstreamError::refused("odd_code"), at(second));
            assert!(matches!(held.act(at(second), None), Act::HoldOff(_)));
        }
        assert_eq!(held.act(at(2_000 + limit), None), Act::Authorize);
        assert_eq!(held.act(at(2_000 + limit + 3_600), None), Act::Refresh, "it is tried as before");
    }

    #[test]
    fn act_on_a_configuration_error_holds_off_without_login() {
        let mut held = held(1000);
        for second in [2_000, 200_000, 400_000] {
            (held, _) = held.failed(&UpstreamError::configuration("invalid_client"), at(second));
            assert!(matches!(held.act(at(second), None), Act::HoldOff(_)));
        }
    }

    #[test]
    fn act_ignores_a_pause_from_a_wrong_clock() {
        let (held, _) = held(1000).failed(&UpstreamError::unavailable("down"), at(10_000_000));
        assert_eq!(held.act(at(1000), None), Act::Refresh);
    }
}
