//! The lifetimes of codes, tokens and families, and the limits that a scope sets.

use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// The four lifetimes of a policy, in whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lifetimes {
    /// The longest lifetime of an access token.
    pub access: Duration,
    /// How long a refresh token stays valid without use. Each use of the current token begins it again.
    pub idle: Duration,
    /// The lifetime of the whole family, from its beginning.
    pub absolute: Duration,
    /// The lifetime of an authorization code.
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

/// Shorter lifetimes for grants and tokens that include a certain scope. A limit below one second counts as one second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScopeLimit {
    access: Option<Duration>,
    idle: Option<Duration>,
    absolute: Option<Duration>,
}

impl ScopeLimit {
    /// Limits the lifetime of an access token with the scope.
    pub fn access(limit: Duration) -> Self {
        Self { access: Some(limit), ..Self::default() }
    }

    /// Limits the idle lifetime of a grant with the scope.
    pub fn with_idle(self, limit: Duration) -> Self {
        Self { idle: Some(limit), ..self }
    }

    /// Limits the absolute lifetime of a grant with the scope.
    pub fn with_absolute(self, limit: Duration) -> Self {
        Self { absolute: Some(limit), ..self }
    }
}
