//! The policies in force: one for each client, with limits for scopes.

use std::collections::HashMap;
use std::time::Duration;

use super::lifetimes::{Lifetimes, ScopeLimit};
use super::rotation_policy::RotationPolicy;
use crate::grant::{Grant, Scope};

/// The policies of a deployment: a default, policies for certain clients, and shorter lifetimes for certain scopes.
///
/// The policy of a client replaces the default. Where a [`ScopeLimit`] applies, the shorter lifetime wins. The set in
/// force when a token is presented applies to that token, even if the token was issued under another set.
///
/// ```
/// use std::time::Duration;
/// use mcp_token_lifecycle::{PolicySet, RotationPolicy, ScopeLimit};
///
/// let policies = PolicySet::new(RotationPolicy::standard())
///     .with_client("nightly-agent", RotationPolicy::background_agent())
///     .with_scope("admin", ScopeLimit::access(Duration::from_secs(300)).with_idle(Duration::from_secs(3600)));
/// ```
#[derive(Clone, Debug, Default)]
pub struct PolicySet {
    default: RotationPolicy,
    clients: HashMap<String, RotationPolicy>,
    scopes: HashMap<String, ScopeLimit>,
}

impl PolicySet {
    /// Creates a set with one policy for each client.
    pub fn new(default: RotationPolicy) -> Self {
        Self { default, ..Self::default() }
    }

    /// Sets another policy for one client.
    pub fn with_client(mut self, client_id: impl Into<String>, policy: RotationPolicy) -> Self {
        self.clients.insert(client_id.into(), policy);
        self
    }

    /// Sets shorter lifetimes for one scope token.
    pub fn with_scope(mut self, token: impl Into<String>, limit: ScopeLimit) -> Self {
        self.scopes.insert(token.into(), limit);
        self
    }

    /// Returns the policy for `client_id`.
    pub fn policy(&self, client_id: &str) -> &RotationPolicy {
        self.clients.get(client_id).unwrap_or(&self.default)
    }

    /// Returns the lifetimes of `grant`: those of its client, limited by every scope in it.
    pub fn lifetimes(&self, grant: &Grant) -> Lifetimes {
        self.limited(grant.client_id(), grant.scope())
    }

    /// Returns the longest lifetime of an access token of `client_id` with `scope`, before the jitter shortens it.
    pub fn access_lifetime(&self, client_id: &str, scope: &Scope) -> Duration {
        self.limited(client_id, scope).access
    }

    /// Returns for how long a spent refresh token of `grant` is still answered with the current one, before the last
    /// access lifetime of its family.
    pub fn reuse_leeway(&self, grant: &Grant) -> Duration {
        self.policy(grant.client_id()).leeway(self.lifetimes(grant).access).own
    }

    fn limited(&self, client_id: &str, scope: &Scope) -> Lifetimes {
        let limits = scope.iter().filter_map(|token| self.scopes.get(token));
        limits.fold(self.policy(client_id).lifetimes, |lifetimes, limit| lifetimes.min(*limit))
    }
}

impl From<RotationPolicy> for PolicySet {
    fn from(policy: RotationPolicy) -> Self {
        Self::new(policy)
    }
}
