//! The slot: everything that the vault knows about one account, in one record.
#![allow(clippy::exhaustive_enums, reason = "these types are public for the model check alone")]

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::audit::UpstreamReason;
use crate::time::Timestamp;
use crate::vault::bound_to::BoundTo;
use crate::vault::{Credential, RefreshPolicy, TokenSet};

/// The largest number of secrets of one account that wait for their revocation.
pub const MAX_ENDING: usize = 4;

/// A random value that names one secret of an account. Each secret gets a new one, so an event about a secret that is
/// gone finds nothing. The jitter of the refresh derives from it too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SecretId(pub [u8; 16]);

/// A random value that names one operation of one process. An operation recognizes its own claim by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OperationId(pub [u8; 16]);

impl OperationId {
    /// For a look that claims nothing. No claim has this id.
    pub const NONE: Self = Self([0; 16]);
}

/// The exclusive right of one operation to ask the service about one secret, for a limited time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Claim {
    /// The operation that holds the claim.
    pub by: OperationId,
    /// When the claim began.
    pub since: Timestamp,
    /// When the holder must have its answer. Other processes respect the claim for longer: by the difference that the
    /// policy allows between two clocks, and by the outages of the store since it began.
    pub until: Timestamp,
}

/// The pause after failures of the service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BackOff {
    /// How many requests in a row have failed.
    pub failures: u32,
    /// When the last one failed.
    pub failed_at: Timestamp,
    /// When the next one may be sent.
    pub retry_at: Timestamp,
    /// Since when the service has refused with codes that are not known.
    pub refused_since: Option<Timestamp>,
}

/// Why a request to the service failed, and how long the service asks the client to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Failure {
    /// The reason.
    pub reason: UpstreamReason,
    /// How long to wait, in seconds.
    pub retry_after: Option<std::time::Duration>,
}

/// One secret of an account. Two with the same id are the same.
#[derive(Clone, Debug)]
pub struct Held {
    /// The name of the secret.
    pub id: SecretId,
    /// Its number among the secrets of the account, from 1.
    pub generation: u64,
    /// When it was obtained; for tokens from a refresh, when that was sent.
    pub obtained_at: Timestamp,
    /// The session or client that it is bound to.
    pub bound_to: BoundTo,
    /// The secret itself.
    pub credential: Arc<Credential>,
}

impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Held {}

impl std::hash::Hash for Held {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

impl Held {
    /// The tokens, unless the secret is static.
    pub fn tokens(&self) -> Option<&TokenSet> {
        match &*self.credential {
            Credential::OAuth(tokens) => Some(tokens),
            Credential::Static(_) => None,
        }
    }

    /// Whether there is a refresh token that has not expired at `now`.
    pub fn can_refresh(&self, now: Timestamp) -> bool {
        self.tokens().is_some_and(|tokens| tokens.can_refresh(now))
    }

    /// When the last token expires, if that is known.
    pub fn expires_at(&self) -> Option<Timestamp> {
        let tokens = self.tokens()?;
        match tokens.refresh_token {
            Some(_) => Some(tokens.refresh_expires_at?.max(tokens.expires_at?)),
            None => tokens.expires_at,
        }
    }
}

/// Everything about one account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Slot {
    /// How many secrets the account has had.
    pub generation: u64,
    /// The secret that is leased.
    pub current: Option<Live>,
    /// Secrets that are not leased and still to be revoked at the service, the oldest first.
    pub ending: Vec<Ending>,
}

impl Slot {
    /// Whether nothing is left of the account but its numbers.
    pub fn is_empty(&self) -> bool {
        self.current.is_none() && self.ending.is_empty()
    }

    /// Whether a secret with this id is anywhere in the slot.
    pub fn has(&self, id: SecretId) -> bool {
        self.current.iter().any(|live| live.held.id == id) || self.ending.iter().any(|ending| ending.held.id == id)
    }
}

/// The secret that is leased.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Live {
    /// The secret.
    pub held: Held,
    /// Whether the service may have issued tokens for it that the vault never received.
    pub in_doubt: bool,
    /// The failures since the last success.
    pub back_off: BackOff,
    /// What goes on with it.
    pub phase: Phase,
}

/// What goes on with the secret that is leased.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Phase {
    /// Nothing.
    Ready,
    /// One operation asks the service for new tokens.
    Refreshing(Claim),
    /// The service no longer accepts it: the user has to authorize again.
    Dead,
}

/// A secret that is still to be revoked at the service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ending {
    /// The secret.
    pub held: Held,
    /// When its revocation began.
    pub since: Timestamp,
    /// Whether the service may have issued tokens for it that the vault never received.
    pub in_doubt: bool,
    /// Whether it came from a refresh since the service was last asked in vain, so that no second refresh helps.
    pub is_renewed: bool,
    /// The failures since the last success.
    pub back_off: BackOff,
    /// What goes on with it.
    pub step: Step,
}

/// What goes on with a secret that is still to be revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Step {
    /// Nothing.
    Due,
    /// One operation asks the service for new tokens: before the revocation began, or because the service revokes by a
    /// live access token alone.
    Refreshing(Claim),
    /// One operation tells the service to revoke it.
    Telling(Claim),
}

impl Claim {
    /// A claim of the operation `by` that begins at `now`.
    pub(crate) fn begin(by: OperationId, policy: &RefreshPolicy, now: Timestamp) -> Self {
        Self { by, since: now, until: now.saturating_add(policy.claim) }
    }
}

impl BackOff {
    /// The pause after one more failure, at `now`. `random` shortens it.
    pub(crate) fn failed(self, failure: Failure, policy: &RefreshPolicy, random: u8, now: Timestamp) -> Self {
        let failures = self.failures.saturating_add(1);
        let pause = policy.pause(failures, failure.retry_after, random);
        Self {
            failures,
            failed_at: now,
            retry_at: now.saturating_add(pause),
            refused_since: failure.reason.refused_since(self.refused_since, now),
        }
    }

    /// Whether the next request has to wait.
    pub(crate) fn holds_off(&self, policy: &RefreshPolicy, now: Timestamp) -> bool {
        policy.holds_off(self.failed_at, self.retry_at, now)
    }
}

impl From<UpstreamReason> for Failure {
    fn from(reason: UpstreamReason) -> Self {
        Self { reason, retry_after: None }
    }
}
