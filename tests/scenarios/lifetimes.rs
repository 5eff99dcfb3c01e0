use mcp_token_lifecycle::{ErrorCode, Reason, RotationPolicy, VerifyError};

use super::binding::{Withdrawn, bench_with_check};
use crate::support::*;

/// spec: OAuth 2.1 §4.3.3 c
/// spec: RFC 9700 §4.14.2 h
#[test]
fn s47_token_unused_for_the_idle_lifetime_is_refused() {
    let bench = bench(policy(|p| p.idle_lifetime(seconds(3600))));
    let first = bench.login();
    bench.pass(3599);
    let second = bench.refresh(rt(&first)).unwrap();
    assert_eq!(second.refresh_token_timeout, 3600);
    bench.pass(3600);
    bench.told();
    assert_eq!(bench.refresh(rt(&second)).unwrap_err(), ErrorCode::InvalidGrant);
    assert_eq!(bench.told(), [("deny", Some(Reason::IdleExpired))]);
    assert!(!bench.introspect(rt(&second)).is_active());
}

#[test]
fn s47_a_retry_does_not_move_the_idle_timer() {
    let bench = bench(policy(|p| p.idle_lifetime(seconds(3600))));
    let first = bench.login();
    let second = bench.refresh(rt(&first)).unwrap();
    bench.pass(29);
    assert_eq!(bench.refresh(rt(&first)).unwrap().refresh_token_timeout, 3600 - 29);
    bench.pass(3600 - 29);
    assert_eq!(bench.refresh(rt(&second)).unwrap_err(), ErrorCode::InvalidGrant);
}

fn short() -> RotationPolicy {
    policy(|p| {
        let p = p.access_lifetime(seconds(60)).idle_lifetime(seconds(600)).absolute_lifetime(seconds(1000));
        p.reuse_leeway(seconds(0))
    })
}

#[test]
fn s48_the_sliding_lifetime_is_capped_by_the_absolute_one() {
    let bench = bench(short());
    let first = bench.login();
    bench.pass(500);
    let second = bench.refresh(rt(&first)).unwrap();
    assert_eq!((second.refresh_token_timeout, second.authorization_expires_in), (500, 500));
    bench.pass(500);
    bench.told();
    assert_eq!(bench.refresh(rt(&second)).unwrap_err(), ErrorCode::InvalidGrant);
    assert_eq!(bench.told(), [("deny", Some(Reason::AbsoluteExpired))]);
    assert!(!bench.introspect(rt(&second)).is_active());
    assert!(block_on(bench.issuer.list_families("user-1")).unwrap().is_empty());
}

#[test]
fn s48_spent_token_after_the_familys_end_is_no_reuse() {
    let bench = bench(short());
    let first = bench.login();
    bench.pass(500);
    let second = bench.refresh(rt(&first)).unwrap();
    bench.pass(100);
    bench.refresh(rt(&second)).unwrap();
    bench.pass(400);
    bench.told();
    assert_eq!(bench.refresh(rt(&second)).unwrap_err(), ErrorCode::InvalidGrant);
    assert_eq!(bench.told(), [("deny", Some(Reason::AbsoluteExpired))]);
}

#[test]
fn s49_rotation_does_not_move_the_absolute_end() {
    let bench = bench(short());
    let mut current = bench.login();
    let end = || block_on(bench.issuer.list_families("user-1")).unwrap()[0].absolute_expires_at();
    let before = end();
    for left in [900, 800, 700, 600, 500, 400, 300, 200, 100] {
        bench.pass(100);
        current = bench.refresh(rt(&current)).unwrap();
        assert_eq!(current.authorization_expires_in, left);
        assert_eq!(end(), before);
    }
}

#[test]
fn s50_an_access_token_ends_with_its_family_at_the_latest() {
    let bench = bench(short());
    let first = bench.login();
    assert_eq!(first.expires_in, 60);
    bench.pass(550);
    let second = bench.refresh(rt(&first)).unwrap();
    bench.pass(430);
    let third = bench.refresh(rt(&second)).unwrap();
    assert_eq!(third.expires_in, 20);
    bench.pass(19);
    assert!(bench.live(&third).is_ok());
    bench.pass(1);
    assert_eq!(bench.live(&third), Err(VerifyError::Expired));
}

#[test]
fn s50_with_too_little_left_the_answer_is_invalid_grant() {
    let bench = bench(short());
    let first = bench.login();
    bench.pass(550);
    let second = bench.refresh(rt(&first)).unwrap();
    bench.pass(445);
    let third = bench.refresh(rt(&second)).unwrap();
    assert_eq!(third.expires_in, 5, "the least that is worth it");
    bench.pass(1);
    bench.told();
    assert_eq!(bench.refresh(rt(&third)).unwrap_err(), ErrorCode::InvalidGrant);
    assert_eq!(bench.told(), [("deny", Some(Reason::AbsoluteExpired))]);
}

#[test]
fn s51_family_tied_to_a_session_ends_with_it_and_no_other() {
    let check = Withdrawn::default();
    let bench = bench_with_check(&check);
    let tied = bench.begin(grant().with_claim("session", "s-1").unwrap());
    let standalone = bench.begin(grant());
    let tied = bench.refresh(rt(&tied)).unwrap();
    check.withdraw("s-1");
    assert_eq!(bench.refresh(rt(&tied)).unwrap_err(), ErrorCode::InvalidGrant);
    assert!(bench.refresh(rt(&standalone)).is_ok());
}
