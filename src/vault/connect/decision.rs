//! What a callback leads to: a pure function of the authorization that was found, the callback, and the time.

use super::callback::Answer;
use super::pending::{LIFETIME, Pending, Progress};
use crate::crypto::equal;
use crate::time::Timestamp;
use crate::vault::{ExpectedIssuer, UpstreamReason};

/// What the decision looks at in a callback.
pub(super) struct Seen<'a> {
    pub(super) subject: &'a str,
    /// The keyed hash of the browser session, under the state of the callback.
    pub(super) session_tag: [u8; 32],
    pub(super) redirect_uri: &'a str,
    pub(super) issuer: Option<&'a str>,
    pub(super) answer: &'a Answer,
}

/// What the decision knows besides.
pub(super) struct Context<'a> {
    /// The issuer identifier of the service of the authorization, if it has one.
    pub(super) issuer: Option<ExpectedIssuer<'a>>,
    /// The operation that decides.
    pub(super) by: [u8; 16],
    pub(super) now: Timestamp,
}

/// What a callback leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Nothing changes.
    Refuse(UpstreamReason),
    /// The authorization is spent by this callback; then the rest follows.
    Spend(Next),
    /// The authorization is already spent by this operation; the rest follows.
    Follow(Next),
}

/// What follows once an authorization is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Exchange,
    /// The service answered with an error.
    Report,
    Refuse(UpstreamReason),
}

/// Decides about a callback.
///
/// The subject and the browser session come first, so that only the user's own browser learns about an authorization and
/// spends it. Then an authorization is spent before anything else happens, so a code is sent to a service once.
pub(super) fn decide(found: Option<&Pending>, seen: &Seen<'_>, context: &Context<'_>) -> Decision {
    let Some(pending) = found else { return Decision::Refuse(UpstreamReason::UnknownState) };
    if pending.account.subject() != seen.subject {
        return Decision::Refuse(UpstreamReason::OtherSubject);
    }
    if !equal(&pending.session_tag, &seen.session_tag) {
        return Decision::Refuse(UpstreamReason::OtherBrowser);
    }
    match &pending.progress {
        // The write was not confirmed, and it has happened.
        Progress::Spent { by } if *by == context.by => Decision::Follow(next(pending, seen, context)),
        Progress::Spent { .. } => Decision::Refuse(UpstreamReason::Replayed),
        Progress::Open { .. } if context.now.since(pending.started_at) >= LIFETIME => {
            Decision::Refuse(UpstreamReason::Late)
        }
        Progress::Open { .. } => Decision::Spend(next(pending, seen, context)),
    }
}

fn next(pending: &Pending, seen: &Seen<'_>, context: &Context<'_>) -> Next {
    let is_of_service = match (context.issuer, seen.issuer) {
        (Some(expected), Some(issuer)) => expected.identifier == issuer,
        (Some(expected), None) => !expected.is_required,
        (None, _) => true,
    };
    if !is_of_service || *pending.redirect_uri != *seen.redirect_uri {
        return Next::Refuse(UpstreamReason::MixedUp);
    }
    match seen.answer {
        Answer::Code(_) => Next::Exchange,
        Answer::Error(_) => Next::Report,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::grant::Scope;
    use crate::vault::{Account, BoundTo, SecretText};

    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);
    const ME: [u8; 16] = [1; 16];

    fn pending(progress: Progress) -> Pending {
        Pending {
            account: Account::new("alice", "github"),
            scope: Scope::default(),
            bound_to: BoundTo::subject(),
            redirect_uri: "https://a/callback/github".into(),
            return_to: None,
            session_tag: [7; 32],
            started_at: NOW,
            progress,
        }
    }

    fn open() -> Pending {
        pending(Progress::Open { verifier: SecretText::new("verifier") })
    }

    fn code() -> Answer {
        Answer::Code(SecretText::new("code"))
    }

    fn seen(answer: &Answer) -> Seen<'_> {
        let redirect_uri = "https://a/callback/github";
        Seen { subject: "alice", session_tag: [7; 32], redirect_uri, issuer: None, answer }
    }

    fn after(seconds: u64) -> Context<'static> {
        Context { issuer: None, by: ME, now: NOW.saturating_add(Duration::from_secs(seconds)) }
    }

    fn with_issuer(issuer: ExpectedIssuer<'static>) -> Context<'static> {
        Context { issuer: Some(issuer), ..after(0) }
    }

    #[test]
    fn decide_spends_an_open_authorization_for_its_answer() {
        let (code, error) = (code(), Answer::Error("access_denied".into()));
        assert_eq!(decide(Some(&open()), &seen(&code), &after(0)), Decision::Spend(Next::Exchange));
        assert_eq!(decide(Some(&open()), &seen(&error), &after(0)), Decision::Spend(Next::Report));
    }

    #[test]
    fn decide_refuses_an_unknown_state() {
        assert_eq!(decide(None, &seen(&code()), &after(0)), Decision::Refuse(UpstreamReason::UnknownState));
    }

    #[test]
    fn decide_refuses_other_users_and_browsers_before_all_else() {
        let code = code();
        for progress in [Progress::Open { verifier: SecretText::new("v") }, Progress::Spent { by: ME }] {
            let pending = pending(progress);
            for context in [after(0), after(10_000)] {
                let other = Seen { subject: "bob", ..seen(&code) };
                assert_eq!(decide(Some(&pending), &other, &context), Decision::Refuse(UpstreamReason::OtherSubject));
                let other = Seen { session_tag: [8; 32], ..seen(&code) };
                assert_eq!(decide(Some(&pending), &other, &context), Decision::Refuse(UpstreamReason::OtherBrowser));
            }
        }
    }

    #[test]
    fn decide_refuses_a_replay_and_follows_its_own_write() {
        let code = code();
        let spent = |by| pending(Progress::Spent { by });
        for context in [after(0), after(10_000)] {
            let replayed = decide(Some(&spent([2; 16])), &seen(&code), &context);
            assert_eq!(replayed, Decision::Refuse(UpstreamReason::Replayed));
            assert_eq!(decide(Some(&spent(ME)), &seen(&code), &context), Decision::Follow(Next::Exchange));
        }
    }

    #[test]
    fn decide_refuses_a_callback_after_ten_minutes() {
        let code = code();
        assert_eq!(decide(Some(&open()), &seen(&code), &after(599)), Decision::Spend(Next::Exchange));
        assert_eq!(decide(Some(&open()), &seen(&code), &after(600)), Decision::Refuse(UpstreamReason::Late));
    }

    /// RFC 9207 §2.4
    #[test]
    fn decide_refuses_a_mixed_up_issuer_and_spends() {
        let (code, mixed) = (code(), Decision::Spend(Next::Refuse(UpstreamReason::MixedUp)));
        let good = Decision::Spend(Next::Exchange);
        let expected = ExpectedIssuer::new("https://as.example");
        for (issuer, context, wanted) in [
            (Some("https://as.example"), with_issuer(expected), good),
            (Some("https://as.example/"), with_issuer(expected), mixed),
            (Some(""), with_issuer(expected), mixed),
            (None, with_issuer(expected), good),
            (None, with_issuer(expected.required()), mixed),
            (Some("https://other.example"), after(0), good),
        ] {
            assert_eq!(decide(Some(&open()), &Seen { issuer, ..seen(&code) }, &context), wanted, "{issuer:?}");
        }
        let elsewhere = Seen { redirect_uri: "https://a/callback/slack", ..seen(&code) };
        assert_eq!(decide(Some(&open()), &elsewhere, &after(0)), mixed);
    }
}
