//! When a token is served and when it is refreshed: pure functions of what is stored and of the time.

use std::time::Duration;

use super::stored::Held;
use crate::crypto;
use crate::time::Timestamp;
use crate::upstream::{Refreshed, SecretText, TokenSet, UpstreamError};

const SECOND: Duration = Duration::from_secs(1);
/// A token is not served in its last moments, so that it does not expire on the way.
const MARGIN: Duration = Duration::from_secs(5);
/// Longer than this no failure keeps anybody from trying again.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// What to do for somebody who asks for an access token.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Serve the stored one.
    Serve,
    /// Refresh, if nobody else does; the stored one will do otherwise.
    RefreshAhead,
    /// Refresh, or wait for whoever does.
    Refresh,
    /// Fail: the last refresh did, and for so long it is not tried again.
    HoldOff(Duration),
    /// Fail: there is nothing to refresh with.
    Authorize,
}

impl Held {
    /// Tokens as they have just been obtained.
    pub(super) fn new(tokens: TokenSet, now: Timestamp) -> Self {
        Self { tokens, obtained_at: now, failures: 0, retry_at: now }
    }

    /// What to do at `now` for somebody who got no further with the access token `refused`.
    pub(super) fn act(&self, now: Timestamp, refused: Option<&SecretText>) -> Act {
        let Self { tokens, obtained_at, failures: _, retry_at } = self;
        let left = tokens.expires_at.map_or(Duration::MAX, |at| at.since(now));
        let lifetime = tokens.expires_at.map_or(Duration::ZERO, |at| at.since(*obtained_at));
        // After 80 % of the lifetime, or up to 5 % sooner.
        let due = left <= lifetime / 5 + lifetime / 20 / 256 * self.spread(0);
        let refused = refused.is_some_and(|refused| same(refused, &tokens.access_token));
        let good = left > MARGIN.min(lifetime / 10) && !refused;
        // An instant that is further away was written when the clock was wrong.
        let wait = Some(retry_at.since(now)).filter(|wait| *wait <= LONGEST).unwrap_or_default();
        match (good, tokens.refresh_token.is_some()) {
            (true, refreshable) if !due || !refreshable || !wait.is_zero() => Act::Serve,
            (_, false) => Act::Authorize,
            (true, true) => Act::RefreshAhead,
            (false, true) if wait.is_zero() => Act::Refresh,
            (false, true) => Act::HoldOff(wait),
        }
    }

    /// After a refresh that was asked for at `asked_at` and brought `new`.
    pub(super) fn refreshed(self, new: Refreshed, asked_at: Timestamp) -> Self {
        let until = |lifetime| asked_at.saturating_add(lifetime);
        let as_before = self.tokens.expires_at.map(|at| at.since(self.obtained_at));
        let rotated = new.refresh_token.is_some();
        let tokens = TokenSet {
            access_token: new.access_token,
            refresh_token: new.refresh_token.or(self.tokens.refresh_token),
            expires_at: new.expires_in.or(as_before).map(until),
            refresh_expires_at: match new.refresh_expires_in {
                None if !rotated => self.tokens.refresh_expires_at,
                lifetime => lifetime.map(until),
            },
            scope: new.scope.unwrap_or(self.tokens.scope),
        };
        Self::new(tokens, asked_at)
    }

    /// After a refresh that failed with `error`; and how long it is not tried again.
    pub(super) fn failed(self, error: &UpstreamError, now: Timestamp) -> (Self, Duration) {
        let failures = self.failures.saturating_add(1);
        let back_off = SECOND * (1 << failures.min(6));
        let back_off = back_off + back_off / 2 / 256 * self.spread(failures);
        let asked = match error {
            UpstreamError::Unavailable { retry_after, .. } => retry_after.unwrap_or_default(),
            _ => Duration::ZERO,
        };
        let wait = back_off.max(asked).min(LONGEST);
        (Self { failures, retry_at: now.saturating_add(wait), ..self }, wait)
    }

    /// Jitter from 0 to 255: the same for all who share the credential, another for every token and every `turn`.
    fn spread(&self, turn: u32) -> u32 {
        let hash = crypto::sha256(self.tokens.access_token.expose().as_bytes());
        u32::from(hash[turn as usize % hash.len()])
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
    fn a_token_is_served_then_refreshed_ahead_then_refreshed_first() {
        let held = held(1000);
        let acts: Vec<_> = (0..=1001).map(|second| held.act(at(second), None)).collect();
        let ahead = acts.iter().position(|act| *act == Act::RefreshAhead).unwrap();
        assert!((750..=800).contains(&ahead), "{ahead}");
        assert!(acts[..ahead].iter().all(|act| *act == Act::Serve));
        assert!(acts[ahead..995].iter().all(|act| *act == Act::RefreshAhead));
        assert!(acts[995..].iter().all(|act| *act == Act::Refresh));
    }

    #[test]
    fn every_token_has_a_moment_of_its_own() {
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
    fn short_lifetimes_have_a_short_margin_and_none_is_served_when_it_is_over() {
        assert_eq!(held(10).act(at(8), None), Act::RefreshAhead);
        assert_eq!(held(10).act(at(9), None), Act::Refresh);
        assert_eq!(held(0).act(at(0), None), Act::Refresh);
    }

    #[test]
    fn a_token_that_does_not_expire_is_served_for_ever() {
        let mut held = held(0);
        held.tokens.expires_at = None;
        assert_eq!(held.act(Timestamp::from_unix(u64::MAX), None), Act::Serve);
    }

    #[test]
    fn without_a_refresh_token_it_is_served_to_the_end_and_then_the_user_is_asked() {
        let mut held = held(1000);
        held.tokens.refresh_token = None;
        assert_eq!(held.act(at(994), None), Act::Serve);
        assert_eq!(held.act(at(995), None), Act::Authorize);
    }

    #[test]
    fn a_refused_token_is_refreshed_at_once_and_another_is_not() {
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
        let doubled = [2, 4, 8, 16, 32].into_iter().chain(std::iter::repeat(64));
        assert!(waits.iter().zip(doubled).all(|(wait, least)| (least..=least * 3 / 2).contains(wait)), "{waits:?}");
    }

    #[test]
    fn the_server_is_left_alone_for_as_long_as_it_asks_but_not_for_days() {
        let wait = |seconds| held(1).failed(&UpstreamError::retry_after(SECOND * seconds, "busy"), at(9)).1;
        assert_eq!((wait(300), wait(86_400)), (SECOND * 300, LONGEST));
    }

    #[test]
    fn while_it_holds_off_the_valid_token_is_served() {
        let (held, _) = held(1000).failed(&UpstreamError::unavailable("down"), at(900));
        assert_eq!(held.act(at(901), None), Act::Serve);
    }

    #[test]
    fn an_instant_from_a_wrong_clock_holds_nobody_off() {
        let (held, _) = held(1000).failed(&UpstreamError::unavailable("down"), at(10_000_000));
        assert_eq!(held.act(at(1000), None), Act::Refresh);
    }

    #[test]
    fn absurd_lifetimes_saturate() {
        let held = held(1000).refreshed(Refreshed::new(SecretText::new("new")).expires_in(Duration::MAX), at(900));
        assert_eq!(held.act(at(u32::MAX.into()), None), Act::Serve);
        assert!(matches!(held.failed(&UpstreamError::retry_after(Duration::MAX, "busy"), at(0)), (_, LONGEST)));
    }

    #[test]
    fn what_a_refresh_does_not_say_stays() {
        let mut old = held(1000);
        old.tokens.refresh_expires_at = Some(at(5000));
        let new = old.refreshed(Refreshed::new(SecretText::new("new")), at(900)).tokens;
        assert_eq!(new.refresh_token.unwrap().expose(), "refresh");
        assert_eq!((new.expires_at, new.refresh_expires_at), (Some(at(1900)), Some(at(5000))));
        assert_eq!(new.scope.as_str(), "a");
    }

    #[test]
    fn a_new_refresh_token_has_an_expiry_of_its_own() {
        let mut old = held(1000);
        old.tokens.refresh_expires_at = Some(at(5000));
        let refreshed = Refreshed::new(SecretText::new("new")).refresh_token(SecretText::new("next"));
        let new = old.refreshed(refreshed, at(900)).tokens;
        assert_eq!(new.refresh_token.unwrap().expose(), "next");
        assert_eq!(new.refresh_expires_at, None);
    }
}
