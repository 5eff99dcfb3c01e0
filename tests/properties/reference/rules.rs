//! A policy as plain numbers, stated a second time for the reference.

use mcp_token_lifecycle::{CLOCK_TOLERANCE, OnReuse, OnSuperseded, PolicySet, Rotation, RotationPolicy, ScopeLimit};
use proptest::prelude::*;
use proptest::sample::select;

use crate::support::seconds;

const MINUTE: u64 = 60;
const DAY: u64 = 24 * 60 * MINUTE;

/// How far clocks may differ.
const TOLERANCE: u64 = CLOCK_TOLERANCE.as_secs();

/// What is left of a family must last for so many seconds, or it gets no access token any more.
pub const LEAST: u64 = 5;

/// All times in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    pub always_rotate: bool,
    pub leeway: u64,
    pub window: Option<u64>,
    pub retries: Option<u32>,
    access: u64,
    idle: u64,
    pub absolute: u64,
    pub code: u64,
    /// How long a code is answered again.
    pub code_retries: u64,
    pub on_reuse: OnReuse,
    pub on_superseded: OnSuperseded,
    /// The idle lifetime of a grant that writes, as all do here.
    pub idle_if_writing: Option<u64>,
    preset: Option<RotationPolicy>,
}

const STANDARD: Rules = Rules {
    always_rotate: true,
    leeway: 30,
    window: None,
    retries: None,
    access: 30 * MINUTE,
    idle: 14 * DAY,
    absolute: 90 * DAY,
    code: MINUTE,
    code_retries: 0,
    on_reuse: OnReuse::RevokeFamily,
    on_superseded: OnSuperseded::Accept,
    idle_if_writing: None,
    preset: Some(RotationPolicy::standard()),
};

#[rustfmt::skip]
const PRESETS: [Rules; 5] = [
    STANDARD,
    Rules { leeway: 0, access: 15 * MINUTE, idle: 7 * DAY, absolute: 30 * DAY, preset: Some(RotationPolicy::strict()), ..STANDARD },
    Rules { leeway: 2 * MINUTE, preset: Some(RotationPolicy::shared_credential()), ..STANDARD },
    Rules { always_rotate: false, preset: Some(RotationPolicy::reusable()), ..STANDARD },
    Rules { access: 10 * MINUTE, idle: 30 * DAY, preset: Some(RotationPolicy::background_agent()), ..STANDARD },
];

impl Rules {
    /// How long a refresh token lives that is not used.
    pub fn idle(&self) -> u64 {
        self.idle_if_writing.map_or(self.idle, |limit| limit.min(self.idle))
    }

    /// How long an access token lives.
    pub fn access(&self, writes: bool) -> u64 {
        if writes { self.access.min(self.idle()) } else { self.access }
    }

    /// By how much an access token that may live for `lifetime` is shortened at most: six times leeway and tolerance for
    /// clocks, and no more than half.
    fn jitter(&self, lifetime: u64) -> u64 {
        if self.leeway == 0 { 0 } else { (6 * (self.leeway + TOLERANCE)).min(lifetime / 2) }
    }

    /// For how long a token is answered that was spent when so much of the family was left: by the issuer that spent it, and
    /// by others.
    pub fn leeway(&self, left: u64) -> (u64, u64) {
        let shortest = self.access(true).min(self.idle().saturating_sub(self.leeway + TOLERANCE)).min(left);
        let room = (self.jitter(shortest) + 4) / 6;
        let own = self.leeway.min(room);
        (own, if own == 0 { 0 } else { (own + TOLERANCE).min(room) })
    }

    pub fn policies(&self) -> PolicySet {
        let builder = match self.preset {
            Some(preset) => preset.to_builder(),
            None => RotationPolicy::builder()
                .rotation(if self.always_rotate { Rotation::Always } else { Rotation::UnlessConstrained })
                .reuse_leeway(seconds(self.leeway))
                .code_retry_window(seconds(self.code_retries))
                .lost_response_window(self.window.map(seconds))
                .retry_limit(self.retries)
                .access_lifetime(seconds(self.access))
                .idle_lifetime(seconds(self.idle))
                .absolute_lifetime(seconds(self.absolute))
                .code_lifetime(seconds(self.code))
                .min_access_lifetime(seconds(LEAST))
                .on_reuse(self.on_reuse)
                .on_superseded(self.on_superseded),
        };
        let policies = PolicySet::new(builder.jitter_percent(0).build().unwrap());
        match self.idle_if_writing {
            Some(limit) => policies.with_scope("mcp:write", ScopeLimit::default().with_idle(seconds(limit))),
            None => policies,
        }
    }
}

/// A preset, or any mixture of settings.
pub fn any() -> impl Strategy<Value = Rules> {
    let lifetimes = select(vec![(100, 200, 300), (60, 600, 600), (30 * MINUTE, 14 * DAY, 90 * DAY)]);
    let windows = (select(vec![0, 1, 5, 30, 90]), select(vec![None, Some(90)]), select(vec![0, 20]));
    let retrying = (windows, select(vec![None, Some(1), Some(2)]));
    let acts = select(vec![OnReuse::RevokeFamily, OnReuse::RejectOnly, OnReuse::RevokeSubject]);
    let superseded = select(vec![OnSuperseded::Accept, OnSuperseded::Reject]);
    let limit = select(vec![None, None, Some(80)]);
    let mixed = (proptest::bool::ANY, lifetimes, retrying, acts, superseded, limit).prop_map(
        |(
            always_rotate,
            (access, idle, absolute),
            ((leeway, window, code_retries), retries),
            on_reuse,
            on_superseded,
            idle_if_writing,
        )| Rules {
            always_rotate,
            leeway: leeway.min((access / 2 + 4) / 6),
            window,
            code_retries,
            retries,
            access,
            idle,
            absolute,
            on_reuse,
            on_superseded,
            idle_if_writing,
            preset: None,
            ..STANDARD
        },
    );
    prop_oneof![1 => select(&PRESETS[..]), 2 => mixed]
}
