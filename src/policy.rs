//! How tokens live: lifetimes, rotation, leeway, and what reuse leads to.

use std::collections::HashMap;
use std::time::Duration;

use crate::client::{Binding, Client, ClientKind};
use crate::grant::{Grant, Scope};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = minutes(1);
const HOUR: Duration = minutes(60);
const DAY: Duration = days(1);

const fn minutes(count: u64) -> Duration {
    Duration::from_secs(count * 60)
}

const fn days(count: u64) -> Duration {
    minutes(count * 24 * 60)
}

/// When a refresh answers with a new refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rotation {
    /// At every refresh.
    Always,
    /// Not for confidential clients and sender-constrained families, whose refresh token a thief cannot use; for all others
    /// at every refresh, because a public client must have the one or the other (RFC 9700 §2.2.2). When the primary key has
    /// changed, each token rotates once.
    UnlessConstrained,
}

/// What the reuse of a spent token leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnReuse {
    /// Revoke the family: victim and thief both lose it (RFC 9700 §4.14.2).
    RevokeFamily,
    /// Refuse the request and report it; the family lives on.
    RejectOnly,
    /// Revoke every family of the subject, at every client.
    RevokeSubject,
}

/// What to do with a genuine token that is ahead of the store, which happens when the store was restored from a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnAhead {
    /// Refuse it: the user logs in again.
    Reject,
    /// Believe it and go on from there. What was rotated or revoked since the backup is forgotten, so a spent token can come
    /// back to life: choose it only if that is the lesser evil.
    FastForward,
}

/// What a live check says of access tokens from before the last rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnSuperseded {
    /// They are good until they expire, so that calls under way are not cut off.
    Accept,
    /// They are dead from the rotation on.
    Reject,
}

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
    fn min(self, limit: ScopeLimit) -> Self {
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

/// How the tokens of a client are rotated and how long they live; checked once, when it is built.
///
/// | preset | access | idle | absolute | leeway | for |
/// |---|---|---|---|---|---|
/// | [`strict`](Self::strict) | 15 min | 7 d | 30 d | none | where losing a session is better than any doubt |
/// | [`standard`](Self::standard) | 30 min | 14 d | 90 d | 30 s | the default |
/// | [`shared_credential`](Self::shared_credential) | 30 min | 14 d | 90 d | 2 min, 24 h for a lost response | several processes with one credential file |
/// | [`reusable`](Self::reusable) | 30 min | 14 d | 90 d | 30 s | confidential or sender-constrained clients: no rotation |
/// | [`background_agent`](Self::background_agent) | 10 min | 30 d | 90 d | 30 s | agents that work without their user |
///
/// ```
/// use std::time::Duration;
/// use mcp_token_lifecycle::RotationPolicy;
///
/// let policy = RotationPolicy::builder()
///     .access_lifetime(Duration::from_secs(15 * 60))
///     .reuse_leeway(Duration::from_secs(10))
///     .build()?;
/// # Ok::<(), mcp_token_lifecycle::PolicyError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RotationPolicy {
    pub(crate) rotation: Rotation,
    pub(crate) rotation_interval: Duration,
    pub(crate) reuse_leeway: Duration,
    pub(crate) retry_limit: Option<u32>,
    pub(crate) lost_response_window: Option<Duration>,
    pub(crate) on_reuse: OnReuse,
    pub(crate) on_ahead: OnAhead,
    pub(crate) on_superseded: OnSuperseded,
    pub(crate) lifetimes: Lifetimes,
    pub(crate) min_access: Duration,
    pub(crate) jitter_percent: u8,
}

impl Default for RotationPolicy {
    /// [`RotationPolicy::standard`].
    fn default() -> Self {
        Self::standard()
    }
}

impl RotationPolicy {
    /// The longest access lifetime that any policy may have.
    pub const LONGEST_ACCESS: Duration = DAY;

    /// Rotation with a leeway of 30 seconds for lost responses and parallel refreshes.
    pub const fn standard() -> Self {
        Self {
            rotation: Rotation::Always,
            rotation_interval: Duration::ZERO,
            reuse_leeway: Duration::from_secs(30),
            retry_limit: None,
            lost_response_window: None,
            on_reuse: OnReuse::RevokeFamily,
            on_ahead: OnAhead::Reject,
            on_superseded: OnSuperseded::Accept,
            lifetimes: Lifetimes { access: minutes(30), idle: days(14), absolute: days(90), code: MINUTE },
            min_access: Duration::from_secs(5),
            jitter_percent: 5,
        }
    }

    /// Strict single use: no leeway, shorter lifetimes. A client that loses one response loses its session.
    pub const fn strict() -> Self {
        let lifetimes = Lifetimes { access: minutes(15), idle: days(7), absolute: days(30), code: MINUTE };
        Self { reuse_leeway: Duration::ZERO, lifetimes, ..Self::standard() }
    }

    /// For several processes that share one credential file: two minutes of leeway, and a day to come back for a successor
    /// that nobody has used yet.
    pub const fn shared_credential() -> Self {
        Self { reuse_leeway: minutes(2), lost_response_window: Some(DAY), ..Self::standard() }
    }

    /// No rotation for confidential clients and sender-constrained families.
    pub const fn reusable() -> Self {
        Self { rotation: Rotation::UnlessConstrained, ..Self::standard() }
    }

    /// Access tokens of ten minutes, for agents that work without their user.
    pub const fn background_agent() -> Self {
        let lifetimes = Lifetimes { access: minutes(10), idle: days(30), ..Self::standard().lifetimes };
        Self { lifetimes, ..Self::standard() }
    }

    /// A builder that begins with [`RotationPolicy::standard`].
    pub const fn builder() -> RotationPolicyBuilder {
        Self::standard().to_builder()
    }

    /// A builder that begins with this policy.
    pub const fn to_builder(self) -> RotationPolicyBuilder {
        RotationPolicyBuilder(self)
    }

    /// The lifetimes, before any [`ScopeLimit`].
    pub const fn lifetimes(&self) -> Lifetimes {
        self.lifetimes
    }

    /// How long a spent token is still answered with its successor.
    pub const fn reuse_leeway(&self) -> Duration {
        self.reuse_leeway
    }

    pub(crate) fn rotates(&self, client: &Client, binding: Option<&Binding>) -> bool {
        match self.rotation {
            Rotation::Always => true,
            Rotation::UnlessConstrained => {
                client.kind() == ClientKind::Public && !binding.is_some_and(Binding::is_sender_constraint)
            }
        }
    }
}

/// Builds a [`RotationPolicy`]. Durations count in whole seconds; fractions are cut off.
#[derive(Clone, Copy, Debug)]
#[must_use = "a builder does nothing until it is built"]
pub struct RotationPolicyBuilder(RotationPolicy);

macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident($value:ident: $type:ty) => $($field:ident).+;)+) => {
        impl RotationPolicyBuilder {
            $(
                $(#[$doc])*
                pub const fn $name(mut self, $value: $type) -> Self {
                    self.0.$($field).+ = $value;
                    self
                }
            )+
        }
    };
}

setters! {
    /// Lifetime of an access token. The default is 30 minutes.
    access_lifetime(lifetime: Duration) => lifetimes.access;
    /// Lifetime of a refresh token that is not used. The default is 14 days.
    idle_lifetime(lifetime: Duration) => lifetimes.idle;
    /// Lifetime of the whole family, never extended. The default is 90 days.
    absolute_lifetime(lifetime: Duration) => lifetimes.absolute;
    /// Lifetime of an authorization code, at most ten minutes (OAuth 2.1 §4.1.2). The default is one minute.
    code_lifetime(lifetime: Duration) => lifetimes.code;
    /// When less than this is left of the family, no access token is issued any more. The default is 5 seconds.
    min_access_lifetime(lifetime: Duration) => min_access;
    /// By how many percent at most, at random, an access token's life is shortened; 50 at most, 5 by default. It keeps a
    /// thief from refreshing forever inside the victim's leeway.
    jitter_percent(percent: u8) => jitter_percent;
    /// Whether refresh tokens rotate. The default is [`Rotation::Always`].
    rotation(rotation: Rotation) => rotation;
    /// How long a refresh token that was just issued is answered with itself instead of a successor; at most the reuse
    /// leeway. The default is zero.
    ///
    /// For clients whose parallel refreshes do not all present the same token, because one of them reads what another was
    /// just given: each would rotate once more, and the slowest would present a token from before the previous one, which
    /// is reuse. The TypeScript SDK for MCP is such a client.
    rotation_interval(interval: Duration) => rotation_interval;
    /// How long after a rotation the spent token is answered with its successor again, counted from the rotation and never
    /// extended. The default is 30 seconds; zero means strict single use.
    reuse_leeway(leeway: Duration) => reuse_leeway;
    /// How often a spent token may be answered with its successor. The default, `None`, counts nothing, so that a retry
    /// costs no write.
    retry_limit(limit: Option<u32>) => retry_limit;
    /// How long after a rotation the spent token is still answered with its successor if nothing shows that the successor
    /// ever arrived. The default, `None`, is not to.
    ///
    /// A live check or an introspection of the successor's access token shows it; both cost one write per rotation then.
    lost_response_window(window: Option<Duration>) => lost_response_window;
    /// What reuse leads to. The default is [`OnReuse::RevokeFamily`].
    on_reuse(act: OnReuse) => on_reuse;
    /// What becomes of a token ahead of the store. The default is [`OnAhead::Reject`].
    on_ahead(act: OnAhead) => on_ahead;
    /// What a live check says of access tokens from before the last rotation. The default is [`OnSuperseded::Accept`].
    on_superseded(act: OnSuperseded) => on_superseded;
}

impl RotationPolicyBuilder {
    /// The policy.
    ///
    /// # Errors
    ///
    /// [`PolicyError`] names the setting that contradicts another.
    pub fn build(self) -> Result<RotationPolicy, PolicyError> {
        let policy = self.0;
        let Lifetimes { access, idle, absolute, code } = policy.lifetimes;
        let shortest = access.min(idle).min(absolute).min(code).min(policy.min_access);
        let window = policy.lost_response_window.unwrap_or(policy.reuse_leeway);
        let broken = [
            (shortest < SECOND, PolicyError::TooShort),
            (policy.min_access > access, PolicyError::MinAccessBeyondAccess),
            (access > RotationPolicy::LONGEST_ACCESS, PolicyError::AccessTooLong),
            (access > idle, PolicyError::AccessBeyondIdle),
            (idle > absolute, PolicyError::IdleBeyondAbsolute),
            (code > 10 * MINUTE, PolicyError::CodeTooLong),
            (policy.jitter_percent > 50, PolicyError::TooMuchJitter),
            (policy.reuse_leeway > HOUR, PolicyError::LeewayTooLong),
            (policy.rotation_interval > policy.reuse_leeway, PolicyError::IntervalBeyondLeeway),
            (window < policy.reuse_leeway || window > idle, PolicyError::WindowOutOfRange),
            (policy.retry_limit == Some(0), PolicyError::NoRetry),
        ];
        match broken.into_iter().find(|(broken, _)| *broken) {
            Some((_, error)) => Err(error),
            None => Ok(policy),
        }
    }
}

/// Why a policy was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// A lifetime below one second.
    #[error("a lifetime is shorter than one second")]
    TooShort,
    /// The least access lifetime is above the access lifetime.
    #[error("the least access lifetime is longer than the access lifetime")]
    MinAccessBeyondAccess,
    /// Access tokens of more than a day are not short-lived.
    #[error("an access token may live for 24 hours at most")]
    AccessTooLong,
    /// An access token would outlive its refresh token.
    #[error("the access lifetime is longer than the idle lifetime")]
    AccessBeyondIdle,
    /// An idle refresh token would outlive its family.
    #[error("the idle lifetime is longer than the absolute lifetime")]
    IdleBeyondAbsolute,
    /// More than OAuth 2.1 §4.1.2 recommends.
    #[error("an authorization code may live for 10 minutes at most")]
    CodeTooLong,
    /// More than half of the lifetime.
    #[error("the jitter may be 50 percent at most")]
    TooMuchJitter,
    /// A leeway that long is no leeway but a second life.
    #[error("the reuse leeway may be one hour at most")]
    LeewayTooLong,
    /// A token would be kept for longer than its predecessor is tolerated.
    #[error("the rotation interval is longer than the reuse leeway")]
    IntervalBeyondLeeway,
    /// The leeway or the lost-response window does not fit in.
    #[error("the lost-response window must be between the reuse leeway and the idle lifetime")]
    WindowOutOfRange,
    /// A limit of zero; for no retries at all the leeway is zero.
    #[error("a retry limit must be at least 1")]
    NoRetry,
}

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

    /// How long an access token of `client_id` with `scope` lives.
    pub fn access_lifetime(&self, client_id: &str, scope: &Scope) -> Duration {
        self.limited(client_id, scope).access
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
