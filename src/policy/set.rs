//! The policies in force: one for each client, with limits for scopes.

use std::collections::HashMap;
use std::time::Duration;

use super::lifetimes::{Lifetimes, ScopeLimit};
use super::rotation_policy::RotationPolicy;
use crate::grant::{Grant, Scope};

/// The policies of a deployment: a default, others for certain clients, shorter lifetimes for certain scopes.
///
/// A client's policy replaces the default; of its lifetimes and those of every [`ScopeLimit`] that applies the shortest
/// wins. Whatever the set says when a token is presented holds for that token, also if it was issued under another.
///
/// ```
/// use std::time::Duration;
/// use mcp_token_lifecycle::{PolicySet, RotationPolicy, ScopeLimit};
///
/// let policies = PolicySet::new(RotationPolicy::standard())
///     .with_client("nightly-agent", RotationPolicy::background_agent())
///     .with_scope("admin", ScopeLimit::access(Duration::from_secs(300)).and_idle(Duration::from_secs(3600)));
/// ```
#[derive(Clone, Debug, Default)]
pub struct PolicySet {
    default: RotationPolicy,
    clients: HashMap<String, RotationPolicy>,
    scopes: HashMap<String, ScopeLimit>,
}

impl PolicySet {
    /// One policy for everybody.
    pub fn new(default: RotationPolicy) -> Self {
        Self { default, ..Self::default() }
    }

    /// Another policy for one client.
    pub fn with_client(mut self, client_id: impl Into<String>, policy: RotationPolicy) -> Self {
        self.clients.insert(client_id.into(), policy);
        self
    }

    /// Shorter lifetimes for one scope token.
    pub fn with_scope(mut self, token: impl Into<String>, limit: ScopeLimit) -> Self {
        self.scopes.insert(token.into(), limit);
        self
    }

    /// The policy for `client_id`.
    pub fn policy(&self, client_id: &str) -> &RotationPolicy {
        self.clients.get(client_id).unwrap_or(&self.default)
    }

    /// The lifetimes of `grant`: those of its client, cut by every scope in it.
    pub fn lifetimes(&self, grant: &Grant) -> Lifetimes {
        self.limited(grant.client_id(), grant.scope())
    }

    /// How long an access token of `client_id` with `scope` lives, before it is shortened at random.
    pub fn access_lifetime(&self, client_id: &str, scope: &Scope) -> Duration {
        self.limited(client_id, scope).access
    }

    /// How long a spent refresh token of `grant` is still answered with the current one, far from the end of its family.
    pub fn reuse_leeway(&self, grant: &Grant) -> Duration {
        self.policy(grant.client_id()).leeway(self.lifetimes(grant).access).own
    }

    fn limited(&self, client_id: &str, scope: &Scope) -> Lifetimes {
        let lifetimes = self.policy(client_id).lifetimes;
        if self.scopes.is_empty() {
            return lifetimes;
        }
        scope
            .iter()
            .filter_map(|token| self.scopes.get(token))
            .fold(lifetimes, |lifetimes, limit| lifetimes.min(*limit))
    }
}

impl From<RotationPolicy> for PolicySet {
    fn from(policy: RotationPolicy) -> Self {
        Self::new(policy)
    }
}
