//! The tokens that replace others after a refresh: a pure function.

use super::credential::TokenSet;
use super::policy::RefreshPolicy;
use super::refreshed::Refreshed;
use crate::time::Timestamp;

impl TokenSet {
    /// Returns the tokens that replace `self`, which was obtained at `obtained_at`, after a refresh that returned
    /// `new`.
    ///
    /// What the service leaves out stays as it was, including the access token and its expiry (RFC 6749 §5.1, §6).
    /// Lifetimes count from `asked_at`, the time of the request.
    pub(crate) fn successor(&self, new: Refreshed, obtained_at: Timestamp, asked_at: Timestamp) -> Self {
        let lifetime = new.expires_in.or(self.expires_at.map(|at| at.since(obtained_at)));
        let expires_at = lifetime.map(|lifetime| asked_at.saturating_add(RefreshPolicy::sane(lifetime)));
        let (access_token, expires_at, scope) = match new.access_token {
            Some(access_token) => (access_token, expires_at, new.scope.unwrap_or_else(|| self.scope.clone())),
            None => (self.access_token.copy(), self.expires_at, self.scope.clone()),
        };
        let refresh_lifetime = new.refresh_expires_in.map(|lifetime| lifetime.min(RefreshPolicy::MAX_LIFETIME));
        let kept = if new.refresh_token.is_none() { self.refresh_expires_at } else { None };
        Self {
            access_token,
            refresh_token: new.refresh_token.or_else(|| Some(self.refresh_token.as_ref()?.copy())),
            expires_at,
            refresh_expires_at: refresh_lifetime.map(|lifetime| asked_at.saturating_add(lifetime)).or(kept),
            scope,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::grant::Scope;
    use crate::vault::SecretText;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix(1_800_000_000 + seconds)
    }

    /// The successor at 900 seconds of tokens that live for 1000 seconds.
    fn successor(change: impl FnOnce(Refreshed) -> Refreshed) -> TokenSet {
        TokenSet::new(SecretText::new("access"), Scope::parse("a").unwrap())
            .refresh_token(SecretText::new("refresh"))
            .expires_at(at(1000))
            .refresh_expires_at(at(5000))
            .successor(change(Refreshed::new(SecretText::new("new"))), at(0), at(900))
    }

    #[test]
    fn what_a_refresh_does_not_say_stays() {
        let new = successor(|new| new);
        assert_eq!((new.access_token.expose(), new.refresh_token.unwrap().expose()), ("new", "refresh"));
        assert_eq!((new.expires_at, new.refresh_expires_at), (Some(at(1900)), Some(at(5000))));
        assert_eq!(new.scope.as_str(), "a");
    }

    #[test]
    fn a_rotation_without_an_access_token_keeps_the_old_one() {
        let new = successor(|_| Refreshed::rotated(SecretText::new("next")).expires_in(Duration::from_secs(9)));
        assert_eq!((new.access_token.expose(), new.refresh_token.unwrap().expose()), ("access", "next"));
        assert_eq!((new.expires_at, new.refresh_expires_at), (Some(at(1000)), None));
    }

    #[test]
    fn a_new_refresh_token_has_an_expiry_of_its_own() {
        let new = successor(|new| new.refresh_token(SecretText::new("next")));
        assert_eq!((new.refresh_token.unwrap().expose(), new.refresh_expires_at), ("next", None));
    }

    #[test]
    fn absurd_lifetimes_are_taken_for_sane_ones() {
        let longest = Some(at(900).saturating_add(RefreshPolicy::MAX_LIFETIME));
        let unbounded = successor(|new| new.expires_in(Duration::MAX).refresh_expires_in(Duration::MAX));
        assert_eq!((unbounded.expires_at, unbounded.refresh_expires_at), (longest, longest));
        let over = successor(|new| new.expires_in(Duration::ZERO));
        assert_eq!(over.expires_at, Some(at(910)));
    }
}
