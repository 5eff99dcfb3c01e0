//! What tokens are made of: the outcome of every decision that grants something.

use std::time::Duration;

use super::Context;
use crate::claims::{AccessClaims, Audience, Names};
use crate::family::TokenFamily;
use crate::grant::{Resource, Scope};
use crate::time::Timestamp;

/// The first tokens of a family that begins without a code.
pub fn issue(family: &TokenFamily, cx: &Context<'_>) -> Issue {
    Issue::new(family.clone(), family.grant.scope(), family.grant.resources.clone(), cx)
}

/// The tokens to issue.
#[derive(Debug)]
#[non_exhaustive]
pub struct Issue {
    /// The family as it is after the write; its current refresh token is the one to hand out.
    pub family: TokenFamily,
    /// The scope of the access token.
    pub scope: Scope,
    pub(crate) audience: Audience,
    /// The longest the access token may live.
    pub lifetime: Duration,
    /// By how many percent at most its life is to be shortened.
    pub jitter_percent: u8,
    /// How long the refresh token lives unused.
    pub idle: Duration,
    /// How long the family lives.
    pub absolute: Duration,
    /// Whether the same was issued before.
    pub retry: bool,
}

impl Issue {
    /// What is to be issued for `family` as it is after the write.
    pub(super) fn new(family: TokenFamily, scope: &Scope, audience: Audience, cx: &Context<'_>) -> Self {
        let lifetimes = cx.policies.lifetimes(&family.grant);
        let absolute = family.absolute_end(&lifetimes).since(cx.now);
        let idle = family.idle_end(&lifetimes).since(cx.now).min(absolute);
        Self {
            scope: scope.clone(),
            audience,
            // Once the refresh token is dead the record may be purged, and then a live check would find nothing.
            lifetime: cx.policies.access_lifetime(family.grant.client_id(), scope).min(idle),
            jitter_percent: cx.policies.policy(family.grant.client_id()).jitter_percent,
            idle,
            absolute,
            retry: false,
            family,
        }
    }

    /// The audience of the access token.
    pub fn audience(&self) -> &[Resource] {
        self.audience.as_slice()
    }

    /// The claims of the access token, shortened by a uniformly random `jitter`.
    pub fn claims(&self, now: Timestamp, jitter: u32) -> AccessClaims {
        let span = self.lifetime.as_secs().saturating_mul(u64::from(self.jitter_percent)) / 100;
        let cut = u128::from(span) * u128::from(jitter) / u128::from(u32::MAX);
        let lifetime = self.lifetime.saturating_sub(Duration::from_secs(u64::try_from(cut).unwrap_or(span)));
        let grant = &self.family.grant;
        AccessClaims {
            family: self.family.id,
            generation: self.family.generation,
            names: Names::new(grant.subject(), grant.client_id()),
            scope: self.scope.clone(),
            audience: self.audience.clone(),
            issued_at: now,
            expires_at: now.saturating_add(lifetime),
            binding: self.family.binding,
            claims: grant.claims.clone(),
        }
    }
}
