//! Each row of the table, in its order.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::audit::UpstreamReason;
use crate::decision::Outages;
use crate::grant::Scope;
use crate::id::FamilyId;
use crate::time::Timestamp;
use crate::vault::bound_to::BoundTo;
use crate::vault::slot::event::{Answer, Ask, Context, Event, RevocationAnswer, Whom};
use crate::vault::slot::outcome::{Decision, Effect, Refusal, Verdict};
use crate::vault::slot::state::{
    BackOff, Claim, Ending, Failure, Held, Live, MAX_ENDING, OperationId, Phase, SecretId, Step,
};
use crate::vault::{Credential, RefreshPolicy, Secret, SecretText, StaticSecret, TokenSet};

const OBTAINED: u64 = 10_000;
/// When the tokens are due, and when they are over.
const DUE: u64 = OBTAINED + 800;
const OVER: u64 = OBTAINED + 995;
const CLAIM: u64 = 30;
const SKEW: u64 = 60;
const ME: OperationId = OperationId([1; 16]);
const OTHER: OperationId = OperationId([2; 16]);
const SESSION: FamilyId = FamilyId::from_bytes([5; 16]);
const OLD: SecretId = SecretId([0; 16]);
const NEW: SecretId = SecretId([9; 16]);

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix(seconds)
}

fn scope() -> Scope {
    Scope::parse("read").unwrap()
}

fn held_with(id: SecretId, credential: impl Into<Option<Credential>>) -> Held {
    let tokens =
        || TokenSet::new(SecretText::new("a"), scope()).expires_at(at(OVER + 5)).refresh_token(SecretText::new("r"));
    let credential = Arc::new(credential.into().unwrap_or_else(|| Credential::OAuth(tokens())));
    Held { id, generation: 1, obtained_at: at(OBTAINED), bound_to: BoundTo::subject(), credential }
}

fn held(id: SecretId) -> Held {
    held_with(id, None)
}

fn key(id: SecretId) -> Held {
    let secret = StaticSecret::new(Secret::ApiKey(SecretText::new("k")), scope()).rotate_by(at(OVER));
    held_with(id, Credential::Static(secret))
}

/// Tokens without a refresh token.
fn mortal(id: SecretId) -> Held {
    held_with(id, Credential::OAuth(TokenSet::new(SecretText::new("a"), scope()).expires_at(at(OVER + 5))))
}

/// A claim that began at `since`.
fn claim(by: OperationId, since: u64) -> Claim {
    Claim { by, since: at(since), until: at(since + CLAIM) }
}

fn live(held: Held, phase: Phase) -> Live {
    Live { held, in_doubt: false, back_off: BackOff::default(), phase }
}

fn ready() -> Live {
    live(held(OLD), Phase::Ready)
}

fn refreshing(by: OperationId, since: u64) -> Live {
    live(held(OLD), Phase::Refreshing(claim(by, since)))
}

fn ending(id: SecretId, step: Step) -> Ending {
    Ending {
        held: held(id),
        since: at(OBTAINED),
        in_doubt: false,
        is_renewed: false,
        back_off: BackOff::default(),
        step,
    }
}

fn paused(now: u64) -> BackOff {
    BackOff { failures: 3, failed_at: at(now - 1), retry_at: at(now + 7), refused_since: None }
}

fn slot(current: impl Into<Option<Live>>, ending: impl IntoIterator<Item = Ending>) -> Slot {
    Slot { generation: 7, current: current.into(), ending: ending.into_iter().collect() }
}

fn policy() -> RefreshPolicy {
    RefreshPolicy { jitter_percent: 0, ..RefreshPolicy::standard() }
}

fn decided(slot: &Slot, event: &Event, now: u64) -> Decision {
    decide(slot, event, &Context { policy: &policy(), outages: Outages::default(), now: at(now) })
}

fn ask() -> Ask {
    let client_id = "client".into();
    Ask { by: ME, session: SESSION, client_id, scope: scope(), broader: false, refused: None, has_provider: true }
}

fn leased(slot: &Slot, now: u64) -> Decision {
    decided(slot, &Event::Lease(ask()), now)
}

/// The secret was refused by the service.
fn refused(slot: &Slot, now: u64) -> Decision {
    decided(slot, &Event::Lease(Ask { refused: Some(OLD), ..ask() }), now)
}

fn revoked(slot: &Slot, now: u64) -> Decision {
    decided(slot, &Event::Revoke { by: ME, whom: Whom::Account }, now)
}

fn ticked(slot: &Slot, now: u64) -> Decision {
    decided(slot, &Event::Tick { by: ME }, now)
}

fn answered(slot: &Slot, answer: Answer, now: u64) -> Decision {
    decided(slot, &Event::Answered { from: held(OLD), claim: claim(ME, OVER), answer }, now)
}

fn revocation_answered(slot: &Slot, answer: RevocationAnswer, now: u64) -> Decision {
    decided(slot, &Event::RevocationAnswer { id: OLD, claim: claim(ME, OVER), answer }, now)
}

fn fresh(is_usable: bool, now: u64) -> Answer {
    let tokens = TokenSet::new(SecretText::new("b"), scope()).expires_at(at(now + 1_000));
    let credential = Arc::new(Credential::OAuth(tokens.refresh_token(SecretText::new("s"))));
    Answer::Fresh { held: Held { obtained_at: at(now), credential, ..held(NEW) }, is_usable }
}

fn failed(reason: UpstreamReason) -> Failure {
    Failure { reason, retry_after: None }
}

fn reports(decision: &Decision) -> Vec<(&'static str, Option<&'static str>)> {
    decision.reports.iter().map(|report| (report.act.as_str(), report.reason.map(|reason| reason.as_str()))).collect()
}

fn serve(held: Held) -> Verdict {
    Verdict::Serve { held, overdue: false }
}

fn refresh(by: OperationId, since: u64) -> Option<Effect> {
    Some(Effect::Refresh { held: held(OLD), claim: claim(by, since) })
}

fn tell(id: SecretId, since: u64) -> Option<Effect> {
    Some(Effect::Tell { held: held(id), claim: claim(ME, since) })
}

#[track_caller]
fn assert_refused(decision: &Decision, refusal: Refusal) {
    assert_eq!((&decision.verdict, &decision.effect), (&Verdict::Refused(refusal), &None));
}

/// Checks an answer without a write.
#[track_caller]
fn assert_only(decision: &Decision, verdict: Verdict) {
    assert_eq!((&decision.verdict, &decision.write, &decision.effect), (&verdict, &None, &None));
}

#[track_caller]
fn assert_written(decision: &Decision, current: impl Into<Option<Live>>, ending: impl IntoIterator<Item = Ending>) {
    let next = decision.write.as_ref().expect("it is written");
    assert_eq!((&next.current, &next.ending), (&current.into(), &ending.into_iter().collect()));
}

// ---- Put and Rotate

#[test]
fn put_keeps_what_waits_for_its_revocation() {
    let waiting = ending(SecretId([3; 16]), Step::Telling(claim(OTHER, DUE)));
    let put = decided(&slot(ready(), [waiting.clone()]), &Event::Put { held: held(NEW), ends_grants: false }, DUE);
    assert_written(&put, live(held(NEW), Phase::Ready), [waiting]);
    assert_eq!(put.write.as_ref().and_then(|next| next.current.as_ref()).map(|live| live.held.generation), Some(8));
    assert_eq!(reports(&put), [("upstream_replaced", None), ("upstream_put", None)]);
}

#[test]
fn put_over_a_running_refresh_says_that_tokens_may_be_lost() {
    let put = |old| {
        let put = decided(&slot(old, []), &Event::Put { held: held(NEW), ends_grants: false }, DUE);
        reports(&put)
    };
    let replaced = ("upstream_replaced", Some("upstream_answer_lost"));
    assert_eq!(put(refreshing(OTHER, DUE)), [replaced, ("upstream_put", None)]);
    assert_eq!(put(live(held(OLD), Phase::Dead)), [("upstream_put", None)]);
}

#[test]
fn put_where_grants_end_whole_cancels_revocations() {
    let waiting = ending(OLD, Step::Due);
    let put = decided(&slot(None, [waiting]), &Event::Put { held: held(NEW), ends_grants: true }, DUE);
    assert_written(&put, live(held(NEW), Phase::Ready), []);
    assert_eq!(reports(&put), [("upstream_revoke_cancelled", None), ("upstream_put", None)]);
}

#[test]
fn put_that_is_decided_again_changes_nothing() {
    for slot in [slot(ready(), []), slot(None, [ending(OLD, Step::Due)])] {
        assert_only(&decided(&slot, &Event::Put { held: held(OLD), ends_grants: true }, DUE), Verdict::Done);
    }
}

#[test]
fn rotate_replaces_a_static_secret_and_keeps_its_binding() {
    let bound = Held { bound_to: BoundTo::subject().session(SESSION), ..key(OLD) };
    let rotated = decided(&slot(live(bound.clone(), Phase::Dead), []), &Event::Rotate { held: key(NEW) }, DUE);
    assert_written(&rotated, live(key(NEW), Phase::Ready), []);
    assert_eq!(rotated.write.unwrap().current.unwrap().held.bound_to, bound.bound_to);
}

#[test]
fn rotate_of_anything_else_is_absent() {
    for slot in [slot(ready(), []), slot(None, [ending(OLD, Step::Due)])] {
        assert_only(&decided(&slot, &Event::Rotate { held: key(NEW) }, DUE), Verdict::Absent);
    }
}

// ---- Lease

#[test]
fn lease_without_current_is_revoked_or_not_found() {
    assert_refused(&leased(&slot(None, [ending(OLD, Step::Due)]), DUE), Refusal::Revoked);
    assert_refused(&leased(&slot(None, []), DUE), Refusal::NotFound);
}

#[test]
fn lease_for_another_session_or_client_is_refused() {
    let bound = |bound_to| slot(live(Held { bound_to, ..held(OLD) }, Phase::Ready), []);
    let session = BoundTo::subject().session(FamilyId::from_bytes([6; 16]));
    assert_refused(&leased(&bound(session), OBTAINED), Refusal::OtherSession);
    assert_refused(&leased(&bound(BoundTo::subject().client("another")), OBTAINED), Refusal::OtherClient);
    let own = BoundTo::subject().session(SESSION).client("client");
    assert_only(&leased(&bound(own), OBTAINED), serve(held(OLD)));
}

#[test]
fn lease_of_a_dead_secret_needs_authorization() {
    assert_refused(&leased(&slot(live(held(OLD), Phase::Dead), []), DUE), Refusal::NeedsAuthorization);
}

#[test]
fn lease_for_another_scope_is_refused() {
    let leased = |requested: &str, broader| {
        let ask = Ask { scope: Scope::parse(requested).unwrap(), broader, ..ask() };
        decided(&slot(ready(), []), &Event::Lease(ask), OVER)
    };
    assert_refused(&leased("write", true), Refusal::InsufficientScope);
    assert_refused(&leased("", false), Refusal::BroaderThanNeeded);
    assert_eq!(leased("", true).verdict, Verdict::Refresh);
}

#[test]
fn lease_of_a_static_secret_serves_and_says_when_it_is_overdue() {
    let slot = slot(live(key(OLD), Phase::Ready), []);
    assert_only(&leased(&slot, OVER - 1), serve(key(OLD)));
    let late = leased(&slot, OVER);
    assert_only(&late, Verdict::Serve { held: key(OLD), overdue: true });
    assert_eq!(reports(&late), [("upstream_overdue", None)]);
}

#[test]
fn lease_after_a_refusal_without_refresh_ends_the_secret() {
    for secret in [key(OLD), mortal(OLD)] {
        let decision = refused(&slot(live(secret.clone(), Phase::Ready), []), OBTAINED);
        assert_refused(&decision, Refusal::NeedsAuthorization);
        assert_written(&decision, live(secret, Phase::Dead), []);
        assert_eq!(reports(&decision), [("upstream_needs_authorization", Some("upstream_secret_refused"))]);
    }
}

#[test]
fn lease_of_a_good_token_serves() {
    assert_only(&leased(&slot(ready(), []), DUE - 1), serve(held(OLD)));
    assert_only(&leased(&slot(live(mortal(OLD), Phase::Ready), []), OVER - 1), serve(mortal(OLD)));
}

#[test]
fn lease_of_an_expired_token_without_refresh_needs_authorization() {
    assert_refused(&leased(&slot(live(mortal(OLD), Phase::Ready), []), OVER), Refusal::NeedsAuthorization);
}

#[test]
fn lease_without_provider_serves_while_the_token_is_good() {
    let leased = |now| decided(&slot(ready(), []), &Event::Lease(Ask { has_provider: false, ..ask() }), now);
    let (due, over) = (leased(DUE), leased(OVER));
    assert_only(&due, serve(held(OLD)));
    assert_only(&over, Verdict::Refused(Refusal::NoProvider));
    let failed = [("upstream_refresh_failed", Some("no_provider"))];
    assert_eq!((reports(&due), reports(&over)), (failed.to_vec(), failed.to_vec()));
}

#[test]
fn lease_of_a_due_token_serves_and_refreshes() {
    let decision = leased(&slot(ready(), []), DUE);
    assert_eq!((&decision.verdict, &decision.effect), (&serve(held(OLD)), &refresh(ME, DUE)));
    assert_written(&decision, refreshing(ME, DUE), []);
}

#[test]
fn lease_of_a_due_token_serves_while_nothing_can_be_asked() {
    let paused = Live { back_off: paused(DUE), ..ready() };
    for current in [paused, refreshing(OTHER, DUE), refreshing(OTHER, DUE + 2 * SKEW)] {
        assert_only(&leased(&slot(current, []), DUE), serve(held(OLD)));
    }
}

#[test]
fn lease_of_a_due_token_takes_over_a_claim_that_is_over() {
    let decision = leased(&slot(refreshing(OTHER, DUE), []), DUE + CLAIM + SKEW);
    let since = DUE + CLAIM + SKEW;
    assert_eq!((&decision.verdict, &decision.effect), (&serve(held(OLD)), &refresh(ME, since)));
    assert_written(&decision, Live { in_doubt: true, ..refreshing(ME, since) }, []);
}

#[test]
fn lease_of_an_expired_or_refused_token_refreshes() {
    for (decision, now) in [(leased(&slot(ready(), []), OVER), OVER), (refused(&slot(ready(), []), DUE - 1), DUE - 1)] {
        assert_eq!((&decision.verdict, &decision.effect), (&Verdict::Refresh, &refresh(ME, now)));
        assert_written(&decision, refreshing(ME, now), []);
    }
}

#[test]
fn lease_of_an_expired_token_in_a_pause_is_unavailable() {
    let slot = slot(Live { back_off: paused(OVER), ..ready() }, []);
    assert_refused(&leased(&slot, OVER), Refusal::Unavailable { until: at(OVER + 7) });
    assert_eq!(leased(&slot, OVER + 7).verdict, Verdict::Refresh);
}

#[test]
fn lease_that_is_decided_again_refreshes_under_its_own_claim() {
    let decision = leased(&slot(refreshing(ME, OVER), []), OVER + 1);
    assert_eq!((&decision.verdict, &decision.effect), (&Verdict::Refresh, &refresh(ME, OVER)));
    assert_eq!(decision.write, None);
}

#[test]
fn lease_waits_while_the_claim_of_another_is_held() {
    let since = OVER + SKEW;
    for now in [OVER, since, since + CLAIM + SKEW - 1] {
        assert_only(&leased(&slot(refreshing(OTHER, since), []), now), Verdict::Wait { until: at(since + CLAIM) });
    }
}

#[test]
fn lease_waits_as_long_as_the_store_was_away_in_addition() {
    let slot = slot(refreshing(OTHER, OVER), []);
    let outages = Outages::default().with(at(OVER + 1), at(OVER + 601));
    let policy = policy();
    let decided = |now| {
        let context = Context { policy: &policy, outages, now: at(now) };
        decide(&slot, &Event::Lease(ask()), &context).verdict
    };
    assert_eq!(decided(OVER + CLAIM + SKEW + 599), Verdict::Wait { until: at(OVER + CLAIM) });
    assert_eq!(decided(OVER + CLAIM + SKEW + 600), Verdict::Refresh);
}

#[test]
fn lease_gives_new_dates_to_a_claim_ahead_and_waits() {
    let decision = leased(&slot(refreshing(OTHER, OVER + 600), []), OVER);
    assert_eq!((&decision.verdict, &decision.effect), (&Verdict::Wait { until: at(OVER + CLAIM) }, &None));
    assert_written(&decision, refreshing(OTHER, OVER), []);
    assert_eq!(reports(&decision), [("upstream_clock_stepped", None)]);
}

#[test]
fn lease_takes_over_a_claim_that_is_over_in_doubt() {
    let now = OVER + CLAIM + SKEW;
    let decision = leased(&slot(refreshing(OTHER, OVER), []), now);
    assert_eq!((&decision.verdict, &decision.effect), (&Verdict::Refresh, &refresh(ME, now)));
    assert_written(&decision, Live { in_doubt: true, ..refreshing(ME, now) }, []);
}

#[test]
fn lease_after_long_refusals_needs_authorization_and_still_asks() {
    let refused_since = Some(at(OVER));
    let now = OVER + policy().refusal_limit.as_secs();
    let back_off = |back_off| BackOff { refused_since, ..back_off };
    let paused = Live { back_off: back_off(paused(now)), ..ready() };
    assert_refused(&leased(&slot(paused, []), now), Refusal::NeedsAuthorization);
    let claimed = Live { back_off: back_off(BackOff::default()), ..refreshing(OTHER, now) };
    assert_refused(&leased(&slot(claimed, []), now), Refusal::NeedsAuthorization);
    let idle = Live { back_off: back_off(BackOff::default()), ..ready() };
    assert_eq!(leased(&slot(idle, []), now).verdict, Verdict::Refresh);
}

// ---- Revoke and Tick

#[test]
fn revoke_moves_the_current_secret_and_tells() {
    let decision = revoked(&slot(Live { in_doubt: true, ..ready() }, []), DUE);
    let telling = Ending { in_doubt: true, since: at(DUE), ..ending(OLD, Step::Telling(claim(ME, DUE))) };
    assert_written(&decision, None, [telling]);
    assert_eq!((&decision.verdict, &decision.effect), (&Verdict::Done, &tell(OLD, DUE)));
    assert_eq!(reports(&decision), [("upstream_revoke", None)]);
}

#[test]
fn revoke_takes_the_claim_of_a_refresh_along() {
    let decision = revoked(&slot(refreshing(OTHER, DUE), []), DUE + 1);
    let waiting = Ending { since: at(DUE + 1), ..ending(OLD, Step::Refreshing(claim(OTHER, DUE))) };
    assert_written(&decision, None, [waiting]);
    assert_eq!((&decision.verdict, &decision.effect), (&Verdict::Done, &None));
}

#[test]
fn revoke_of_another_session_or_client_is_absent() {
    let slot = slot(ready(), [ending(NEW, Step::Due)]);
    for whom in [Whom::Session(SESSION), Whom::Client("client".into())] {
        let decision = decided(&slot, &Event::Revoke { by: ME, whom }, DUE);
        assert_eq!((&decision.verdict, &decision.effect), (&Verdict::Absent, &tell(NEW, DUE)));
    }
    let bound = BoundTo::subject().session(SESSION).client("client");
    for whom in [Whom::Session(SESSION), Whom::Client("client".into())] {
        let bound = Live { held: Held { bound_to: bound.clone(), ..held(OLD) }, ..ready() };
        let slot = Slot { current: Some(bound), ..Slot::default() };
        assert_eq!(decided(&slot, &Event::Revoke { by: ME, whom }, DUE).verdict, Verdict::Done);
    }
}

#[test]
fn revoke_of_a_fifth_secret_abandons_the_oldest() {
    let paused = |n| Ending { back_off: paused(DUE), ..ending(SecretId([n; 16]), Step::Due) };
    let decision = revoked(&slot(ready(), (10..14).map(paused)), DUE);
    let next = decision.write.as_ref().unwrap();
    assert_eq!((next.ending.len(), next.ending[0].held.id), (MAX_ENDING, SecretId([11; 16])));
    assert_eq!(reports(&decision)[1], ("upstream_abandoned", Some("upstream_too_many")));
}

#[test]
fn tick_abandons_what_has_expired_or_waits_for_too_long() {
    let retention = OBTAINED + policy().retention.as_secs();
    let mortal = Ending { held: mortal(OLD), ..ending(OLD, Step::Due) };
    for (entry, end) in [(ending(OLD, Step::Due), retention), (mortal, OVER + 5)] {
        let paused = Ending { back_off: BackOff { retry_at: at(end + 100), ..BackOff::default() }, ..entry };
        assert_eq!(ticked(&slot(None, [paused.clone()]), end - 1).effect, None);
        let doubtful = Ending { in_doubt: true, ..paused.clone() };
        for (entry, reason) in [(paused, None), (doubtful, Some("upstream_answer_lost"))] {
            let decision = ticked(&slot(None, [entry]), end);
            assert_written(&decision, None, []);
            assert_eq!(reports(&decision), [("upstream_abandoned", reason)]);
        }
    }
}

#[test]
fn tick_tells_of_one_secret_that_is_due() {
    let decision = ticked(&slot(None, [ending(OLD, Step::Due), ending(NEW, Step::Due)]), DUE);
    assert_written(&decision, None, [ending(OLD, Step::Telling(claim(ME, DUE))), ending(NEW, Step::Due)]);
    assert_eq!(decision.effect, tell(OLD, DUE));
}

#[test]
fn tick_leaves_a_secret_in_a_pause() {
    let paused = Ending { back_off: paused(DUE), ..ending(OLD, Step::Due) };
    assert_only(&ticked(&slot(None, [paused.clone()]), DUE), Verdict::Done);
    assert_eq!(ticked(&slot(None, [paused, ending(NEW, Step::Due)]), DUE).effect, tell(NEW, DUE));
}

#[test]
fn tick_that_is_decided_again_goes_on_under_its_own_claim() {
    let telling = ticked(&slot(None, [ending(OLD, Step::Telling(claim(ME, OVER)))]), OVER + 1);
    assert_eq!((telling.write, telling.effect), (None, tell(OLD, OVER)));
    let refreshes = ticked(&slot(None, [ending(OLD, Step::Refreshing(claim(ME, OVER)))]), OVER + 1);
    assert_eq!((refreshes.write, refreshes.effect), (None, refresh(ME, OVER)));
}

#[test]
fn tick_leaves_a_claim_that_is_held() {
    for step in [Step::Refreshing(claim(OTHER, OVER)), Step::Telling(claim(OTHER, OVER))] {
        assert_only(&ticked(&slot(None, [ending(OLD, step)]), OVER + CLAIM + SKEW - 1), Verdict::Done);
    }
}

#[test]
fn tick_gives_new_dates_to_a_claim_ahead() {
    for step in [Step::Refreshing, Step::Telling] {
        let decision = ticked(&slot(None, [ending(OLD, step(claim(OTHER, OVER + 600)))]), OVER);
        assert_written(&decision, None, [ending(OLD, step(claim(OTHER, OVER)))]);
        assert_eq!((reports(&decision), decision.effect), (vec![("upstream_clock_stepped", None)], None));
    }
}

#[test]
fn tick_takes_over_a_claim_that_is_over() {
    let now = OVER + CLAIM + SKEW;
    for (step, in_doubt) in [(Step::Refreshing(claim(OTHER, OVER)), true), (Step::Telling(claim(OTHER, OVER)), false)] {
        let decision = ticked(&slot(None, [ending(OLD, step)]), now);
        assert_written(&decision, None, [Ending { in_doubt, ..ending(OLD, Step::Telling(claim(ME, now))) }]);
        assert_eq!(decision.effect, tell(OLD, now));
    }
}

// ---- Answered

#[test]
fn new_tokens_replace_the_current_secret_that_they_came_from() {
    let phases = [Phase::Refreshing(claim(ME, OVER)), Phase::Refreshing(claim(OTHER, OVER)), Phase::Dead];
    for phase in phases {
        let old = Live { in_doubt: true, back_off: paused(OVER), ..live(held(OLD), phase) };
        let decision = answered(&slot(old, []), fresh(true, OVER), OVER + 1);
        assert_written(&decision, live(held(NEW), Phase::Ready), []);
        assert_eq!(reports(&decision), [("upstream_refresh", None)]);
    }
}

/// The next lease must not refresh again at once.
#[test]
fn new_tokens_that_are_not_usable_are_kept_with_a_pause() {
    let old = Live { back_off: BackOff { failures: 2, ..BackOff::default() }, ..refreshing(ME, OVER) };
    for (answer, now) in [(fresh(false, OVER), OVER + 1), (fresh(true, OVER), OVER + 1_000)] {
        let decision = answered(&slot(old.clone(), []), answer, now);
        let next = decision.write.clone().unwrap().current.unwrap();
        assert_eq!((next.held.id, next.phase), (NEW, Phase::Ready));
        assert_eq!((next.back_off.failures, next.back_off.retry_at), (3, at(now + 4)));
        assert_eq!(reports(&decision), [("upstream_refresh_failed", Some("upstream_unusable_token"))]);
    }
}

#[test]
fn new_tokens_of_a_revoked_secret_are_revoked() {
    for step in [Step::Refreshing(claim(ME, OVER)), Step::Telling(claim(OTHER, OVER)), Step::Due] {
        let old = Ending { in_doubt: true, ..ending(OLD, step) };
        let current = live(held(SecretId([4; 16])), Phase::Ready);
        let decision = answered(&slot(current.clone(), [old]), fresh(true, OVER), OVER + 1);
        let telling = ending(NEW, Step::Telling(claim(ME, OVER + 1)));
        assert_written(&decision, current, [Ending { is_renewed: true, ..telling }]);
        assert_eq!((reports(&decision), decision.effect), (vec![("upstream_refresh", None)], tell(NEW, OVER + 1)));
    }
}

#[test]
fn new_tokens_that_are_there_already_change_nothing() {
    for slot in [slot(live(held(NEW), Phase::Ready), []), slot(None, [ending(NEW, Step::Due)])] {
        assert_only(&answered(&slot, fresh(true, OVER), OVER), Verdict::Done);
    }
}

/// If the account has had another secret since, an earlier write may have stored them, and another operation spent them.
#[test]
fn new_tokens_that_come_from_nowhere_are_revoked() {
    for (generation, in_doubt) in [(1, false), (2, true)] {
        let slot = Slot { generation, ..slot(None, []) };
        let decision = answered(&slot, fresh(true, OVER), OVER + 1);
        let telling = Ending { since: at(OVER + 1), ..ending(NEW, Step::Telling(claim(ME, OVER + 1))) };
        assert_written(&decision, None, [Ending { in_doubt, is_renewed: true, ..telling }]);
        assert_eq!((reports(&decision), decision.effect), (vec![("upstream_revoke", None)], tell(NEW, OVER + 1)));
    }
}

#[test]
fn new_tokens_from_nowhere_beside_another_credential_are_dropped() {
    let decision = answered(&slot(live(held(SecretId([4; 16])), Phase::Ready), []), fresh(true, OVER), OVER + 1);
    assert_only(&decision, Verdict::Done);
    assert_eq!(reports(&decision), [("upstream_superseded", None)]);
}

#[test]
fn end_of_the_grant_needs_authorization() {
    for (in_doubt, reason) in [(false, "upstream_invalid_grant"), (true, "upstream_answer_lost")] {
        let old = Live { in_doubt, ..refreshing(ME, OVER) };
        let decision = answered(&slot(old, []), Answer::Dead, OVER + 1);
        assert_written(&decision, Live { in_doubt, ..live(held(OLD), Phase::Dead) }, []);
        assert_eq!(reports(&decision), [("upstream_needs_authorization", Some(reason))]);
    }
}

#[test]
fn end_of_the_grant_of_a_revoked_secret_is_its_revocation_unless_in_doubt() {
    let acts = [(false, ("upstream_revoked", None)), (true, ("upstream_abandoned", Some("upstream_answer_lost")))];
    for (in_doubt, report) in acts {
        let old = Ending { in_doubt, ..ending(OLD, Step::Refreshing(claim(ME, OVER))) };
        let decision = answered(&slot(None, [old]), Answer::Dead, OVER + 1);
        assert_written(&decision, None, []);
        assert_eq!(reports(&decision), [report]);
    }
}

#[test]
fn failed_refresh_pauses_and_a_lost_answer_leaves_a_doubt() {
    let cases = [(UpstreamReason::Unavailable, false), (UpstreamReason::Uncertain, true)];
    for (reason, in_doubt) in cases {
        let answer = || Answer::Failed(failed(reason));
        let back_off = BackOff { failures: 1, failed_at: at(OVER), retry_at: at(OVER + 1), refused_since: None };
        let decision = answered(&slot(refreshing(ME, OVER), []), answer(), OVER);
        assert_written(&decision, Live { in_doubt, back_off, ..ready() }, []);
        assert_eq!(reports(&decision), [("upstream_refresh_failed", Some(reason.as_str()))]);

        let decision = answered(&slot(None, [ending(OLD, Step::Refreshing(claim(ME, OVER)))]), answer(), OVER);
        assert_written(&decision, None, [Ending { in_doubt, back_off, ..ending(OLD, Step::Due) }]);
        assert_eq!(reports(&decision), [("upstream_revoke_failed", Some(reason.as_str()))]);
    }
}

#[test]
fn refusals_are_reported_once_when_the_limit_is_passed() {
    let limit = policy().refusal_limit.as_secs();
    let mut current = refreshing(ME, OVER);
    let mut fail = |reason, seconds| {
        let claimed = Live { phase: Phase::Refreshing(claim(ME, OVER)), ..current.clone() };
        let decision = answered(&slot(claimed, []), Answer::Failed(failed(reason)), OVER + seconds);
        current = decision.write.clone().unwrap().current.unwrap();
        reports(&decision)[0]
    };
    use UpstreamReason::{Configuration, Refused, Unavailable};
    let failed = |reason: UpstreamReason| ("upstream_refresh_failed", Some(reason.as_str()));
    let given_up = ("upstream_needs_authorization", Some("upstream_refused"));
    assert_eq!(fail(Refused, 0), failed(Refused));
    assert_eq!(fail(Unavailable, 60), failed(Unavailable), "it is no answer");
    assert_eq!(fail(Refused, limit - 1), failed(Refused));
    assert_eq!(fail(Refused, limit), given_up);
    assert_eq!(fail(Refused, limit + 1), failed(Refused));
    assert_eq!(fail(Configuration, limit + 2), failed(Configuration), "now it is known why");
    assert_eq!(fail(Refused, limit + 3), failed(Refused));
    assert_eq!(fail(Refused, 2 * limit + 3), given_up);
}

#[test]
fn pause_is_as_long_as_the_service_asks() {
    let retry_after = Some(Duration::from_secs(600));
    let answer = Answer::Failed(Failure { reason: UpstreamReason::Unavailable, retry_after });
    let decision = answered(&slot(refreshing(ME, OVER), []), answer, OVER);
    assert_eq!(decision.write.unwrap().current.unwrap().back_off.retry_at, at(OVER + 600));
}

#[test]
fn refresh_that_was_not_sent_ends_its_claim_alone() {
    let decision = answered(&slot(refreshing(ME, OVER), []), Answer::NotSent, OVER + CLAIM);
    assert_written(&decision, ready(), []);
    let waiting = ending(OLD, Step::Refreshing(claim(ME, OVER)));
    assert_written(&answered(&slot(None, [waiting]), Answer::NotSent, OVER + CLAIM), None, [ending(OLD, Step::Due)]);
}

#[test]
fn late_answer_without_tokens_changes_nothing() {
    let slots = [
        slot(None, []),
        slot(live(held(NEW), Phase::Refreshing(claim(ME, OVER))), []),
        slot(refreshing(OTHER, OVER), []),
        slot(None, [ending(OLD, Step::Refreshing(claim(OTHER, OVER)))]),
        slot(None, [ending(OLD, Step::Telling(claim(ME, OVER)))]),
    ];
    for slot in slots {
        for answer in [Answer::Dead, Answer::NotSent, Answer::Failed(failed(UpstreamReason::Uncertain))] {
            assert_only(&answered(&slot, answer, OVER + 1), Verdict::Done);
        }
    }
}

#[test]
fn new_tokens_that_are_stored_already_are_revoked_under_the_same_claim() {
    let telling = claim(ME, OVER + 1);
    let decision = answered(&slot(None, [ending(NEW, Step::Telling(telling))]), fresh(true, OVER), OVER + 2);
    assert_eq!((decision.write, decision.effect), (None, tell(NEW, OVER + 1)));
}

// ---- RevocationAnswer

#[test]
fn revoked_secret_is_gone() {
    for step in [Step::Telling(claim(ME, OVER)), Step::Telling(claim(OTHER, OVER)), Step::Due] {
        for (in_doubt, reason) in [(false, None), (true, Some("upstream_answer_lost"))] {
            let entry = Ending { in_doubt, ..ending(OLD, step) };
            let decision = revocation_answered(&slot(ready(), [entry]), RevocationAnswer::Done, OVER);
            assert_written(&decision, ready(), []);
            assert_eq!(reports(&decision), [("upstream_revoked", reason)]);
        }
    }
}

#[test]
fn secret_that_cannot_be_revoked_is_forgotten() {
    let decision = revocation_answered(
        &slot(None, [ending(OLD, Step::Telling(claim(ME, OVER)))]),
        RevocationAnswer::Unsupported,
        OVER,
    );
    assert_written(&decision, None, []);
    assert_eq!(reports(&decision), [("upstream_forgotten", None)]);
}

#[test]
fn service_that_needs_a_live_token_gets_a_refresh() {
    let decision = revocation_answered(
        &slot(None, [ending(OLD, Step::Telling(claim(ME, OVER)))]),
        RevocationAnswer::NeedsRefresh,
        OVER + 1,
    );
    assert_written(&decision, None, [ending(OLD, Step::Refreshing(claim(ME, OVER + 1)))]);
    assert_eq!(decision.effect, refresh(ME, OVER + 1));
}

/// A service that takes no token at all must not be asked in a loop.
#[test]
fn service_that_refuses_renewed_tokens_is_told_later() {
    let renewed = Ending { is_renewed: true, ..ending(OLD, Step::Telling(claim(ME, OVER))) };
    let decision = revocation_answered(&slot(None, [renewed]), RevocationAnswer::NeedsRefresh, OVER);
    let back_off = BackOff { failures: 1, failed_at: at(OVER), retry_at: at(OVER + 1), refused_since: None };
    assert_written(&decision, None, [Ending { back_off, ..ending(OLD, Step::Due) }]);
    assert_eq!(reports(&decision), [("upstream_revoke_failed", Some("upstream_uncertain"))]);
}

#[test]
fn expired_token_without_refresh_counts_as_revoked() {
    let entry = Ending { held: mortal(OLD), ..ending(OLD, Step::Telling(claim(ME, OVER))) };
    let decision = revocation_answered(&slot(None, [entry]), RevocationAnswer::NeedsRefresh, OVER);
    assert_written(&decision, None, []);
    assert_eq!(reports(&decision), [("upstream_revoked", None)]);
}

#[test]
fn need_for_a_refresh_that_is_decided_again_refreshes() {
    let decision = revocation_answered(
        &slot(None, [ending(OLD, Step::Refreshing(claim(ME, OVER)))]),
        RevocationAnswer::NeedsRefresh,
        OVER + 1,
    );
    assert_eq!((decision.write, decision.effect), (None, refresh(ME, OVER)));
}

#[test]
fn failed_revocation_pauses() {
    let entry = Ending { back_off: BackOff { failures: 1, ..BackOff::default() }, ..ending(OLD, Step::Due) };
    let telling = Ending { step: Step::Telling(claim(ME, OVER)), ..entry.clone() };
    let decision = revocation_answered(
        &slot(None, [telling]),
        RevocationAnswer::Failed(failed(UpstreamReason::Unavailable)),
        OVER,
    );
    let back_off = BackOff { failures: 2, failed_at: at(OVER), retry_at: at(OVER + 2), refused_since: None };
    assert_written(&decision, None, [Ending { back_off, ..entry }]);
    assert_eq!(reports(&decision), [("upstream_revoke_failed", Some("upstream_unavailable"))]);
}

#[test]
fn revocation_that_was_not_sent_ends_its_claim_alone() {
    let decision = revocation_answered(
        &slot(None, [ending(OLD, Step::Telling(claim(ME, OVER)))]),
        RevocationAnswer::NotSent,
        OVER + CLAIM,
    );
    assert_written(&decision, None, [ending(OLD, Step::Due)]);
}

#[test]
fn late_answer_to_a_revocation_changes_nothing() {
    let slots = [
        slot(ready(), [ending(NEW, Step::Telling(claim(ME, OVER)))]),
        slot(None, [ending(OLD, Step::Telling(claim(OTHER, OVER)))]),
        slot(None, [ending(OLD, Step::Refreshing(claim(OTHER, OVER)))]),
    ];
    for slot in &slots {
        for answer in [
            RevocationAnswer::NeedsRefresh,
            RevocationAnswer::NotSent,
            RevocationAnswer::Failed(failed(UpstreamReason::Unavailable)),
        ] {
            assert_only(&revocation_answered(slot, answer, OVER + 1), Verdict::Done);
        }
    }
    assert_only(&revocation_answered(&slots[2], RevocationAnswer::Done, OVER + 1), Verdict::Done);
}
