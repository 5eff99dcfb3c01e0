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
//!
//! And if the service has refused it before its time:
//!
//! | credential | when | act |
//! |---|---|---|
//! | OAuth, can be refreshed | always | as after the margin |
//! | any other | always | `Discard` |

use super::held::{Attempts, Held, State};
use crate::time::Timestamp;
use crate::upstream::policy::Age;
use crate::upstream::{Credential, RefreshPolicy};

/// What to do for a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Lease what is there.
    Serve { overdue: bool },
    /// Claim the refresh; if that comes to nothing, what is there can be leased as long as it is good.
    Refresh { is_good: bool },
    /// Somebody else refreshes, until then at most.
    Wait { until: Timestamp },
    /// Note that the user has to authorize anew.
    Discard,
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
    let attempts = attempts(held)?;
    let tokens = match &held.credential {
        Credential::Static(secret) => {
            return Ok(Act::Serve { overdue: secret.rotate_by.is_some_and(|by| by <= now) });
        }
        Credential::OAuth(tokens) => tokens,
    };
    let [jitter, ..] = held.mark.0;
    match policy.age(tokens, held.obtained_at, jitter, now) {
        Age::Fresh => SERVE,
        age if tokens.can_refresh(now) => refresh(attempts, age == Age::Due, now),
        Age::Due => SERVE,
        Age::Over => Err(Refusal::NeedsAuthorization),
    }
}

/// What to do with `held` at `now`, when the service has refused it.
pub(crate) fn decide_refused(held: &Held, now: Timestamp) -> Result<Act, Refusal> {
    let attempts = attempts(held)?;
    match &held.credential {
        Credential::OAuth(tokens) if tokens.can_refresh(now) => refresh(attempts, false, now),
        _ => Ok(Act::Discard),
    }
}

fn attempts(held: &Held) -> Result<Attempts, Refusal> {
    match held.state {
        State::Active(attempts) => Ok(attempts),
        State::NeedsAuthorization { .. } => Err(Refusal::NeedsAuthorization),
        State::Revoking(_) => Err(Refusal::Revoked),
    }
}

/// Refresh, unless somebody does or nobody should just now.
fn refresh(attempts: Attempts, is_good: bool, now: Timestamp) -> Result<Act, Refusal> {
    match (attempts.live_claim(now), RefreshPolicy::holds_off(attempts.retry_at, now)) {
        (None, false) => Ok(Act::Refresh { is_good }),
        _ if is_good => SERVE,
        (Some(claim), _) => Ok(Act::Wait { until: claim.until }),
        (None, true) => Err(Refusal::Unavailable { until: attempts.retry_at }),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::grant::Scope;
    use crate::upstream::vault::held::{Claim, Mark, Withdrawal};
    use crate::upstream::{Account, Owner, Secret, SecretText, StaticSecret, TokenSet};

    const OBTAINED: u64 = 10_000;
    const EXPIRES: u64 = 11_000;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix(seconds)
    }

    fn policy() -> RefreshPolicy {
        RefreshPolicy { jitter_percent: 0, ..RefreshPolicy::standard() }
    }

    fn held(credential: Credential, state: State) -> Held {
        Held {
            account: Account::new("user", "service"),
            owner: Owner::subject(),
            generation: 1,
            mark: Mark([0; 16]),
            obtained_at: at(OBTAINED),
            state,
            credential,
        }
    }

    fn tokens() -> TokenSet {
        TokenSet::new(SecretText::new("a"), Scope::default())
            .expires_at(at(EXPIRES))
            .refresh_token(SecretText::new("r"))
    }

    fn active(claim_until: Option<u64>, retry_at: u64) -> State {
        let claim = claim_until.map(|until| Claim { fence: 1, id: [0; 16], until: at(until) });
        State::Active(Attempts { claim, retry_at: at(retry_at), ..Attempts::default() })
    }

    /// Every second around every edge, with every combination of a claim and a pause, against the table at the top.
    #[test]
    fn tokens_are_served_refreshed_waited_for_or_refused_as_the_table_says() {
        let edges = [OBTAINED, 10_800, 10_995, EXPIRES, 20_000];
        for now in edges.into_iter().flat_map(|edge| edge - 2..edge + 3) {
            for claim_until in [None, Some(now - 1), Some(now), Some(now + 1), Some(now + 30)] {
                for retry_at in [0, now - 1, now, now + 1, now + 30] {
                    let held = held(Credential::OAuth(tokens()), active(claim_until, retry_at));
                    let claimed = claim_until.filter(|until| *until > now);
                    let expected = match (now, claimed, retry_at > now) {
                        (..10_800, _, _) => SERVE,
                        (_, None, false) => Ok(Act::Refresh { is_good: now < 10_995 }),
                        (..10_995, _, _) => SERVE,
                        (_, Some(until), _) => Ok(Act::Wait { until: at(until) }),
                        (_, None, true) => Err(Refusal::Unavailable { until: at(retry_at) }),
                    };
                    assert_eq!(decide(&held, &policy(), at(now)), expected, "{now} {claim_until:?} {retry_at}");
                }
            }
        }
    }

    #[test]
    fn a_date_from_a_wrong_clock_keeps_nobody_waiting() {
        let decided = |state| decide(&held(Credential::OAuth(tokens()), state), &policy(), at(EXPIRES));
        let (claim, pause) = (EXPIRES + 2 * 3_600, EXPIRES + RefreshPolicy::MAX_PAUSE.as_secs());
        assert_eq!(decided(active(Some(claim), 0)), Ok(Act::Wait { until: at(claim) }));
        assert_eq!(decided(active(None, pause)), Err(Refusal::Unavailable { until: at(pause) }));
        assert_eq!(decided(active(Some(claim + 1), pause + 1)), Ok(Act::Refresh { is_good: false }));
    }

    #[test]
    fn what_was_refused_is_refreshed_at_any_time_or_discarded() {
        for now in [OBTAINED, 10_800, EXPIRES] {
            let refused = |credential, state| decide_refused(&held(credential, state), at(now));
            let tokens_in = |state| refused(Credential::OAuth(tokens()), state);
            assert_eq!(tokens_in(active(None, now)), Ok(Act::Refresh { is_good: false }));
            assert_eq!(tokens_in(active(Some(now + 1), 0)), Ok(Act::Wait { until: at(now + 1) }));
            assert_eq!(tokens_in(active(None, now + 1)), Err(Refusal::Unavailable { until: at(now + 1) }));
            let for_ever = Credential::OAuth(TokenSet { expires_at: None, ..tokens() });
            assert_eq!(refused(for_ever, active(None, 0)), Ok(Act::Refresh { is_good: false }));
            let without = Credential::OAuth(TokenSet { refresh_token: None, ..tokens() });
            assert_eq!(refused(without, active(None, 0)), Ok(Act::Discard));
            let ended = Credential::OAuth(tokens().refresh_expires_at(at(now)));
            assert_eq!(refused(ended, active(None, 0)), Ok(Act::Discard));
            let key = StaticSecret::new(Secret::ApiKey(SecretText::new("k")), Scope::default());
            assert_eq!(refused(Credential::Static(key), active(None, 0)), Ok(Act::Discard));
            assert_eq!(tokens_in(State::Revoking(Withdrawal::begin(at(1)))), Err(Refusal::Revoked));
            assert_eq!(
                tokens_in(State::NeedsAuthorization { since: at(1), answer_lost: false }),
                Err(Refusal::NeedsAuthorization)
            );
        }
    }

    #[test]
    fn what_cannot_be_refreshed_is_served_up_to_the_margin() {
        let without = TokenSet { refresh_token: None, ..tokens() };
        let ended = tokens().refresh_expires_at(at(10_500));
        for tokens in [without, ended] {
            let held = held(Credential::OAuth(tokens), active(None, 0));
            assert_eq!(decide(&held, &policy(), at(10_994)), SERVE);
            assert_eq!(decide(&held, &policy(), at(10_995)), Err(Refusal::NeedsAuthorization));
        }
        let ends_later = held(Credential::OAuth(tokens().refresh_expires_at(at(11_001))), active(None, 0));
        assert_eq!(decide(&ends_later, &policy(), at(11_000)), Ok(Act::Refresh { is_good: false }));
        assert_eq!(decide(&ends_later, &policy(), at(11_001)), Err(Refusal::NeedsAuthorization));
    }

    #[test]
    fn what_does_not_expire_is_served_for_ever() {
        let held = held(Credential::OAuth(TokenSet { expires_at: None, ..tokens() }), active(None, 0));
        assert_eq!(decide(&held, &policy(), at(u64::MAX)), SERVE);
    }

    #[test]
    fn a_static_secret_is_served_and_overdue_from_its_date_on() {
        let secret = || StaticSecret::new(Secret::ApiKey(SecretText::new("k")), Scope::default());
        let forever = held(Credential::Static(secret()), active(None, 0));
        assert_eq!(decide(&forever, &policy(), at(u64::MAX)), SERVE);
        let dated = held(Credential::Static(secret().rotate_by(at(500))), active(None, 0));
        assert_eq!(decide(&dated, &policy(), at(499)), SERVE);
        assert_eq!(decide(&dated, &policy(), at(500)), Ok(Act::Serve { overdue: true }));
    }

    #[test]
    fn nothing_is_served_of_what_is_over() {
        let secret = || StaticSecret::new(Secret::ApiKey(SecretText::new("k")), Scope::default());
        for state in
            [State::Revoking(Withdrawal::begin(at(1))), State::NeedsAuthorization { since: at(1), answer_lost: false }]
        {
            let expected = match state {
                State::Revoking(_) => Err(Refusal::Revoked),
                _ => Err(Refusal::NeedsAuthorization),
            };
            for credential in [Credential::OAuth(tokens()), Credential::Static(secret())] {
                assert_eq!(decide(&held(credential, state), &policy(), at(OBTAINED)), expected);
            }
        }
    }

    #[test]
    fn no_date_and_no_policy_is_too_absurd() {
        let latest = u64::MAX;
        for (obtained, expires) in [(0, latest), (latest, 0), (latest, latest), (0, 0), (0, 1)] {
            for margin in [0, 3_600] {
                let policy = RefreshPolicy { margin: Duration::from_secs(margin), ..policy() };
                let mut held = held(Credential::OAuth(tokens().expires_at(at(expires))), active(None, 0));
                held.obtained_at = at(obtained);
                for now in [0, 1, latest] {
                    let margin = margin.min(expires.saturating_sub(obtained) / 10);
                    let is_good = now < expires.saturating_sub(margin);
                    let act = decide(&held, &policy, at(now));
                    assert!(is_good && act == SERVE || act == Ok(Act::Refresh { is_good }), "{act:?}");
                }
            }
        }
    }
}
