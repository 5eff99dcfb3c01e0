//! A credential and its state: the content of one record.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::bound_to::BoundTo;
use super::outage::Outage;
use crate::time::Timestamp;
use crate::vault::{Account, Credential, RefreshPolicy, UpstreamReason};

/// A credential in the vault, with its state.
pub(crate) struct Held {
    pub(crate) account: Account,
    pub(crate) bound_to: BoundTo,
    /// Counts the secrets of this account. It starts at 1 again after a revocation, and only then.
    pub(crate) generation: u64,
    pub(crate) version: SecretVersion,
    /// When the secret was obtained. For a refreshed token this is when it was requested.
    pub(crate) obtained_at: Timestamp,
    pub(crate) state: State,
    pub(crate) credential: Credential,
}

/// A random value that identifies one secret of an account. Each new secret gets a new value.
///
/// Two secrets are never mistaken for each other, even if the record was deleted and generations restarted in between.
/// The jitter of the refresh derives from it too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SecretVersion(pub(crate) [u8; 16]);

/// The state of a credential.
// The record format encodes variants by position: append variants only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum State {
    /// The credential is leased and refreshed.
    Active(Attempts),
    /// The service no longer accepts the refresh token.
    NeedsAuthorization {
        since: Timestamp,
        /// Whether the answer to an earlier refresh was lost; see [`Attempts::answer_lost`].
        answer_lost: bool,
    },
    /// The credential is not leased, and has to be revoked at the service.
    Revoking(RevocationProgress),
}

impl State {
    /// Whether the service may have issued other tokens for these that the vault does not know, because a refresh is
    /// under way or its answer was lost.
    pub(crate) fn may_have_successors(&self) -> bool {
        match self {
            Self::Active(attempts) => attempts.may_have_successors(),
            Self::NeedsAuthorization { answer_lost, .. } => *answer_lost,
            Self::Revoking(progress) => progress.may_have_successors(),
        }
    }
}

/// The refreshes since the secret was obtained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attempts {
    /// The number of claims so far.
    pub(crate) fence: u64,
    /// The claim of the process that refreshes now.
    pub(crate) claim: Option<Claim>,
    /// The number of failed refreshes.
    pub(crate) failures: u32,
    /// When the last refresh failed.
    pub(crate) failed_at: Timestamp,
    /// When the next attempt may begin.
    pub(crate) retry_at: Timestamp,
    /// Since when the service has refused with a code that is not known.
    pub(crate) refused_since: Option<Timestamp>,
    /// Whether the answer to a refresh was lost, so that the service may have replaced the refresh token.
    pub(crate) answer_lost: bool,
}

impl Attempts {
    /// Returns the claim that keeps other processes from refreshing at `now`.
    pub(crate) fn live_claim(&self, policy: &RefreshPolicy, outage: Outage, now: Timestamp) -> Option<Claim> {
        self.claim.filter(|claim| claim.holds(policy, outage, now))
    }

    /// Whether the service may have issued tokens that the vault does not know. A process that left its claim behind
    /// may have asked the service.
    pub(crate) fn may_have_successors(&self) -> bool {
        self.answer_lost || self.claim.is_some()
    }
}

/// The exclusive right to refresh a credential, until a certain time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claim {
    /// The number of this claim: one more than that of the claim before.
    pub(crate) fence: u64,
    /// A random value. It tells apart two claims of the same number, one of which the store has taken without
    /// confirming it.
    pub(crate) id: [u8; 16],
    pub(crate) since: Timestamp,
    pub(crate) until: Timestamp,
}

impl Claim {
    /// Whether the claim keeps other processes from refreshing at `now`.
    pub(crate) fn holds(&self, policy: &RefreshPolicy, outage: Outage, now: Timestamp) -> bool {
        policy.is_claimed(self.since, self.until, outage.after(self.since), now)
    }
}

/// The progress of a revocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RevocationProgress {
    pub(crate) since: Timestamp,
    /// How often the service was asked. A process counts its attempt in the record before it asks, so no two processes
    /// have the same number.
    pub(crate) attempts: u32,
    /// When the service was asked last.
    pub(crate) asked_at: Timestamp,
    /// When another process may ask.
    pub(crate) retry_at: Timestamp,
    /// The claim of a refresh that was under way when the revocation began. Its answer may still arrive.
    pub(crate) refresh: Option<Claim>,
    /// Whether the answer to a refresh was lost, so that the service may have issued tokens that the vault does not
    /// know.
    pub(crate) answer_lost: bool,
}

impl RevocationProgress {
    /// The progress of a revocation that begins at `since`. The service can be asked immediately.
    pub(crate) fn begin(since: Timestamp) -> Self {
        let never = Timestamp::default();
        Self { since, attempts: 0, asked_at: never, retry_at: never, refresh: None, answer_lost: false }
    }

    /// The progress of a revocation of a credential that was in `state` until `now`.
    pub(crate) fn of(state: State, now: Timestamp) -> Self {
        match state {
            State::Active(Attempts { claim, answer_lost, .. }) => {
                Self { refresh: claim, answer_lost, ..Self::begin(now) }
            }
            State::NeedsAuthorization { answer_lost, .. } => Self { answer_lost, ..Self::begin(now) },
            State::Revoking(progress) => progress,
        }
    }

    /// Whether the service may have issued tokens that the vault does not know.
    pub(crate) fn may_have_successors(&self) -> bool {
        self.answer_lost || self.refresh.is_some()
    }

    /// Whether the service must not be asked at `now`.
    ///
    /// If the answer to a refresh was lost, the pause is extended by the time for which the store was unreachable: a
    /// process may hold new tokens that it could not write.
    pub(crate) fn holds_off(&self, policy: &RefreshPolicy, outage: Outage, now: Timestamp) -> bool {
        let away = if self.answer_lost { outage.after(self.asked_at) } else { Duration::ZERO };
        policy.holds_off(self.asked_at, self.retry_at.saturating_add(away), now)
    }

    /// The reason to report if tokens that the vault does not know may outlive the revocation.
    pub(crate) fn lost_answer_reason(&self) -> Option<UpstreamReason> {
        self.may_have_successors().then_some(UpstreamReason::AnswerLost)
    }
}

impl Held {
    /// Whether the credential has a refresh token.
    pub(crate) fn is_refreshable(&self) -> bool {
        matches!(&self.credential, Credential::OAuth(tokens) if tokens.refresh_token.is_some())
    }

    /// When the last token of the credential expires, if that is known.
    pub(crate) fn expires_at(&self) -> Option<Timestamp> {
        match &self.credential {
            Credential::OAuth(tokens) if tokens.refresh_token.is_some() => {
                tokens.refresh_expires_at.zip(tokens.expires_at).map(|(refresh, access)| refresh.max(access))
            }
            Credential::OAuth(tokens) => tokens.expires_at,
            Credential::Static(_) => None,
        }
    }
}
