//! What a run of the model is about.

use std::time::Duration;

use mcp_token_lifecycle::Timestamp;
use mcp_token_lifecycle::vault::RefreshPolicy;

/// The length of a step of the clock, in seconds.
const STEP: u64 = 10;

#[derive(Clone, Copy, Debug)]
pub struct Setup {
    pub left: Left,
    /// The last step of the clock.
    pub end: u8,
    /// How many steps a claim lasts.
    pub claim: u8,
    /// Whether the service ends all grants of the account when it is told to revoke one.
    pub whole_grants: bool,
    /// Whether the service revokes by a live access token alone. The first one of a grant has expired.
    pub needs_live_token: bool,
    /// Whether a put can bring a static secret.
    pub statics: bool,
    /// Whether a put can bring a secret that is bound to a second session, and that session leases and revokes.
    pub two_owners: bool,
    /// Whether the user can end a grant at the service.
    pub user_ends_grants: bool,
    /// The step at which all tokens expire, refresh tokens too.
    pub expiry: Option<u8>,
    /// How many revocations are pending at the beginning.
    pub pending: u8,
    pub flaw: Option<Flaw>,
}

/// What can still happen.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Left {
    pub puts: u8,
    pub revokes: u8,
    pub leases: u8,
    pub ticks: u8,
    /// Writes that are not confirmed, requests that fail, answers that are lost, grants that the user ends at the service.
    pub faults: u8,
    /// Processes that are suspended between their read and their write.
    pub sleeps: u8,
}

/// What is broken on purpose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flaw {
    /// Who takes a claim over does not note that an answer may be lost.
    TakesOverWithoutDoubt,
    /// A revocation forgets that a refresh is under way.
    ForgetsRefresh,
    /// A put whose write was not confirmed is decided again.
    PutsAgain,
    /// The version of an empty record that was purged starts again.
    VersionsRestart,
    /// Late tokens are leased although another authorization is there.
    LateTokensReturn,
    /// A revocation that has failed is not retried, and not reported.
    ForgetsFailure,
    /// Late tokens are never in doubt, although an earlier write may have stored them.
    TrustsLateTokens,
    /// Late tokens are dropped without a word.
    DropsLateTokens,
    /// A secret is replaced without a word.
    ReplacesSilently,
    /// Any number of revocations is kept.
    Unbounded,
    /// A revocation is abandoned for the bound without a word.
    AbandonsSilently,
    /// "Not supported" counts as revoked.
    KeyCountsAsRevoked,
    /// A new authorization at a service that revokes whole grants leaves the pending revocations.
    KeepsPending,
    /// A revocation for one session takes any secret.
    TakesAny,
}

/// The time at a step of the clock.
pub fn at(step: u8) -> Timestamp {
    Timestamp::from_unix(START + STEP * u64::from(step))
}

/// The step of the clock at a time; 0 for all before the first.
pub fn step_of(time: Timestamp) -> u8 {
    (time.as_unix().saturating_sub(START) / STEP) as u8
}

const START: u64 = 100_000;

impl Setup {
    pub fn policy(&self) -> RefreshPolicy {
        let second = Duration::from_secs(1);
        let policy = RefreshPolicy::builder().refresh_at_percent(1).jitter_percent(0).clock_skew(Duration::ZERO);
        let policy = policy.claim(Duration::from_secs(STEP * u64::from(self.claim)));
        policy.first_pause(second).longest_pause(second).build().unwrap()
    }

    /// When the tokens expire: while the lifetime is below 100 seconds, a share of 1 % is no time at all.
    pub fn expires_at(&self) -> Timestamp {
        at(self.expiry.unwrap_or(9))
    }
}

/// A service that revokes by a live token alone, and whose tokens can all be refreshed.
pub fn plain(left: Left, end: u8) -> Setup {
    Setup {
        left,
        end,
        claim: 1,
        whole_grants: false,
        needs_live_token: true,
        statics: false,
        two_owners: false,
        user_ends_grants: false,
        expiry: None,
        pending: 0,
        flaw: None,
    }
}

/// One operation of each kind, and one more tick.
pub fn one_of_each() -> Setup {
    plain(Left { puts: 1, revokes: 1, leases: 1, ticks: 2, faults: 1, sleeps: 0 }, 3)
}

/// A service that revokes any token, as RFC 7009 has it.
pub fn simple(left: Left, end: u8) -> Setup {
    Setup { needs_live_token: false, ..plain(left, end) }
}

/// Two sessions, tokens and static secrets.
pub fn owners() -> Setup {
    let left = Left { puts: 2, revokes: 2, leases: 2, ticks: 1, ..Left::default() };
    Setup { statics: true, two_owners: true, ..simple(left, 1) }
}

/// A service like GitHub.
pub fn whole_grants() -> Setup {
    let left = Left { puts: 2, revokes: 1, leases: 1, ticks: 1, faults: 1, sleeps: 0 };
    Setup { whole_grants: true, ..simple(left, 2) }
}

/// One revocation more fills the outbox.
pub fn full_outbox() -> Setup {
    let left = Left { puts: 1, revokes: 2, leases: 1, ticks: 1, ..Left::default() };
    Setup { pending: 3, ..simple(left, 1) }
}

/// Processes that sleep between their read and their write, while the record becomes empty and is used again.
pub fn sleeper() -> Setup {
    let left = Left { puts: 1, revokes: 1, leases: 1, ticks: 1, faults: 0, sleeps: 1 };
    simple(left, 1)
}
