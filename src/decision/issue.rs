//! What tokens are made of: the outcome of every decision that grants something.

use std::time::Duration;

use super::context::Context;
use crate::family::TokenFamily;
use crate::grant::{AccessClaims, Audience, Resource, Scope, SubjectAndClient};
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
    /// By how much at most its life is to be shortened, at random.
    pub jitter_span: Duration,
    /// Whether the access token is good only with a live check.
    pub live_only: bool,
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
        let policy = cx.policies.policy(family.grant.client_id());
        let absolute = family.absolute_end(&lifetimes).since(cx.now);
        let idle = family.idle_end(&lifetimes).since(cx.now).min(absolute);
        // Once the refresh token is dead the record may be purged, and then a live check would find nothing.
        let lifetime = cx.policies.access_lifetime(family.grant.client_id(), scope).min(idle);
        Self {
            scope: scope.clone(),
            audience,
            lifetime,
            jitter_span: policy.jitter_span(lifetime),
            // The lost-response window closes when the successor is seen, so it must not be used unseen.
            live_only: policy.lost_response_window.is_some(),
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
        // Uniform over the whole seconds from 0 to the span.
        let cut = ((u128::from(self.jitter_span.as_secs()) + 1) * u128::from(jitter)) >> u32::BITS;
        let lifetime = self.lifetime.saturating_sub(Duration::from_secs(u64::try_from(cut).unwrap_or_default()));
        let grant = &self.family.grant;
        AccessClaims {
            family: self.family.id,
            generation: self.family.generation,
            names: SubjectAndClient::new(grant.subject(), grant.client_id()),
            scope: self.scope.clone(),
            audience: self.audience.clone(),
            issued_at: now,
            expires_at: now.saturating_add(lifetime),
            binding: self.family.binding,
            live_only: self.live_only,
            claims: grant.claims.clone(),
        }
    }
}
