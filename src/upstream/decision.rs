//! What to do with a credential that somebody wants to use: a pure function.
//!
//! | credential | when | act |
//! |---|---|---|
//! | static | always | `Serve`, overdue after the date to rotate it by |
//! | OAuth, does not expire | always | `Serve` |
//! | OAuth, cannot be refreshed | before the margin | `Serve` |
//! | | after it | `Refuse`: needs authorization |
//! | OAuth | before 80 % of its lifetime | `Serve` |
//! | | up to the margin | somebody refreshes, or a failure was just now: `Serve`; otherwise `Refresh` |
//! | | after it | somebody refreshes: `Wait`; a failure was just now: `Refuse`, unavailable; otherwise `Refresh` |
//! | any | needs authorization, is being revoked | `Refuse` |

use super::credential::{Credential, TokenSet};
use super::held::{Attempts, Held, Mark, State};
use super::policy::RefreshPolicy;
use crate::time::Timestamp;

/// What to do for a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Lease what is there.
    Serve { overdue: bool },
    /// Claim the refresh; what is there can be leased if that comes to nothing, as long as it is good.
    Refresh { is_good: bool },
    /// Somebody else refreshes, until then at most.
    Wait { until: Timestamp },
}

/// Why nothing is leased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    NeedsAuthorization,
    Revoked,
    /// The service failed; nobody asks it before this.
    Unavailable {
        until: Timestamp,
    },
}

const SERVE: Result<Act, Refusal> = Ok(Act::Serve { overdue: false });

/// What to do with `held` at `now`.
pub(crate) fn decide(held: &Held, policy: &RefreshPolicy, now: Timestamp) -> Result<Act, Refusal> {
    let attempts = match held.state {
        State::Active(attempts) => attempts,
        State::NeedsAuthorization { .. } => return Err(Refusal::NeedsAuthorization),
        State::Revoking(_) => return Err(Refusal::Revoked),
    };
    match &held.credential {
        Credential::Static(secret) => Ok(Act::Serve { overdue: secret.rotate_by.is_some_and(|by| by <= now) }),
        Credential::OAuth(tokens) => decide_tokens(tokens, held, attempts, policy, now),
    }
}

fn decide_tokens(
    tokens: &TokenSet,
    held: &Held,
    attempts: Attempts,
    policy: &RefreshPolicy,
    now: Timestamp,
) -> Result<Act, Refusal> {
    let Some(expires_at) = tokens.expires_at else { return SERVE };
    let is_good = now < earlier(expires_at, policy.margin.as_secs());
    let refresh_ended = tokens.refresh_expires_at.is_some_and(|at| at <= now);
    if tokens.refresh_token.is_none() || refresh_ended {
        return if is_good { SERVE } else { Err(Refusal::NeedsAuthorization) };
    }
    if is_good && now < refresh_at(held.obtained_at, expires_at, held.mark, policy) {
        return SERVE;
    }
    match (attempts.live_claim(now), now < attempts.retry_at) {
        (None, false) => Ok(Act::Refresh { is_good }),
        _ if is_good => SERVE,
        (Some(claim), _) => Ok(Act::Wait { until: claim.until }),
        (None, true) => Err(Refusal::Unavailable { until: attempts.retry_at }),
    }
}

/// The share of the lifetime that the policy says, less a jitter that is the same for everybody who asks about this token.
fn refresh_at(obtained_at: Timestamp, expires_at: Timestamp, mark: Mark, policy: &RefreshPolicy) -> Timestamp {
    let lifetime = u128::from(expires_at.since(obtained_at).as_secs());
    let jitter = u128::from(policy.jitter_percent) * u128::from(mark.0[0]);
    let share = u128::from(policy.refresh_at_percent) * 256 - jitter;
    let left = lifetime - lifetime * share / (100 * 256);
    earlier(expires_at, u64::try_from(left).unwrap_or(u64::MAX))
}

fn earlier(at: Timestamp, seconds: u64) -> Timestamp {
    Timestamp::from_unix(at.as_unix().saturating_sub(seconds))
}
