//! What a run of the model is about.

use std::time::Duration;

use mcp_token_lifecycle::{RotationPolicy, RotationPolicyBuilder};

use crate::request::Lack;

/// The leeway in ticks of the clock.
pub const LEEWAY: u8 = 2;

/// How long `count` ticks are, where two make the standard leeway.
pub const fn ticks(count: u8) -> Duration {
    Duration::from_secs(15 * count as u64)
}

#[derive(Clone, Copy)]
pub struct Setup {
    pub policy: RotationPolicyBuilder,
    /// For how many ticks a code is answered again.
    pub code_retries: u8,
    /// The lost-response window in ticks, if there is one.
    pub window: Option<u8>,
    /// Whether the family is bound to a key, which the client proves with every request.
    pub bound: bool,
    pub thief: bool,
    /// Whether the client may log out.
    pub logout: bool,
    /// Whether each request reaches a node in time: less than a leeway, or a window, after the client first sent that token.
    pub in_time: bool,
    /// Whether requests with tokens that the client has replaced may come late, within the leeway of each.
    pub stragglers: bool,
    /// The last tick.
    pub horizon: u8,
    /// The last version of the record.
    pub versions: u64,
    pub flaw: Option<Flaw>,
}

/// What is broken on purpose.
#[derive(Clone, Copy)]
pub enum Flaw {
    /// The store takes every write, no matter which version it replaces.
    BlindCommit,
    /// A retry rotates once more instead of repeating the successor.
    FreshSuccessor,
    /// What is answered without a write is answered without a second look.
    OneLook,
    /// The decision does not look at this.
    Ignores(Lack),
}

impl Setup {
    pub fn policy(&self) -> RotationPolicy {
        // Codes outlive every horizon.
        let policy = self.policy.code_lifetime(Duration::from_secs(600)).code_retry_window(ticks(self.code_retries));
        policy.lost_response_window(self.window.map(ticks)).build().unwrap()
    }

    /// For how long a client can get an answer to a token that is spent.
    pub fn patience(&self) -> u8 {
        self.window.unwrap_or(LEEWAY)
    }
}

pub fn standard() -> RotationPolicyBuilder {
    RotationPolicy::standard().to_builder()
}

pub fn strict() -> RotationPolicyBuilder {
    RotationPolicy::strict().to_builder()
}

/// A client alone with the network.
pub fn alone(policy: RotationPolicyBuilder) -> Setup {
    Setup {
        policy,
        code_retries: LEEWAY,
        window: None,
        bound: false,
        thief: false,
        logout: false,
        in_time: true,
        stragglers: false,
        horizon: 6,
        versions: 6,
        flaw: None,
    }
}

/// A client that logs out, and that may be late.
pub fn logout(policy: RotationPolicyBuilder) -> Setup {
    Setup { logout: true, in_time: false, horizon: 4, versions: 5, ..alone(policy) }
}

/// A client that is robbed, and that may be late.
pub fn theft(policy: RotationPolicyBuilder) -> Setup {
    Setup { thief: true, in_time: false, horizon: 3, versions: 4, ..alone(policy) }
}
