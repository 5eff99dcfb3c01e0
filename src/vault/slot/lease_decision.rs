//! What to do for a lease of a credential: a pure function.
//!
//! | credential | when | act |
//! |---|---|---|
//! | static | always | `Serve`; overdue after the date to rotate it by |
//! | OAuth, does not expire | always | `Serve` |
//! | OAuth, cannot be refreshed | before the margin | `Serve` |
//! | | after it | `Refuse`: needs authorization |
//! | OAuth | before 80 % of its lifetime | `Serve` |
//! | | up to the margin | a refresh runs or just failed: `Serve`; otherwise `Refresh` |
//! | | after it | a refresh runs: `Wait`; one just failed: `Refuse`, unavailable; otherwise `Refresh` |
//! | any | needs authorization, is being revoked | `Refuse` |
//!
//! "Unavailable" and `Wait` become "needs authorization" if the service has refused, with a code that is not known, for
//! longer than the policy's limit. The refresh is still tried, and one that succeeds ends this.
//!
//! If the service has refused a secret that had not expired:
//!
//! | credential | when | act |
//! |---|---|---|
//! | OAuth, can be refreshed | always | as after the margin |
//! | any other | always | `Discard` |

use super::held::{Attempts, Held, State};
use super::outage::Outage;
use crate::time::Timestamp;
use crate::vault::policy::Age;
use crate::vault::{Credential, RefreshPolicy};

/// What to do for a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Lease the stored secret.
    Serve { overdue: bool },
    /// Claim the refresh. If that fails and `is_good`, the stored token can still be leased.
    Refresh { is_good: bool },
    /// Another process refreshes. Its claim ends at `until`.
    Wait { until: Timestamp },
    /// Record that the user has to authorize again.
    Discard,
}

/// Why nothing is leased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    NeedsAuthorization,
    Revoked,
    /// The service failed. No process asks it again before `until`.
    Unavailable {
        until: Timestamp,
    },
}

const SERVE: Result<Act, Refusal> = Ok(Act::Serve { overdue: false });

/// Decides what to do with `held` at `now`. `outage` is the last time for which the store did not answer.
pub(crate) fn decide(held: &Held, policy: &RefreshPolicy, outage: Outage, now: Timestamp) -> Result<Act, Refusal> {
    let attempts = attempts(held)?;
    let tokens = match &held.credential {
        Credential::Static(secret) => {
            return Ok(Act::Serve { overdue: secret.rotate_by.is_some_and(|by| by <= now) });
        }
        Credential::OAuth(tokens) => tokens,
    };
    let [jitter, ..] = held.version.0;
    match policy.age(tokens, held.obtained_at, jitter, now) {
        Age::Fresh => SERVE,
        age if tokens.can_refresh(now) => refresh(attempts, age == Age::Due, policy, outage, now),
        Age::Due => SERVE,
        Age::Over => Err(Refusal::NeedsAuthorization),
    }
}

/// Decides the same after the service has refused the secret.
pub(crate) fn decide_refused(
    held: &Held,
    policy: &RefreshPolicy,
    outage: Outage,
    now: Timestamp,
) -> Result<Act, Refusal> {
    let attempts = attempts(held)?;
    match &held.credential {
        Credential::OAuth(tokens) if tokens.can_refresh(now) => refresh(attempts, false, policy, outage, now),
        _ => Ok(Act::Discard),
    }
}

/// The refreshes since the secret was obtained, or why the credential is not leased.
fn attempts(held: &Held) -> Result<Attempts, Refusal> {
    match held.state {
        State::Active(attempts) => Ok(attempts),
        State::NeedsAuthorization { .. } => Err(Refusal::NeedsAuthorization),
        State::Revoking(_) => Err(Refusal::Revoked),
    }
}

/// Decides to refresh, unless another process does or a pause after a failure is in force.
fn refresh(
    attempts: Attempts,
    is_good: bool,
    policy: &RefreshPolicy,
    outage: Outage,
    now: Timestamp,
) -> Result<Act, Refusal> {
    let holds_off = policy.holds_off(attempts.failed_at, attempts.retry_at, now);
    match (attempts.live_claim(policy, outage, now), holds_off) {
        (None, false) => Ok(Act::Refresh { is_good }),
        _ if is_good => SERVE,
        _ if policy.gives_up(attempts.refused_since, now) => Err(Refusal::NeedsAuthorization),
        (Some(claim), _) => Ok(Act::Wait { until: claim.until }),
        (None, true) => Err(Refusal::Unavailable { until: attempts.retry_at }),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::grant::Scope;
    use crate::vault::slot::held::{Claim, RevocationProgress, SecretVersion};
    use crate::vault::{Account, BoundTo, Secret, SecretText, StaticSecret, TokenSet};

    const OBTAINED: u64 = 10_000;
    const EXPIRES: u64 = 11_000;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix(seconds)
    }

    fn policy() -> RefreshPolicy {
        RefreshPolicy { jitter_percent: 0, clock_skew: Duration::ZERO, ..RefreshPolicy::standard() }
    }

    fn held(credential: Credential, state: State) -> Held {
        Held {
            account: Account::new("user", "service"),
            bound_to: BoundTo::subject(),
            generation: 1,
            version: SecretVersion([0; 16]),
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
        let claim = claim_until.map(|until| Claim { fence: 1, id: [0; 16], since: at(until - 30), until: at(until) });
        let failed_at = at(retry_at.saturating_sub(60));
        State::Active(Attempts { claim, failed_at, retry_at: at(retry_at), ..Attempts::default() })
    }

    /// Checks each second around each edge, with each combination of a claim and a pause, against the table at the top.
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
                    assert_eq!(
                        decide(&held, &policy(), Outage::default(), at(now)),
                        expected,
                        "{now} {claim_until:?} {retry_at}"
                    );
                }
            }
        }
    }

    /// Two processes refresh at the same time, or a wrong clock stops one, only if clocks differ by more than the
    /// policy allows.
    #[test]
    fn claims_and_pauses_hold_for_clocks_within_the_skew() {
        let policy = RefreshPolicy { clock_skew: Duration::from_secs(60), ..policy() };
        let decided =
            |state, now| decide(&held(Credential::OAuth(tokens()), state), &policy, Outage::default(), at(now));
        let (refresh, wait) = (Ok(Act::Refresh { is_good: false }), Ok(Act::Wait { until: at(20_030) }));
        let claimed = active(Some(20_030), 0);
        for (now, expected) in [(19_939, refresh), (19_940, wait), (20_031, wait), (20_089, wait), (20_090, refresh)] {
            assert_eq!(decided(claimed, now), expected, "{now}");
        }
        let attempts = Attempts { failed_at: at(20_000), retry_at: at(20_300), ..Attempts::default() };
        let paused = State::Active(attempts);
        let refused = Err(Refusal::Unavailable { until: at(20_300) });
        for (now, expected) in [(19_939, refresh), (19_940, refused), (20_299, refused), (20_300, refresh)] {
            assert_eq!(decided(paused, now), expected, "{now}");
        }
    }

    #[test]
    fn claim_holds_for_the_time_of_an_outage_longer() {
        let claimed = held(Credential::OAuth(tokens()), active(Some(20_030), 0));
        let outage = |from, until| Outage::of(at(from), at(until));
        let wait = Ok(Act::Wait { until: at(20_030) });
        for (outage, end) in
            [(outage(19_000, 19_500), 20_030), (outage(20_010, 21_000), 21_020), (outage(19_000, 21_000), 21_030)]
        {
            let decided = |now| decide(&claimed, &policy(), outage, at(now));
            assert_eq!((decided(end - 1), decided(end)), (wait, Ok(Act::Refresh { is_good: false })), "{outage:?}");
        }
    }

    #[test]
    fn refusals_beyond_the_limit_ask_for_authorization() {
        let limit = policy().refusal_limit.as_secs();
        let since = EXPIRES;
        let attempts = |now: u64, retry_in| Attempts {
            failed_at: at(now - 1),
            retry_at: at(now + retry_in),
            refused_since: Some(at(since)),
            ..Attempts::default()
        };
        let decided = |now, retry_in| {
            let held = held(Credential::OAuth(tokens()), State::Active(attempts(now, retry_in)));
            decide(&held, &policy(), Outage::default(), at(now))
        };
        let last = since + limit - 1;
        assert_eq!(decided(last, 10), Err(Refusal::Unavailable { until: at(last + 10) }));
        assert_eq!(decided(last + 1, 10), Err(Refusal::NeedsAuthorization));
        assert_eq!(decided(last + 1, 0), Ok(Act::Refresh { is_good: false }), "it is tried as before");
    }

    #[test]
    fn what_was_refused_is_refreshed_at_any_time_or_discarded() {
        for now in [OBTAINED, 10_800, EXPIRES] {
            let refused =
                |credential, state| decide_refused(&held(credential, state), &policy(), Outage::default(), at(now));
            let tokens_in = |state| refused(Credential::OAuth(tokens()), state);
            assert_eq!(tokens_in(active(None, now)), Ok(Act::Refresh { is_good: false }));
            assert_eq!(tokens_in(active(Some(now + 1), 0)), Ok(Act::Wait { until: at(now + 1) }));
            assert_eq!(tokens_in(active(None, now + 1)), Err(Refusal::Unavailable { until: at(now + 1) }));
            let without_expiry = Credential::OAuth(TokenSet { expires_at: None, ..tokens() });
            assert_eq!(refused(without_expiry, active(None, 0)), Ok(Act::Refresh { is_good: false }));
            let without = Credential::OAuth(TokenSet { refresh_token: None, ..tokens() });
            assert_eq!(refused(without, active(None, 0)), Ok(Act::Discard));
            let ended = Credential::OAuth(tokens().refresh_expires_at(at(now)));
            assert_eq!(refused(ended, active(None, 0)), Ok(Act::Discard));
            let key = StaticSecret::new(Secret::ApiKey(SecretText::new("k")), Scope::default());
            assert_eq!(refused(Credential::Static(key), active(None, 0)), Ok(Act::Discard));
            assert_eq!(tokens_in(State::Revoking(RevocationProgress::begin(at(1)))), Err(Refusal::Revoked));
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
            assert_eq!(decide(&held, &policy(), Outage::default(), at(10_994)), SERVE);
            assert_eq!(decide(&held, &policy(), Outage::default(), at(10_995)), Err(Refusal::NeedsAuthorization));
        }
        let ends_later = held(Credential::OAuth(tokens().refresh_expires_at(at(11_001))), active(None, 0));
        assert_eq!(decide(&ends_later, &policy(), Outage::default(), at(11_000)), Ok(Act::Refresh { is_good: false }));
        assert_eq!(decide(&ends_later, &policy(), Outage::default(), at(11_001)), Err(Refusal::NeedsAuthorization));
    }

    #[test]
    fn decide_serves_tokens_without_expiry_at_any_time() {
        let held = held(Credential::OAuth(TokenSet { expires_at: None, ..tokens() }), active(None, 0));
        assert_eq!(decide(&held, &policy(), Outage::default(), at(u64::MAX)), SERVE);
    }

    #[test]
    fn a_static_secret_is_served_and_overdue_from_its_date_on() {
        let secret = || StaticSecret::new(Secret::ApiKey(SecretText::new("k")), Scope::default());
        let forever = held(Credential::Static(secret()), active(None, 0));
        assert_eq!(decide(&forever, &policy(), Outage::default(), at(u64::MAX)), SERVE);
        let dated = held(Credential::Static(secret().rotate_by(at(500))), active(None, 0));
        assert_eq!(decide(&dated, &policy(), Outage::default(), at(499)), SERVE);
        assert_eq!(decide(&dated, &policy(), Outage::default(), at(500)), Ok(Act::Serve { overdue: true }));
    }

    #[test]
    fn nothing_is_served_of_what_is_over() {
        let secret = || StaticSecret::new(Secret::ApiKey(SecretText::new("k")), Scope::default());
        for state in [
            State::Revoking(RevocationProgress::begin(at(1))),
            State::NeedsAuthorization { since: at(1), answer_lost: false },
        ] {
            let expected = match state {
                State::Revoking(_) => Err(Refusal::Revoked),
                _ => Err(Refusal::NeedsAuthorization),
            };
            for credential in [Credential::OAuth(tokens()), Credential::Static(secret())] {
                assert_eq!(decide(&held(credential, state), &policy(), Outage::default(), at(OBTAINED)), expected);
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
                    let act = decide(&held, &policy, Outage::default(), at(now));
                    assert!(is_good && act == SERVE || act == Ok(Act::Refresh { is_good }), "{act:?}");
                }
            }
        }
    }
}
