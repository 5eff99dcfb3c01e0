//! How tokens live: lifetimes, rotation, leeway, and what reuse leads to.

use std::collections::HashMap;
use std::time::Duration;

use crate::client::{Binding, Client, ClientKind};
use crate::grant::{Grant, Scope};
use crate::time::CLOCK_TOLERANCE;

/// How many times the tolerated retry window fits into the span of the jitter. A thief who aims at the middle of the victim's
/// window passes undetected with probability 2L/J, so one rotation in three at most.
const JITTER_PER_LEEWAY: u32 = 6;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = minutes(1);
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
    /// changed, the answer carries the same token made with the new key, and the one made with the old key stays good.
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
    /// Revoke every family of the subject, at every client. In the last minutes of a family, when its leeway has shrunk with what
    /// is left of it, a request of an honest client that comes late counts as reuse as well.
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

/// What a live check says of access tokens whose refresh token has been spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnSuperseded {
    /// They are good until they expire, so that calls under way are not cut off.
    Accept,
    /// They are refused once no issuer answers the spent refresh token any more: after the leeway and [`CLOCK_TOLERANCE`], and
    /// after a lost-response window. Not before: a refusal at the rotation would show a thief of both tokens when the victim has
    /// rotated, and so when the leeway is open.
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
/// | [`strict`](Self::strict) | 14 to 15 min | 7 d | 30 d | none | where losing a session is better than any doubt |
/// | [`standard`](Self::standard) | 25 to 30 min | 14 d | 90 d | 30 s | the default |
/// | [`shared_credential`](Self::shared_credential) | 16 to 30 min | 14 d | 90 d | 2 min | several processes with one credential file |
/// | [`reusable`](Self::reusable) | 25 to 30 min | 14 d | 90 d | 30 s | confidential or sender-constrained clients: no rotation |
/// | [`background_agent`](Self::background_agent) | 5 to 10 min | 30 d | 90 d | 30 s | agents that work without their user |
///
/// # How a thief is found
///
/// A thief who holds a copy of the current refresh token goes undetected only while thief and victim refresh within one leeway
/// *L* of each other. The victim refreshes when its access token expires, and that moment is random: each access token's life
/// is shortened by up to a span *J*. A thief who knows everything but the random number survives one rotation with probability
/// 2*L*/*J*, and *n* rotations with (2*L*/*J*)<sup>n</sup>. The span is at least six times the leeway and the tolerance for
/// clocks ([`CLOCK_TOLERANCE`]) together, for every token that can be issued: where a short life leaves no room for that span,
/// the leeway shrinks with it. So the median theft is found at the first rotation, and 99 % within six.
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
    pub(crate) reuse_leeway: Duration,
    pub(crate) retry_limit: Option<u32>,
    pub(crate) lost_response_window: Option<Duration>,
    pub(crate) code_retry_window: Duration,
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
            reuse_leeway: Duration::from_secs(30),
            retry_limit: None,
            lost_response_window: None,
            code_retry_window: Duration::ZERO,
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

    /// For several processes that share one credential file: two minutes of leeway.
    pub const fn shared_credential() -> Self {
        Self { reuse_leeway: minutes(2), ..Self::standard() }
    }

    /// No rotation for confidential clients and sender-constrained families.
    pub const fn reusable() -> Self {
        Self { rotation: Rotation::UnlessConstrained, ..Self::standard() }
    }

    /// Access tokens of ten minutes at most, for agents that work without their user.
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
        RotationPolicyBuilder { policy: self, leeway_is_chosen: false }
    }

    /// The lifetimes, before any [`ScopeLimit`].
    pub const fn lifetimes(&self) -> Lifetimes {
        self.lifetimes
    }

    /// How long a spent token is still answered with the current one, at most: [`PolicySet::reuse_leeway`] has what is left of
    /// it where a [`ScopeLimit`] shortens the access tokens.
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

    /// By how much at most an access token that may live for `lifetime` is shortened at random; see [how a thief is
    /// found](Self#how-a-thief-is-found). It never falls when the lifetime grows.
    pub fn jitter_span(&self, lifetime: Duration) -> Duration {
        let tolerance = if self.reuse_leeway.is_zero() { Duration::ZERO } else { CLOCK_TOLERANCE };
        let percent = lifetime.saturating_mul(self.jitter_percent.into()) / 100;
        percent.max(JITTER_PER_LEEWAY * (self.reuse_leeway + tolerance)).min(lifetime / 2)
    }

    /// The leeway of a spent refresh token whose access tokens lived for at least `lifetime` but for the jitter, and the
    /// tolerance for clocks on top of it if another issuer spent it: both together at most a sixth of the jitter's span.
    pub(crate) fn leeway(&self, lifetime: Duration) -> Leeway {
        let room = most_leeway(self.jitter_span(lifetime));
        let own = self.reuse_leeway.min(room);
        let tolerance = if own.is_zero() { own } else { CLOCK_TOLERANCE.min(room - own) };
        Leeway { own, across_issuers: own + tolerance }
    }
}

/// The longest leeway that a jitter of `span` outweighs. In whole seconds a thief meets the victim in 2L − 1 of the span's
/// J + 1, which must be a third at most.
fn most_leeway(span: Duration) -> Duration {
    Duration::from_secs((span.as_secs() + 4) / u64::from(JITTER_PER_LEEWAY))
}

/// How long a spent token is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Leeway {
    /// By the issuer that answered it when it was spent.
    pub(crate) own: Duration,
    /// By any other issuer, whose clock may differ.
    pub(crate) across_issuers: Duration,
}

/// Builds a [`RotationPolicy`]. Durations count in whole seconds; fractions are cut off.
#[derive(Clone, Copy, Debug)]
#[must_use = "a builder does nothing until it is built"]
pub struct RotationPolicyBuilder {
    policy: RotationPolicy,
    /// A leeway that comes from a preset is cut to what fits; one that was asked for is refused if it does not fit.
    leeway_is_chosen: bool,
}

macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident($value:ident: $type:ty) => $($field:ident).+;)+) => {
        impl RotationPolicyBuilder {
            $(
                $(#[$doc])*
                pub const fn $name(mut self, $value: $type) -> Self {
                    self.policy.$($field).+ = $value;
                    self
                }
            )+
        }
    };
}

setters! {
    /// Longest lifetime of an access token. The default is 30 minutes.
    access_lifetime(lifetime: Duration) => lifetimes.access;
    /// Lifetime of a refresh token that is not used. The default is 14 days.
    idle_lifetime(lifetime: Duration) => lifetimes.idle;
    /// Lifetime of the whole family, never extended. The default is 90 days.
    absolute_lifetime(lifetime: Duration) => lifetimes.absolute;
    /// Lifetime of an authorization code, at most ten minutes (OAuth 2.1 §4.1.2). The default is one minute.
    code_lifetime(lifetime: Duration) => lifetimes.code;
    /// When less than this is left of the family, no access token is issued any more. The default is 5 seconds.
    min_access_lifetime(lifetime: Duration) => min_access;
    /// By how many percent, at least, an access token's life may be shortened at random; 50 at most, 5 by default. The span
    /// is wider where the leeway asks for it: see [how a thief is found](RotationPolicy#how-a-thief-is-found).
    jitter_percent(percent: u8) => jitter_percent;
    /// Whether refresh tokens rotate. The default is [`Rotation::Always`].
    rotation(rotation: Rotation) => rotation;
    /// How often, in one generation, spent tokens may be answered with the current one. The default, `None`, counts nothing,
    /// so that a retry costs no write.
    retry_limit(limit: Option<u32>) => retry_limit;
    /// How long after a rotation the spent token is still answered with its successor if nothing shows that the successor
    /// ever arrived. The default, `None`, is not to.
    ///
    /// A live check or an introspection of the successor's access token shows it; both cost one write per rotation then. An
    /// offline check shows nothing, so it refuses the access tokens of such a policy
    /// ([`VerifyError::LiveCheckRequired`](crate::VerifyError::LiveCheckRequired)).
    lost_response_window(window: Option<Duration>) => lost_response_window;
    /// How long after its redemption an authorization code is answered again, never beyond its own lifetime. The default is
    /// zero: a code is used once, and presenting it again revokes what it led to (OAuth 2.1 §4.1.3).
    code_retry_window(window: Duration) => code_retry_window;
    /// What reuse leads to. The default is [`OnReuse::RevokeFamily`].
    on_reuse(act: OnReuse) => on_reuse;
    /// What becomes of a token ahead of the store. The default is [`OnAhead::Reject`].
    on_ahead(act: OnAhead) => on_ahead;
    /// What a live check says of access tokens whose refresh token is spent. The default is [`OnSuperseded::Accept`].
    on_superseded(act: OnSuperseded) => on_superseded;
}

impl RotationPolicyBuilder {
    /// How long a spent refresh token is still answered with the current one, counted from when that token was spent and never
    /// extended: at most about a twelfth of the access lifetime, because the jitter must outweigh it
    /// ([how a thief is found](RotationPolicy#how-a-thief-is-found)). Zero means strict single use. By default it is that of
    /// the preset (30 seconds), or a twelfth of the access lifetime if that is less.
    ///
    /// In the last access lifetime of a family, whose tokens end with it, the leeway shrinks to a twelfth of what is left.
    pub const fn reuse_leeway(mut self, leeway: Duration) -> Self {
        self.policy.reuse_leeway = leeway;
        self.leeway_is_chosen = true;
        self
    }

    /// The policy.
    ///
    /// # Errors
    ///
    /// [`PolicyError`] names the setting, its value and its bound.
    pub fn build(self) -> Result<RotationPolicy, PolicyError> {
        let Lifetimes { access, idle, absolute, code } = self.policy.lifetimes;
        let most_leeway = most_leeway(access / 2);
        let reuse_leeway = match self.leeway_is_chosen {
            true => Duration::from_secs(self.policy.reuse_leeway.as_secs()),
            false => self.policy.reuse_leeway.min(most_leeway),
        };
        let policy = RotationPolicy { reuse_leeway, ..self.policy };
        for (setting, value) in [
            ("access_lifetime", access),
            ("idle_lifetime", idle),
            ("absolute_lifetime", absolute),
            ("code_lifetime", code),
            ("min_access_lifetime", policy.min_access),
        ] {
            at_least(setting, value, "at least", SECOND)?;
        }
        at_most("access_lifetime", access, "at most", RotationPolicy::LONGEST_ACCESS)?;
        at_most("access_lifetime", access, "at most idle_lifetime =", idle)?;
        at_most("idle_lifetime", idle, "at most absolute_lifetime =", absolute)?;
        at_most("code_lifetime", code, "at most", 10 * MINUTE)?;
        at_most("min_access_lifetime", policy.min_access, "at most access_lifetime =", access)?;
        at_most("reuse_leeway", reuse_leeway, "at most about a twelfth of access_lifetime =", most_leeway)?;
        at_most("code_retry_window", policy.code_retry_window, "at most code_lifetime =", code)?;
        if let Some(window) = policy.lost_response_window {
            at_least("lost_response_window", window, "at least reuse_leeway =", reuse_leeway)?;
            at_most("lost_response_window", window, "at most idle_lifetime =", idle)?;
        }
        if policy.jitter_percent > 50 {
            let value = policy.jitter_percent.into();
            return Err(PolicyError::Number { setting: "jitter_percent", value, bound: "at most", limit: 50 });
        }
        if policy.retry_limit == Some(0) {
            return Err(PolicyError::Number { setting: "retry_limit", value: 0, bound: "at least", limit: 1 });
        }
        Ok(policy)
    }
}

fn at_least(setting: &'static str, value: Duration, bound: &'static str, limit: Duration) -> Result<(), PolicyError> {
    if value < limit { Err(PolicyError::Duration { setting, value, bound, limit }) } else { Ok(()) }
}

fn at_most(setting: &'static str, value: Duration, bound: &'static str, limit: Duration) -> Result<(), PolicyError> {
    if value > limit { Err(PolicyError::Duration { setting, value, bound, limit }) } else { Ok(()) }
}

/// Why a policy was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// A duration is out of its bounds.
    #[error("{setting} must be {bound} {limit:?}, got {value:?}")]
    #[non_exhaustive]
    Duration {
        /// The setting of [`RotationPolicyBuilder`].
        setting: &'static str,
        /// What it was set to.
        value: Duration,
        /// What kind of bound it breaks.
        bound: &'static str,
        /// The bound.
        limit: Duration,
    },
    /// A number is out of its bounds.
    #[error("{setting} must be {bound} {limit}, got {value}")]
    #[non_exhaustive]
    Number {
        /// The setting of [`RotationPolicyBuilder`].
        setting: &'static str,
        /// What it was set to.
        value: u32,
        /// What kind of bound it breaks.
        bound: &'static str,
        /// The bound.
        limit: u32,
    },
}

impl PolicyError {
    /// The name of the setting that was refused.
    pub fn setting(&self) -> &'static str {
        let (Self::Duration { setting, .. } | Self::Number { setting, .. }) = self;
        setting
    }
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
