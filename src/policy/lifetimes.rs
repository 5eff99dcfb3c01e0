//! How long codes, tokens and families live, and what a scope may shorten.

use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// The four lifetimes, in whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lifetimes {
    /// Of an access token.
    pub access: Duration,
    /// Of a refresh token that is not used. Every rotation begins it anew.
    pub idle: Duration,
    /// Of the whole family, from login to its end.
    pub absolute: Duration,
    /// Of an authorization code.
    pub code: Duration,
}

impl Lifetimes {
    pub(super) fn min(self, limit: ScopeLimit) -> Self {
        let min = |value: Duration, limit: Option<Duration>| limit.map_or(value, |limit| value.min(limit.max(SECOND)));
        let absolute = min(self.absolute, limit.absolute);
        let idle = min(self.idle, limit.idle).min(absolute);
        Self { access: min(self.access, limit.access).min(idle), idle, absolute, code: self.code }
    }
}

/// Shorter lifetimes for grants or tokens that include a certain scope; a limit below one second is one second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScopeLimit {
    access: Option<Duration>,
    idle: Option<Duration>,
    absolute: Option<Duration>,
}

impl ScopeLimit {
    /// At most this long for an access token with the scope.
    pub fn access(limit: Duration) -> Self {
        Self { access: Some(limit), ..Self::default() }
    }

    /// At most this idle lifetime for a grant with the scope.
    pub fn and_idle(self, limit: Duration) -> Self {
        Self { idle: Some(limit), ..self }
    }

    /// At most this absolute lifetime for a grant with the scope.
    pub fn and_absolute(self, limit: Duration) -> Self {
        Self { absolute: Some(limit), ..self }
    }
}
