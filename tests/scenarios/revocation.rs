use mcp_token_lifecycle::{
    Action, Client, ErrorCode, Reason, RevocationReason, RotationPolicy, TokenResponse, TokenStore, VerifyError,
};

use crate::support::*;

fn assert_dead<S: TokenStore>(bench: &Bench<S>, token: &TokenResponse) {
    assert_eq!(bench.live(token), Err(VerifyError::Revoked));
    assert!(!bench.introspect(token.access_token.expose()).is_active());
    assert!(!bench.introspect(rt(token)).is_active());
    assert_eq!(bench.refresh(rt(token)).unwrap_err(), ErrorCode::InvalidGrant);
}

#[test]
fn s52_no_hint_is_needed_any_kind_of_token_revokes_its_family() {
    let bench = bench(RotationPolicy::standard());
    let code = bench.code();
    let first = bench.redeem(&code).unwrap();
    bench.revoke(&client(), first.access_token.expose());
    assert_dead(&bench, &first);

    let first = bench.login();
    bench.revoke(&client(), rt(&first));
    assert_dead(&bench, &first);

    let code = bench.code();
    let first = bench.redeem(&code).unwrap();
    bench.revoke(&client(), &code);
    assert_dead(&bench, &first);
}

/// spec: RFC 7009 §5
#[test]
fn s53_another_client_revokes_nothing_and_is_told_nothing() {
    let bench = bench(RotationPolicy::standard());
    let first = bench.login();
    bench.told();
    let stranger = Client::confidential("client-2");
    bench.revoke(&stranger, rt(&first));
    bench.revoke(&stranger, first.access_token.expose());
    assert_eq!(bench.told(), [("deny", Some(Reason::WrongClient)); 2]);
    assert!(bench.live(&first).is_ok());
    assert!(!bench.refresh(rt(&first)).unwrap().retry);
}

/// spec: RFC 7009 §2.1 f
#[test]
fn s54_revoke_ends_the_access_tokens_and_twice_is_once() {
    let bench = bench(RotationPolicy::standard());
    let first = bench.login();
    let second = bench.refresh(rt(&first)).unwrap();
    bench.told();
    bench.revoke(&client(), rt(&second));
    bench.revoke(&client(), rt(&second));
    let events = bench.audit.take();
    assert_eq!(events.len(), 2);
    assert_eq!(events[0].action, Action::Revoke(RevocationReason::Token));
    assert_eq!(events[1].reason, Some(Reason::Revoked(RevocationReason::Token)));
    assert_eq!(events[1].action, Action::Deny);
    assert_dead(&bench, &first);
    assert_dead(&bench, &second);
}

/// spec: RFC 9700 §4.14.2 c
#[test]
fn s55_any_generation_revokes_all_generations() {
    for presented in 0..3 {
        let bench = bench(RotationPolicy::standard());
        let mut chain = vec![bench.login()];
        for at in 0..2 {
            bench.pass(60);
            chain.push(bench.refresh(rt(&chain[at])).unwrap());
        }
        bench.told();
        bench.revoke(&client(), rt(&chain[presented]));
        assert_eq!(bench.told(), [("revoke_token", None)], "a stale token is no theft when it is to be revoked");
        chain.iter().for_each(|token| assert_dead(&bench, token));
    }
}

/// spec: RFC 9700 §4.14.2 g
#[test]
fn s56_a_withdrawn_consent_ends_all_generations() {
    let bench = bench(RotationPolicy::standard());
    let first = bench.login();
    let second = bench.refresh(rt(&first)).unwrap();
    let kept = bench.login();
    assert!(block_on(bench.issuer.revoke_family("user-1", bench.family(&first))).unwrap());
    assert_dead(&bench, &first);
    assert_dead(&bench, &second);
    assert!(bench.live(&kept).is_ok());
}

#[test]
fn s57_a_deleted_client_takes_its_families_along_and_no_others() {
    let bench = bench(RotationPolicy::standard());
    let (one, two) = (bench.begin(grant()), bench.begin(grant_of("user-2", "client-1")));
    let other = bench.begin(grant_of("user-1", "client-2"));
    bench.told();
    assert_eq!(block_on(bench.issuer.revoke_client("client-1")).unwrap(), 2);
    let events = bench.audit.take();
    assert_eq!(events.len(), 2);
    assert!(events.iter().all(|event| event.action == Action::Revoke(RevocationReason::Client)));
    assert_dead(&bench, &one);
    assert_dead(&bench, &two);
    assert!(bench.live(&other).is_ok());
}

#[test]
fn s57_all_of_more_than_a_page_of_families_are_revoked() {
    let bench = bench(RotationPolicy::standard());
    let families: Vec<_> = (0..300).map(|_| bench.begin(grant())).collect();
    assert_eq!(block_on(bench.issuer.revoke_client("client-1")).unwrap(), 300);
    families.iter().for_each(|token| assert_eq!(bench.live(token), Err(VerifyError::Revoked)));
}

#[test]
fn s58_a_purge_leaves_healthy_families_and_tombstones_alone() {
    let bench = bench(policy(|p| p.idle_lifetime(seconds(3600)).absolute_lifetime(seconds(36_000))));
    let (healthy, idle, revoked) = (bench.login(), bench.login(), bench.login());
    let code = bench.code();
    bench.revoke(&client(), rt(&revoked));
    bench.pass(1800);
    let healthy = bench.refresh(rt(&healthy)).unwrap();
    bench.told();
    assert_eq!(
        block_on(bench.issuer.purge()).unwrap(),
        0,
        "the code waits for an hour, should the store have been away"
    );
    assert_eq!(bench.redeem(&code).unwrap_err(), ErrorCode::InvalidGrant);
    bench.pass(1800 + 3600 / 16);
    assert_eq!(block_on(bench.issuer.purge()).unwrap(), 2, "the code and the idle one");
    bench.told();
    assert_eq!(bench.refresh(rt(&idle)).unwrap_err(), ErrorCode::InvalidGrant);
    assert_eq!(bench.refresh(rt(&revoked)).unwrap_err(), ErrorCode::InvalidGrant);
    let tombstone = Some(Reason::Revoked(RevocationReason::Token));
    assert_eq!(bench.told(), [("deny", Some(Reason::UnknownFamily)), ("deny", tombstone)]);
    assert!(bench.refresh(rt(&healthy)).is_ok());
    bench.pass(36_000);
    assert_eq!(block_on(bench.issuer.purge()).unwrap(), 2, "everything ends");
    assert!(bench.issuer.store().is_empty());
}
