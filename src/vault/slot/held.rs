//! A credential and what has happened to it: what one record holds.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::bound_to::BoundTo;
use super::outage::Outage;
use crate::time::Timestamp;
use crate::vault::{Account, Credential, RefreshPolicy, UpstreamReason};

/// A credential in the vault.
pub(crate) struct Held {
    pub(crate) account: Account,
    pub(crate) owner: BoundTo,
    /// How often the secret was replaced; it begins anew after a revocation, and only then.
    pub(crate) generation: u64,
    pub(crate) mark: SecretVersion,
    /// Since when the secret is here; of a refreshed one, when it was asked for.
    pub(crate) obtained_at: Timestamp,
    pub(crate) state: State,
    pub(crate) credential: Credential,
}

/// Random, and new with every secret: two secrets of one account are never taken for each other, even if the record was
/// deleted in between and the generations began anew. The jitter comes from it too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SecretVersion(pub(crate) [u8; 16]);

/// How a credential stands.
// Records name the variants by position: only ever append.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum State {
    /// It is leased and refreshed.
    Active(Attempts),
    /// The service does not honour the refresh token any more.
    NeedsAuthorization {
        since: Timestamp,
        /// As of the attempts before.
        answer_lost: bool,
    },
    /// It is leased to nobody; the service has to be told.
    Revoking(RevocationProgress),
}

impl State {
    /// Whether the service may have given other tokens for these, of which nobody knows: a refresh is under way, or its answer
    /// was lost.
    pub(crate) fn may_have_successors(&self) -> bool {
        match self {
            Self::Active(attempts) => attempts.may_have_successors(),
            Self::NeedsAuthorization { answer_lost, .. } => *answer_lost,
            Self::Revoking(withdrawal) => withdrawal.may_have_successors(),
        }
    }
}

/// What refreshes have come to since the secret was obtained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attempts {
    /// How many claims there were.
    pub(crate) fence: u64,
    /// Who refreshes now.
    pub(crate) claim: Option<Claim>,
    /// How many have failed.
    pub(crate) failures: u32,
    /// When the last one has failed.
    pub(crate) failed_at: Timestamp,
    /// No other attempt before this.
    pub(crate) retry_at: Timestamp,
    /// Since when the service has refused for a reason that is not known.
    pub(crate) refused_since: Option<Timestamp>,
    /// The answer to one was lost, so the service may have replaced the refresh token.
    pub(crate) answer_lost: bool,
}

impl Attempts {
    /// The claim that keeps others from refreshing at `now`.
    pub(crate) fn live_claim(&self, policy: &RefreshPolicy, outage: Outage, now: Timestamp) -> Option<Claim> {
        self.claim.filter(|claim| claim.holds(policy, outage, now))
    }

    /// Whoever left a claim behind has not come back, and may have asked the service.
    pub(crate) fn may_have_successors(&self) -> bool {
        self.answer_lost || self.claim.is_some()
    }
}

/// The exclusive right to refresh, for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claim {
    /// One more than that of the claim before.
    pub(crate) fence: u64,
    /// Random: tells two of the same number apart, of which the store has taken one and did not say which.
    pub(crate) id: [u8; 16],
    pub(crate) since: Timestamp,
    pub(crate) until: Timestamp,
}

impl Claim {
    /// Whether it keeps others from refreshing at `now`.
    pub(crate) fn holds(&self, policy: &RefreshPolicy, outage: Outage, now: Timestamp) -> bool {
        policy.is_claimed(self.since, self.until, outage.after(self.since), now)
    }
}

/// How far a revocation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RevocationProgress {
    pub(crate) since: Timestamp,
    /// How often the service was asked. Who asks has counted first, so nobody else has the same number.
    pub(crate) attempts: u32,
    /// When that was.
    pub(crate) asked_at: Timestamp,
    /// Nobody else asks before this.
    pub(crate) retry_at: Timestamp,
    /// A refresh was under way when it began, and its answer may still come.
    pub(crate) refresh: Option<Claim>,
    /// The answer to a refresh was lost, so the service may have given tokens of which nobody knows.
    pub(crate) answer_lost: bool,
}

impl RevocationProgress {
    /// Of what is leased to nobody since `since`: the service is to be told at once.
    pub(crate) fn begin(since: Timestamp) -> Self {
        let never = Timestamp::default();
        Self { since, attempts: 0, asked_at: never, retry_at: never, refresh: None, answer_lost: false }
    }

    /// The same of what stood as `state` until `now`.
    pub(crate) fn of(state: State, now: Timestamp) -> Self {
        match state {
            State::Active(Attempts { claim, answer_lost, .. }) => {
                Self { refresh: claim, answer_lost, ..Self::begin(now) }
            }
            State::NeedsAuthorization { answer_lost, .. } => Self { answer_lost, ..Self::begin(now) },
            State::Revoking(withdrawal) => withdrawal,
        }
    }

    pub(crate) fn may_have_successors(&self) -> bool {
        self.answer_lost || self.refresh.is_some()
    }

    /// Whether the service is to be left alone at `now`. If tokens may have been asked for, whose holder could not write them while
    /// the store was away, that time comes on top.
    pub(crate) fn holds_off(&self, policy: &RefreshPolicy, outage: Outage, now: Timestamp) -> bool {
        let away = if self.answer_lost { outage.after(self.asked_at) } else { Duration::ZERO };
        policy.holds_off(self.asked_at, self.retry_at.saturating_add(away), now)
    }

    /// Why its end may not be the end of all that came of it.
    pub(crate) fn doubt(&self) -> Option<UpstreamReason> {
        self.may_have_successors().then_some(UpstreamReason::AnswerLost)
    }
}

impl Held {
    /// Whether there is something to refresh it with.
    pub(crate) fn is_refreshable(&self) -> bool {
        matches!(&self.credential, Credential::OAuth(tokens) if tokens.refresh_token.is_some())
    }

    /// From when on the service honours none of it, if that is known.
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
