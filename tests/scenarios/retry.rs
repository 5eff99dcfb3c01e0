use mcp_token_lifecycle::{
    Client, Clock, ErrorCode, ErrorKind, Expectation, Grant, MemoryStore, OnSuperseded, PolicySet, Reason,
    RefreshRequest, Resource, RotationPolicy, ScopeLimit, VerifyError,
};

use crate::support::*;

const OTHER: &str = "https://other.example.com/mcp";

#[test]
fn s14_lost_response_gets_the_same_successor() {
    let bench = bench(RotationPolicy::standard());
    let first = bench.login();
    let second = bench.refresh(rt(&first)).unwrap();
    bench.pass(29);
    let again = bench.refresh(rt(&first)).unwrap();
    assert_eq!(rt(&again), rt(&second));
    assert!(again.retry && !second.retry);
    assert_ne!(again.access_token.expose(), second.access_token.expose(), "the access token is made for this request");
    assert!(bench.live(&again).is_ok());
}

#[test]
fn s15_the_applications_side_effect_runs_once_per_rotation() {
    let bench = bench(RotationPolicy::standard());
    let first = bench.login();
    let answers: Vec<_> = (0..5).map(|_| bench.refresh(rt(&first)).unwrap()).collect();
    assert_eq!(answers.iter().filter(|answer| !answer.retry).count(), 1);
}

fn two_resources() -> Grant {
    grant().with_resource(Resource::parse(OTHER).unwrap()).unwrap()
}

#[test]
fn s16_a_retry_may_name_scopes_and_resources_in_another_order() {
    let bench = bench(RotationPolicy::standard());
    let first = bench.begin(two_resources());
    let client = client();
    let ask = |scope, one, two| {
        bench.ask(RefreshRequest::new(&client, rt(&first)).scope(scope).resource(one).resource(two)).unwrap()
    };
    let second = ask("mcp:read mcp:write", RESOURCE, OTHER);
    let again = ask("mcp:write  mcp:read", OTHER, RESOURCE);
    assert!(again.retry);
    assert_eq!(rt(&again), rt(&second));
    assert_eq!(again.scope, second.scope);
}

/// spec: RFC 8707 §2.2 a
#[test]
fn s17_retry_for_another_resource_gets_that_audience_alone() {
    let bench = bench(RotationPolicy::standard());
    let first = bench.begin(two_resources());
    let client = client();
    bench.ask(RefreshRequest::new(&client, rt(&first)).resource(RESOURCE)).unwrap();
    let again = bench.ask(RefreshRequest::new(&client, rt(&first)).resource(OTHER)).unwrap();
    assert!(again.retry);
    let (here, other) = (resource(), Resource::parse(OTHER).unwrap());
    let verify = |at| {
        let verifier = bench.issuer.verifier();
        verifier.verify(again.access_token.expose(), &Expectation::resource(at), bench.clock.now())
    };
    assert_eq!(verify(&here), Err(VerifyError::Audience));
    assert_eq!(verify(&other).unwrap().audience(), [other]);
}

#[test]
fn s18_a_retry_does_not_extend_the_leeway() {
    let bench = bench(RotationPolicy::standard());
    let first = bench.login();
    bench.refresh(rt(&first)).unwrap();
    bench.pass(20);
    assert!(bench.refresh(rt(&first)).unwrap().retry);
    bench.pass(9);
    assert!(bench.refresh(rt(&first)).unwrap().retry, "second 29 of 30");
    bench.told();
    bench.pass(1);
    assert_eq!(bench.refresh(rt(&first)).unwrap_err(), ErrorCode::InvalidGrant);
    assert_eq!(bench.told(), [("reuse_revoke_family", Some(Reason::SpentToken))]);
}

#[test]
fn s19_spent_token_without_leeway_is_refused_at_once() {
    let bench = bench(RotationPolicy::strict());
    let first = bench.login();
    bench.refresh(rt(&first)).unwrap();
    assert_eq!(bench.refresh(rt(&first)).unwrap_err(), ErrorCode::InvalidGrant);
}

#[test]
fn s20_the_leeway_does_not_reach_beyond_the_familys_end() {
    let bench =
        bench(policy(|p| p.absolute_lifetime(seconds(100)).idle_lifetime(seconds(100)).access_lifetime(seconds(50))));
    let first = bench.login();
    bench.pass(90);
    bench.refresh(rt(&first)).unwrap();
    bench.told();
    bench.pass(10);
    assert_eq!(bench.refresh(rt(&first)).unwrap_err(), ErrorCode::InvalidGrant);
    assert_eq!(bench.told(), [("deny", Some(Reason::AbsoluteExpired))]);
}

#[test]
fn s20_leeway_ends_with_the_successors_idle_lifetime() {
    let limit = ScopeLimit::access(seconds(300)).with_idle(seconds(3600));
    let bench = bench(PolicySet::new(RotationPolicy::shared_credential()).with_scope("mcp:write", limit));
    let first = bench.login();
    let second = bench.refresh(rt(&first)).unwrap();
    bench.pass(3600);
    bench.told();
    assert_eq!(bench.refresh(rt(&second)).unwrap_err(), ErrorCode::InvalidGrant);
    assert_eq!(bench.refresh(rt(&first)).unwrap_err(), ErrorCode::InvalidGrant);
    assert_eq!(bench.told(), [("deny", Some(Reason::IdleExpired)), ("deny", Some(Reason::StaleToken))]);
}

const DAY: u64 = 24 * 60 * 60;

/// Several processes with one credential file, and a day to come back for a successor that was not used yet.
fn with_window() -> RotationPolicy {
    let window = Some(seconds(DAY));
    RotationPolicy::shared_credential().to_builder().lost_response_window(window).build().unwrap()
}

#[test]
fn s21_unseen_successor_is_handed_out_again_within_the_window() {
    let bench = bench(with_window());
    let first = bench.login();
    let second = bench.refresh(rt(&first)).unwrap();
    bench.pass(DAY - 1);
    bench.told();
    let again = bench.refresh(rt(&first)).unwrap();
    assert_eq!(rt(&again), rt(&second));
    assert_eq!(bench.told(), [("retry", Some(Reason::LostResponse))]);
    bench.pass(1);
    assert_eq!(bench.refresh(rt(&first)).unwrap_err(), ErrorCode::InvalidGrant);
}

#[test]
fn s21_without_the_window_a_lost_response_is_reuse() {
    let bench = bench(RotationPolicy::standard());
    let first = bench.login();
    bench.refresh(rt(&first)).unwrap();
    bench.pass(60 * 60);
    assert_eq!(bench.refresh(rt(&first)).unwrap_err(), ErrorCode::InvalidGrant);
}

#[test]
fn s22_window_shuts_once_the_new_access_token_is_seen() {
    let bench = bench(with_window());
    let first = bench.login();
    let second = bench.refresh(rt(&first)).unwrap();
    bench.live(&second).unwrap();
    bench.pass(119);
    assert!(bench.refresh(rt(&first)).unwrap().retry, "the short leeway is still open");
    bench.pass(1);
    assert_eq!(bench.refresh(rt(&first)).unwrap_err(), ErrorCode::InvalidGrant);
    assert_eq!(bench.refresh(rt(&second)).unwrap_err(), ErrorCode::InvalidGrant);
}

#[test]
fn s22_an_introspection_shuts_the_window_too() {
    let bench = bench(with_window());
    let first = bench.login();
    let second = bench.refresh(rt(&first)).unwrap();
    assert!(bench.introspect(second.access_token.expose()).is_active());
    bench.pass(600);
    assert_eq!(bench.refresh(rt(&first)).unwrap_err(), ErrorCode::InvalidGrant);
}

#[test]
fn s22_lost_response_window_opens_with_each_rotation() {
    let bench = bench(with_window());
    let first = bench.login();
    let second = bench.refresh(rt(&first)).unwrap();
    bench.live(&second).unwrap();
    let third = bench.refresh(rt(&second)).unwrap();
    bench.pass(600);
    assert_eq!(rt(&bench.refresh(rt(&second)).unwrap()), rt(&third));
}

#[test]
fn s22_window_stays_open_when_the_old_access_token_is_seen() {
    let bench = bench(with_window());
    let first = bench.login();
    bench.refresh(rt(&first)).unwrap();
    bench.live(&first).unwrap();
    bench.pass(600);
    assert!(bench.refresh(rt(&first)).unwrap().retry);
}

#[test]
fn s23_once_the_successor_was_used_its_predecessor_is_refused() {
    let bench = bench(with_window());
    let first = bench.login();
    let second = bench.refresh(rt(&first)).unwrap();
    let third = bench.refresh(rt(&second)).unwrap();
    bench.pass(120);
    bench.told();
    assert_eq!(
        bench.refresh(rt(&first)).unwrap_err(),
        ErrorCode::InvalidGrant,
        "the leeway is over, and no window is open"
    );
    assert_eq!(bench.told(), [("reuse_revoke_family", Some(Reason::SpentAncestor))]);
    assert_eq!(bench.refresh(rt(&third)).unwrap_err(), ErrorCode::InvalidGrant);
}

#[test]
fn s24_the_fourth_retry_beyond_a_limit_of_three_is_reuse() {
    let bench = bench(policy(|p| p.retry_limit(Some(3))));
    let first = bench.login();
    let second = bench.refresh(rt(&first)).unwrap();
    for _ in 0..3 {
        assert_eq!(rt(&bench.refresh(rt(&first)).unwrap()), rt(&second));
    }
    bench.told();
    assert_eq!(bench.refresh(rt(&first)).unwrap_err(), ErrorCode::InvalidGrant);
    assert_eq!(bench.told(), [("reuse_revoke_family", Some(Reason::RetryLimit))]);
    assert_eq!(bench.refresh(rt(&second)).unwrap_err(), ErrorCode::InvalidGrant);
}

#[test]
fn s24_retry_limit_counts_each_generation() {
    let bench = bench(policy(|p| p.retry_limit(Some(1))));
    let mut current = bench.login();
    for _ in 0..3 {
        let next = bench.refresh(rt(&current)).unwrap();
        assert!(bench.refresh(rt(&current)).unwrap().retry);
        current = next;
    }
    assert_eq!(bench.claims(&current).generation(), 4);
}

#[test]
fn s25_the_state_for_a_retry_is_the_rotations_own_write() {
    let bench = bench_on(FlakyStore::new(MemoryStore::new()), keyring(), RotationPolicy::standard());
    let store = bench.issuer.store();
    let first = bench.login();
    store.operations();
    let second = bench.refresh(rt(&first)).unwrap();
    assert_eq!(store.operations(), [Op::Get, Op::Commit]);
    store.fail_every(Op::Commit, Fault::Unavailable);
    assert_eq!(rt(&bench.refresh(rt(&first)).unwrap()), rt(&second), "a retry needs no write at all");
}

#[test]
fn s25_retry_not_counted_is_a_fault_and_the_rotation_stands() {
    let policies = policy(|p| p.retry_limit(Some(1)));
    let bench = bench_on(FlakyStore::new(MemoryStore::new()), keyring(), policies);
    let first = bench.login();
    let second = bench.refresh(rt(&first)).unwrap();
    bench.issuer.store().fail_every(Op::Commit, Fault::Unavailable);
    assert_eq!(bench.attempt(rt(&first)).unwrap_err(), ErrorKind::StoreUnavailable);
    bench.issuer.store().heal();
    assert_eq!(rt(&bench.refresh(rt(&first)).unwrap()), rt(&second));
    assert!(!bench.refresh(rt(&second)).unwrap().retry);
}

#[test]
fn s26_on_superseded_decides_on_the_old_access_token() {
    for (act, outcome) in [(OnSuperseded::Accept, Ok(())), (OnSuperseded::Reject, Err(VerifyError::Revoked))] {
        let bench = bench(policy(|p| p.on_superseded(act)));
        let first = bench.login();
        assert!(bench.live(&first).is_ok());
        let second = bench.refresh(rt(&first)).unwrap();
        let again = bench.refresh(rt(&first)).unwrap();
        assert!(bench.live(&first).is_ok(), "calls under way are not cut off within the leeway");
        bench.pass(45);
        assert_eq!(bench.live(&first).map(drop), outcome);
        assert_eq!(bench.introspect(first.access_token.expose()).is_active(), outcome.is_ok());
        assert!(bench.live(&second).is_ok() && bench.live(&again).is_ok(), "both of the successor live");
    }
}

#[test]
fn s14_retry_by_another_client_is_refused_and_changes_nothing() {
    let bench = bench(RotationPolicy::standard());
    let first = bench.login();
    let second = bench.refresh(rt(&first)).unwrap();
    let thief = Client::public("client-2");
    bench.told();
    let answer = bench.ask(RefreshRequest::new(&thief, rt(&first)));
    assert_eq!(answer.unwrap_err(), ErrorCode::InvalidGrant);
    assert_eq!(bench.told(), [("deny", Some(Reason::WrongClient))]);
    assert!(!bench.refresh(rt(&second)).unwrap().retry);
}
