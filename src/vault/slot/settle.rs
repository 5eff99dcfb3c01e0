//! What to write after an attempt to refresh a credential: a pure function.
//!
//! The attempt may have taken long, and other processes may have written in between. New tokens replace the secret that
//! they were made from and no other, even if another process holds the claim by now: the service may accept nothing
//! else any more. A failure is written only by the process that still holds the claim.
//!
//! A generation never decreases while a credential is replaced or refreshed, and starts again after a revocation. So
//! another secret of a lower or the same generation in the store shows that the secret of this attempt was revoked, and
//! the new tokens have to be revoked too. If the generation is higher, this cannot be known, and the new tokens are
//! dropped without a revocation: revoking them may end the grant that both secrets came from.
//!
//! If the answer has a new refresh token without a usable access token, the old access token stays beside the new
//! refresh token, and the refresh counts as failed.
//!
//! | outcome | in the store | written |
//! |---|---|---|
//! | new tokens | the secret they were made from; active, or needs authorization | active, the next generation |
//! | | the same, being revoked | the new tokens, to be revoked at once |
//! | | nothing, or it is gone | aside: the new tokens, to be revoked at once |
//! | | another secret of a lower or the same generation | the same |
//! | | another secret | nothing: the new tokens are dropped |
//! | a new refresh token alone | as for new tokens | as for new tokens, and when to try again |
//! | `invalid_grant` | the secret, under our claim | needs authorization |
//! | another failure | the secret, under our claim | no claim, and when to try again |
//! | any failure | the secret, being revoked since our claim | to be revoked, without a refresh under way |
//! | any failure | anything else | nothing |

use std::time::Duration;

use super::held::{Attempts, Claim, Held, RevocationProgress, SecretVersion, State};
use crate::time::Timestamp;
use crate::vault::{Credential, RefreshPolicy, Refreshed, TokenSet, UpstreamAct, UpstreamError, UpstreamReason};

/// An attempt to refresh a credential.
pub(crate) struct Attempt {
    /// The credential as it was claimed.
    pub(crate) from: Held,
    /// The claim under which the attempt runs.
    pub(crate) claim: Claim,
    /// The version of the new secret.
    pub(crate) version: SecretVersion,
}

/// The outcome of an attempt.
pub(crate) enum Outcome {
    /// New tokens, when their access token was obtained, and the failure if that token is still the old one.
    Refreshed(TokenSet, Timestamp, Option<Failure>),
    /// The service no longer accepts the refresh token.
    InvalidGrant,
    /// The refresh failed for another reason.
    Failed(Failure),
}

/// Why a service did not carry out a request, and how long it asks the client to wait.
#[derive(Clone, Copy)]
pub(crate) struct Failure {
    pub(crate) reason: UpstreamReason,
    pub(crate) retry_after: Option<Duration>,
}

impl Failure {
    pub(crate) fn of(error: &UpstreamError) -> Self {
        Self { reason: error.reason(), retry_after: error.asked_pause() }
    }
}

impl From<UpstreamReason> for Failure {
    fn from(reason: UpstreamReason) -> Self {
        Self { reason, retry_after: None }
    }
}

/// What to write, and what to report after the write.
pub(crate) struct Settlement {
    /// What to write, if anything.
    pub(crate) write: Option<Held>,
    /// Whether to write to a record of its own, and leave the one in the store as it is.
    pub(crate) aside: bool,
    pub(crate) act: UpstreamAct,
    pub(crate) reason: Option<UpstreamReason>,
}

impl Settlement {
    fn new(act: UpstreamAct, write: Option<Held>) -> Self {
        Self { write, aside: false, act, reason: None }
    }

    fn because(self, reason: UpstreamReason) -> Self {
        Self { reason: Some(reason), ..self }
    }
}

impl Outcome {
    /// The outcome of a refresh of `old`, from the provider's answer. `old` was obtained at `obtained_at`. The request
    /// was sent at `asked_at`, from which lifetimes count.
    pub(crate) fn of(
        answer: Result<Refreshed, UpstreamError>,
        old: &TokenSet,
        obtained_at: Timestamp,
        asked_at: Timestamp,
    ) -> Self {
        match answer {
            Ok(new) => {
                let (since, failure) = match new.access_token {
                    Some(_) => (asked_at, None),
                    None => (obtained_at, Some(UpstreamReason::UnusableToken.into())),
                };
                Self::Refreshed(old.successor(new, obtained_at, asked_at), since, failure)
            }
            Err(UpstreamError::InvalidGrant) => Self::InvalidGrant,
            Err(error) => Self::Failed(Failure::of(&error)),
        }
    }
}

/// Decides what to write, given the `current` record and the `outcome` of `attempt`.
pub(crate) fn settle(
    current: Option<Held>,
    attempt: &Attempt,
    outcome: &Outcome,
    policy: &RefreshPolicy,
    now: Timestamp,
) -> Settlement {
    match outcome {
        Outcome::Refreshed(tokens, since, failure) => {
            let failures = match &current {
                Some(Held { state: State::Active(attempts), .. }) => attempts.failures,
                _ => 0,
            };
            let before = Attempts { failures, ..Attempts::default() };
            let failed = failure.map(|failure| before.failed(failure, attempt, policy, now));
            let settled = settle_success(current, attempt, tokens, *since, failed, now);
            match (failure, settled.act) {
                (Some(failure), UpstreamAct::Refresh) => {
                    Settlement { act: UpstreamAct::RefreshFailed, ..settled }.because(failure.reason)
                }
                _ => settled,
            }
        }
        Outcome::InvalidGrant => settle_failure(current, attempt, UpstreamReason::InvalidGrant.into(), policy, now),
        Outcome::Failed(failure) => settle_failure(current, attempt, *failure, policy, now),
    }
}

fn settle_success(
    current: Option<Held>,
    attempt: &Attempt,
    tokens: &TokenSet,
    obtained_at: Timestamp,
    failed: Option<Attempts>,
    now: Timestamp,
) -> Settlement {
    let from = &attempt.from;
    let attempts = failed.unwrap_or_default();
    let to_revoke = State::Revoking(RevocationProgress::begin(now));
    let next = |state| Held {
        account: from.account.clone(),
        bound_to: from.bound_to.clone(),
        generation: from.generation.saturating_add(1),
        version: attempt.version,
        obtained_at,
        state,
        credential: Credential::OAuth(tokens.copy()),
    };
    let Some(current) = current else {
        return Settlement { aside: true, ..Settlement::new(UpstreamAct::Refresh, Some(next(to_revoke))) };
    };
    let state = match current.state {
        // An earlier write, which the store did not confirm, has succeeded.
        _ if current.version == attempt.version => return Settlement::new(UpstreamAct::Refresh, None),
        _ if current.version != from.version && current.generation <= from.generation => {
            return Settlement { aside: true, ..Settlement::new(UpstreamAct::Revoke, Some(next(to_revoke))) };
        }
        _ if current.version != from.version => return Settlement::new(UpstreamAct::Superseded, None),
        State::Active(Attempts { fence, .. }) => State::Active(Attempts { fence, ..attempts }),
        State::NeedsAuthorization { .. } => State::Active(attempts),
        State::Revoking(RevocationProgress { since, .. }) => State::Revoking(RevocationProgress::begin(since)),
    };
    Settlement::new(UpstreamAct::Refresh, Some(next(state)))
}

fn settle_failure(
    current: Option<Held>,
    attempt: &Attempt,
    failure: Failure,
    policy: &RefreshPolicy,
    now: Timestamp,
) -> Settlement {
    let reason = failure.reason;
    let nothing = Settlement::new(UpstreamAct::RefreshFailed, None).because(reason);
    let Some(current) = current.filter(|current| current.version == attempt.from.version) else { return nothing };
    let attempts = match current.state {
        State::Active(attempts) if attempts.claim == Some(attempt.claim) => attempts,
        State::Revoking(progress) if progress.refresh == Some(attempt.claim) => {
            let answer_lost = progress.answer_lost || reason == UpstreamReason::Uncertain;
            let retry_at = match reason {
                UpstreamReason::InvalidGrant => now,
                _ => failure.retry_at(1, attempt, policy, now),
            };
            let progress = RevocationProgress { asked_at: now, retry_at, refresh: None, answer_lost, ..progress };
            let next = Held { state: State::Revoking(progress), ..current };
            return Settlement::new(UpstreamAct::RefreshFailed, Some(next)).because(reason);
        }
        _ => return nothing,
    };
    if reason == UpstreamReason::InvalidGrant {
        let state = State::NeedsAuthorization { since: now, answer_lost: attempts.answer_lost };
        let next = Held { state, ..current };
        let reason = if attempts.answer_lost { UpstreamReason::AnswerLost } else { reason };
        return Settlement::new(UpstreamAct::NeedsAuthorization, Some(next)).because(reason);
    }
    let next = attempts.failed(failure, attempt, policy, now);
    // Reported once, when the limit is passed.
    let gives_up = |at| policy.gives_up(next.refused_since, at);
    let is_given_up = gives_up(now) && !gives_up(attempts.failed_at);
    let next = Held { state: State::Active(next), ..current };
    match is_given_up {
        true => Settlement::new(UpstreamAct::NeedsAuthorization, Some(next)).because(UpstreamReason::Refused),
        false => Settlement::new(UpstreamAct::RefreshFailed, Some(next)).because(reason),
    }
}

impl Failure {
    /// When to try again after `failures` failures.
    fn retry_at(self, failures: u32, attempt: &Attempt, policy: &RefreshPolicy, now: Timestamp) -> Timestamp {
        let [jitter, ..] = attempt.version.0;
        now.saturating_add(policy.pause(failures, self.retry_after, jitter))
    }
}

impl Attempts {
    /// The attempts after `attempt` has failed with `failure`, known at `now`.
    fn failed(self, failure: Failure, attempt: &Attempt, policy: &RefreshPolicy, now: Timestamp) -> Self {
        let failures = self.failures.saturating_add(1);
        Self {
            fence: self.fence,
            claim: None,
            failures,
            failed_at: now,
            retry_at: failure.retry_at(failures, attempt, policy, now),
            refused_since: failure.reason.refused_since(self.refused_since, now),
            answer_lost: self.answer_lost || failure.reason == UpstreamReason::Uncertain,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grant::Scope;
    use crate::vault::{Account, BoundTo, SecretText};

    const OURS: Claim =
        Claim { fence: 7, id: [1; 16], since: Timestamp::from_unix(100), until: Timestamp::from_unix(130) };
    const THEIRS: Claim =
        Claim { fence: 8, id: [2; 16], since: Timestamp::from_unix(130), until: Timestamp::from_unix(160) };
    const ASKED: Timestamp = Timestamp::from_unix(140);
    const NOW: Timestamp = Timestamp::from_unix(150);
    const OLD: SecretVersion = SecretVersion([1; 16]);
    const NEW: SecretVersion = SecretVersion([2; 16]);
    const OTHER: SecretVersion = SecretVersion([3; 16]);

    fn held(version: SecretVersion, state: State) -> Held {
        let tokens = TokenSet::new(SecretText::new("old"), Scope::default());
        Held {
            account: Account::new("user", "service"),
            bound_to: BoundTo::subject(),
            generation: 4,
            version,
            obtained_at: Timestamp::from_unix(100),
            state,
            credential: Credential::OAuth(tokens.refresh_token(SecretText::new("r"))),
        }
    }

    fn active(claim: Option<Claim>) -> State {
        State::Active(Attempts { fence: 8, claim, failures: 2, ..Attempts::default() })
    }

    const REVOKING: State = State::Revoking(RevocationProgress {
        since: NOW,
        attempts: 3,
        asked_at: NOW,
        retry_at: Timestamp::from_unix(900),
        refresh: Some(OURS),
        answer_lost: false,
    });
    const OVER: State = State::NeedsAuthorization { since: NOW, answer_lost: false };

    fn settled(current: Option<Held>, outcome: &Outcome) -> Settlement {
        let attempt = Attempt { from: held(OLD, active(Some(OURS))), claim: OURS, version: NEW };
        settle(current, &attempt, outcome, &RefreshPolicy::standard(), NOW)
    }

    fn every_state() -> [State; 5] {
        [active(None), active(Some(OURS)), active(Some(THEIRS)), REVOKING, OVER]
    }

    #[test]
    fn new_tokens_take_the_place_of_the_secret_they_were_made_from_and_of_no_other() {
        let outcome = Outcome::Refreshed(TokenSet::new(SecretText::new("new"), Scope::default()), ASKED, None);
        let fresh = |fence| State::Active(Attempts { fence, ..Attempts::default() });
        let to_revoke = State::Revoking(RevocationProgress::begin(NOW));
        for state in every_state() {
            let settled = settled(Some(held(OLD, state)), &outcome);
            assert!(!settled.aside);
            let written = settled.write.expect("it is written");
            let expected = match state {
                State::Active(_) => fresh(8),
                State::NeedsAuthorization { .. } => fresh(0),
                State::Revoking(_) => to_revoke,
            };
            assert_eq!((written.state, written.generation, written.version), (expected, 5, NEW));
            assert_eq!((written.obtained_at, settled.act), (ASKED, UpstreamAct::Refresh));
            let Credential::OAuth(tokens) = written.credential else { panic!("tokens") };
            assert_eq!(tokens.access_token.expose(), "new");
        }
        for state in every_state() {
            let superseded = settled(Some(Held { generation: 5, ..held(OTHER, state) }), &outcome);
            assert!(superseded.write.is_none() && superseded.act == UpstreamAct::Superseded);
            for generation in [1, 4] {
                let restarted = settled(Some(Held { generation, ..held(OTHER, state) }), &outcome);
                assert_eq!((restarted.aside, restarted.act), (true, UpstreamAct::Revoke));
                assert_eq!(restarted.write.map(|aside| (aside.state, aside.version)), Some((to_revoke, NEW)));
            }
            let written_before = settled(Some(held(NEW, state)), &outcome);
            assert!(written_before.write.is_none() && written_before.act == UpstreamAct::Refresh);
        }
        let revived = settled(None, &outcome);
        assert!(revived.aside);
        let revived = revived.write.expect("they work at the service, so they are to be revoked");
        assert_eq!((revived.state, revived.version), (to_revoke, NEW));
    }

    #[test]
    fn settle_writes_a_failure_only_under_its_own_claim() {
        let failed = |reason: UpstreamReason| Outcome::Failed(reason.into());
        for outcome in [Outcome::InvalidGrant, failed(UpstreamReason::Unavailable), failed(UpstreamReason::Uncertain)] {
            let ours = [active(Some(OURS)), REVOKING];
            let others = every_state().into_iter().filter(|state| !ours.contains(state));
            let others = others.map(|state| held(OLD, state)).chain(ours.map(|state| held(OTHER, state)));
            for current in others.map(Some).chain([None]) {
                let settled = settled(current, &outcome);
                assert!(settled.write.is_none() && settled.act == UpstreamAct::RefreshFailed);
            }
            let written = settled(Some(held(OLD, active(Some(OURS)))), &outcome).write.expect("it is written");
            assert_eq!((written.generation, written.version), (4, OLD));
            let answer_lost = matches!(outcome, Outcome::Failed(Failure { reason: UpstreamReason::Uncertain, .. }));
            let expected = match outcome {
                Outcome::InvalidGrant => OVER,
                _ => {
                    let retry_at = NOW.saturating_add(Duration::from_secs(4));
                    let attempts = Attempts { fence: 8, failures: 3, failed_at: NOW, retry_at, ..Attempts::default() };
                    State::Active(Attempts { answer_lost, ..attempts })
                }
            };
            assert_eq!(written.state, expected);
            let written = settled(Some(held(OLD, REVOKING)), &outcome).write.expect("it is written");
            let State::Revoking(progress) = written.state else { panic!("still being revoked") };
            assert_eq!((progress.refresh, progress.answer_lost), (None, answer_lost));
            let pause = if matches!(outcome, Outcome::InvalidGrant) { 0 } else { 1 };
            assert_eq!((progress.attempts, progress.retry_at.since(NOW).as_secs()), (3, pause));
        }
    }
    #[test]
    fn rotation_without_an_access_token_keeps_the_refresh_token() {
        let old = TokenSet::new(SecretText::new("old"), Scope::default()).refresh_token(SecretText::new("r"));
        let obtained = Timestamp::from_unix(100);
        let outcome = Outcome::of(Ok(Refreshed::rotated(SecretText::new("next"))), &old, obtained, ASKED);
        let settled = settled(Some(held(OLD, active(Some(OURS)))), &outcome);
        assert_eq!((settled.act, settled.reason), (UpstreamAct::RefreshFailed, Some(UpstreamReason::UnusableToken)));
        let written = settled.write.expect("it is written");
        let retry_at = NOW.saturating_add(Duration::from_secs(4));
        let failed = Attempts { fence: 8, failures: 3, failed_at: NOW, retry_at, ..Attempts::default() };
        assert_eq!((written.version, written.obtained_at, written.state), (NEW, obtained, State::Active(failed)));
        let Credential::OAuth(tokens) = written.credential else { panic!("tokens") };
        assert_eq!((tokens.access_token.expose(), tokens.refresh_token.unwrap().expose()), ("old", "next"));
    }

    #[test]
    fn refusals_are_reported_once_when_the_limit_is_passed() {
        let policy = RefreshPolicy::standard();
        let limit = policy.refusal_limit.as_secs();
        let attempt = Attempt { from: held(OLD, active(Some(OURS))), claim: OURS, version: NEW };
        let mut current = held(OLD, active(Some(OURS)));
        let mut fail = |reason: UpstreamReason, seconds| {
            let now = NOW.saturating_add(Duration::from_secs(seconds));
            let State::Active(attempts) = current.state else { panic!("active") };
            let claimed = State::Active(Attempts { claim: Some(OURS), ..attempts });
            let claimed = Held { state: claimed, account: current.account.clone(), ..held(OLD, claimed) };
            let settled = settle(Some(claimed), &attempt, &Outcome::Failed(reason.into()), &policy, now);
            current = settled.write.expect("it is written");
            (settled.act, settled.reason)
        };
        use UpstreamReason::{Configuration, Refused, Unavailable};
        let failed = |reason| (UpstreamAct::RefreshFailed, Some(reason));
        let given_up = (UpstreamAct::NeedsAuthorization, Some(Refused));
        assert_eq!(fail(Refused, 0), failed(Refused));
        assert_eq!(fail(Unavailable, 60), failed(Unavailable), "it is no answer");
        assert_eq!(fail(Refused, limit - 1), failed(Refused));
        assert_eq!(fail(Refused, limit), given_up);
        assert_eq!(fail(Refused, limit + 1), failed(Refused));
        assert_eq!(fail(Configuration, limit + 2), failed(Configuration), "now it is known why");
        assert_eq!(fail(Refused, limit + 3), failed(Refused));
        assert_eq!(fail(Refused, 2 * limit + 3), given_up);
    }
}
