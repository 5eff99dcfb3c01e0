//! The tokens that a decision issues.

use std::sync::Arc;
use std::time::Duration;

use super::context::Context;
use crate::family::{CodeCheck, FamilySecret, Issued, Status, TokenFamily};
use crate::grant::{AccessClaims, Audience, Binding, Grant, Resource, Scope, SubjectAndClient};
use crate::id::FamilyId;
use crate::time::Timestamp;

/// Begins a family: at generation 0 if there is a code to redeem, otherwise at generation 1.
pub(crate) fn begin(
    id: FamilyId,
    secret: FamilySecret,
    grant: Grant,
    code: Option<CodeCheck>,
    binding: Option<Binding>,
    cx: &Context<'_>,
) -> TokenFamily {
    TokenFamily {
        id,
        absolute_expires_at: cx.now.saturating_add(cx.policies.lifetimes(&grant).absolute),
        grant: Arc::new(grant),
        generation: if code.is_some() { 0 } else { 1 },
        created_at: cx.now,
        issued: [Issued { at: cx.now, by: cx.issuer }, Issued::default(), Issued::default()],
        used_at: cx.now,
        status: Status::Active,
        secret: secret.into(),
        code: code.map(Arc::new),
        binding: binding.map(Arc::new),
        retries: 0,
        confirmed: false,
        key_id: cx.key_id,
    }
}

/// Returns the first tokens of a family that begins without a code.
pub fn issue(family: &TokenFamily, cx: &Context<'_>) -> Issue {
    Issue::new(family.clone(), family.grant.scope(), family.grant.resources.clone(), cx)
}

/// The tokens to issue.
#[derive(Debug)]
#[non_exhaustive]
pub struct Issue {
    /// The family after the write. Its current refresh token is the one to return.
    pub family: TokenFamily,
    /// The scope of the access token.
    pub scope: Scope,
    pub(crate) audience: Audience,
    /// The longest lifetime of the access token, before the jitter.
    pub lifetime: Duration,
    /// By how much, at most, that lifetime is shortened at random.
    pub jitter_span: Duration,
    /// Whether the access token is valid only with a live check.
    pub live_only: bool,
    /// How long the refresh token stays valid without use.
    pub idle: Duration,
    /// How long the family has until its absolute end.
    pub absolute: Duration,
    /// Whether this repeats an answer that was given before.
    pub retry: bool,
}

impl Issue {
    /// Returns what to issue for `family`, which is the family after the write.
    pub(super) fn new(family: TokenFamily, scope: &Scope, audience: Audience, cx: &Context<'_>) -> Self {
        let lifetimes = cx.policies.lifetimes(&family.grant);
        let policy = cx.policies.policy(family.grant.client_id());
        let absolute = family.absolute_end(&lifetimes).since(cx.now);
        let idle = family.idle_end(&lifetimes).since(cx.now).min(absolute);
        // After its idle end the record may be purged, and then a live check would not find it.
        let lifetime = cx.policies.access_lifetime(family.grant.client_id(), scope).min(idle);
        Self {
            scope: scope.clone(),
            audience,
            lifetime,
            jitter_span: policy.jitter_span(lifetime),
            // The lost-response window closes when the successor is seen. So the successor must not be used without the
            // issuer seeing it.
            live_only: policy.lost_response_window.is_some(),
            idle,
            absolute,
            retry: false,
            family,
        }
    }

    /// Returns the audience of the access token.
    pub fn audience(&self) -> &[Resource] {
        self.audience.as_slice()
    }

    /// Returns the claims of the access token. Its lifetime is shortened by `jitter`, which must be uniformly random.
    pub fn claims(&self, now: Timestamp, jitter: u32) -> AccessClaims {
        // The result is uniform over the whole seconds from 0 to the span.
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
            binding: self.family.binding().copied(),
            live_only: self.live_only,
            claims: grant.claims.clone(),
        }
    }
}
