use mcp_token_lifecycle::{
    Action, ErrorCode, MemoryStore, OnReuse, Reason, RedeemRequest, RevocationReason, RotationPolicy, TokenResponse,
    VerifyError,
};

use crate::support::*;

/// The refresh tokens R1 … Rn of one family, a minute apart.
fn chain(bench: &Bench<MemoryStore>, length: usize) -> Vec<TokenResponse> {
    let mut chain = vec![bench.login()];
    while chain.len() < length {
        bench.pass(60);
        chain.push(bench.refresh(rt(&chain[chain.len() - 1])).unwrap());
    }
    bench.told();
    chain
}

fn assert_dead(bench: &Bench<MemoryStore>, tokens: &[TokenResponse]) {
    for token in tokens {
        assert_eq!(bench.live(token), Err(VerifyError::Revoked));
        assert!(!bench.introspect(token.access_token.expose()).is_active());
        assert!(!bench.introspect(rt(token)).is_active());
        assert_eq!(bench.refresh(rt(token)).unwrap_err(), ErrorCode::InvalidGrant);
    }
}

/// spec: OAuth 2.1 §4.3.1 d
#[test]
fn s27_spent_token_after_its_leeway_revokes_the_family() {
    let bench = bench(RotationPolicy::standard());
    let chain = chain(&bench, 2);
    bench.pass(30);
    assert_eq!(bench.refresh(rt(&chain[0])).unwrap_err(), ErrorCode::InvalidGrant);
    let event = bench.audit.take().remove(0);
    assert_eq!(event.action, Action::Reuse(OnReuse::RevokeFamily));
    assert_eq!(event.reason, Some(Reason::SpentToken));
    assert_eq!((event.subject.as_deref(), event.client_id.as_deref()), (Some("user-1"), Some("client-1")));
    assert_eq!(event.generation, Some(2));
    assert_dead(&bench, &chain);
}

#[test]
fn s28_spent_ancestor_is_reuse_within_its_successors_leeway() {
    let bench = bench(RotationPolicy::standard());
    let first = bench.login();
    let second = bench.refresh(rt(&first)).unwrap();
    bench.pass(30);
    let third = bench.refresh(rt(&second)).unwrap();
    bench.told();
    assert_eq!(bench.refresh(rt(&first)).unwrap_err(), ErrorCode::InvalidGrant);
    assert_eq!(bench.told(), [("reuse_revoke_family", Some(Reason::SpentAncestor))]);
    assert_dead(&bench, &[first, second, third]);
}

#[test]
fn s29_token_of_many_generations_ago_revokes_the_family() {
    let bench = bench(RotationPolicy::standard());
    let chain = chain(&bench, 20);
    assert_eq!(bench.refresh(rt(&chain[2])).unwrap_err(), ErrorCode::InvalidGrant);
    assert_eq!(bench.told(), [("reuse_revoke_family", Some(Reason::SpentAncestor))]);
    assert_dead(&bench, &chain[18..]);
}

#[test]
fn s29_spent_token_past_its_idle_lifetime_revokes_nothing() {
    let bench = bench(policy(|p| p.idle_lifetime(seconds(3600))));
    let first = bench.login();
    bench.pass(1800);
    let second = bench.refresh(rt(&first)).unwrap();
    bench.pass(1799);
    let third = bench.refresh(rt(&second)).unwrap();
    bench.pass(1);
    bench.told();
    assert_eq!(bench.refresh(rt(&first)).unwrap_err(), ErrorCode::InvalidGrant);
    assert_eq!(bench.told(), [("deny", Some(Reason::StaleToken))]);
    assert!(bench.live(&third).is_ok());
    assert!(!bench.refresh(rt(&third)).unwrap().retry);
}

#[test]
fn s30_reuse_spares_another_login_of_the_same_user_and_client() {
    let bench = bench(RotationPolicy::standard());
    let other = bench.login();
    let stolen = chain(&bench, 2);
    bench.pass(31);
    assert_eq!(bench.refresh(rt(&stolen[0])).unwrap_err(), ErrorCode::InvalidGrant);
    assert_dead(&bench, &stolen);
    assert!(bench.live(&other).is_ok());
    assert!(bench.refresh(rt(&other)).is_ok());
}

#[test]
fn s31_reject_only_keeps_the_family_and_reports_the_reuse() {
    let bench = bench(policy(|p| p.on_reuse(OnReuse::RejectOnly)));
    let chain = chain(&bench, 3);
    assert_eq!(bench.refresh(rt(&chain[0])).unwrap_err(), ErrorCode::InvalidGrant);
    assert_eq!(bench.told(), [("reuse_reject_only", Some(Reason::SpentAncestor))]);
    assert!(bench.live(&chain[2]).is_ok());
    assert!(!bench.refresh(rt(&chain[2])).unwrap().retry);
}

#[test]
fn s32_the_causes_of_reuse_are_told_apart_and_have_one_effect() {
    for (presented, reason) in [(1, Reason::SpentToken), (0, Reason::SpentAncestor)] {
        let bench = bench(RotationPolicy::standard());
        let chain = chain(&bench, 3);
        bench.pass(30);
        assert_eq!(bench.refresh(rt(&chain[presented])).unwrap_err(), ErrorCode::InvalidGrant);
        assert_eq!(bench.told(), [("reuse_revoke_family", Some(reason))]);
        assert_dead(&bench, &chain);
    }
}

#[test]
fn s33_after_reuse_the_current_token_is_invalid() {
    let bench = bench(RotationPolicy::standard());
    let chain = chain(&bench, 2);
    bench.pass(30);
    let _ = bench.refresh(rt(&chain[0]));
    bench.told();
    assert_eq!(bench.refresh(rt(&chain[1])).unwrap_err(), ErrorCode::InvalidGrant);
    assert_eq!(bench.told(), [("deny", Some(Reason::Revoked(RevocationReason::Reuse)))]);
}

#[test]
fn s34_replay_after_a_logout_is_no_theft_and_touches_nothing() {
    let bench = bench(RotationPolicy::standard());
    let other = bench.login();
    let chain = chain(&bench, 3);
    bench.revoke(&client(), rt(&chain[2]));
    bench.told();
    for token in &chain {
        assert_eq!(bench.refresh(rt(token)).unwrap_err(), ErrorCode::InvalidGrant);
    }
    let logged_out = ("deny", Some(Reason::Revoked(RevocationReason::Token)));
    assert_eq!(bench.told(), [logged_out; 3]);
    assert!(bench.refresh(rt(&other)).is_ok());
}

#[test]
fn s35_a_revoked_family_is_not_brought_back_by_a_retry() {
    let bench = bench(RotationPolicy::standard());
    let first = bench.login();
    let second = bench.refresh(rt(&first)).unwrap();
    bench.revoke(&client(), rt(&second));
    assert_dead(&bench, &[first, second]);
    assert!(block_on(bench.issuer.list_families("user-1")).unwrap().is_empty());
}

#[test]
fn s36_code_replayed_after_a_refresh_revokes_its_family() {
    let bench = bench(RotationPolicy::standard());
    let code = bench.code();
    let first = bench.redeem(&code).unwrap();
    let second = bench.refresh(rt(&first)).unwrap();
    bench.told();
    assert_eq!(bench.redeem(&code).unwrap_err(), ErrorCode::InvalidGrant);
    assert_eq!(bench.told(), [("reuse_revoke_family", Some(Reason::SpentAncestor))]);
    assert_dead(&bench, &[first, second]);
}

/// spec: OAuth 2.1 §4.1.3
#[test]
fn s36_code_replayed_after_the_leeway_revokes_its_family() {
    let bench = bench(RotationPolicy::standard());
    let code = bench.code();
    let first = bench.redeem(&code).unwrap();
    bench.pass(30);
    bench.told();
    assert_eq!(bench.redeem(&code).unwrap_err(), ErrorCode::InvalidGrant);
    assert_eq!(bench.told(), [("reuse_revoke_family", Some(Reason::SpentToken))]);
    assert_dead(&bench, &[first]);
}

#[test]
fn s36_code_replayed_with_wrong_parameters_revokes_nothing() {
    let bench = bench(RotationPolicy::standard());
    let (code, client) = (bench.code(), client());
    let first = bench.redeem(&code).unwrap();
    let second = bench.refresh(rt(&first)).unwrap();
    bench.told();
    for (redirect, verifier, reason) in
        [(REDIRECT, "", Reason::WrongVerifier), ("https://elsewhere.example", VERIFIER, Reason::WrongRedirect)]
    {
        let replay = RedeemRequest::new(&client, &code, redirect, verifier);
        assert_eq!(verdict(block_on(bench.issuer.redeem(&replay))).unwrap_err(), ErrorCode::InvalidGrant);
        assert_eq!(bench.told(), [("deny", Some(reason))]);
    }
    assert!(bench.refresh(rt(&second)).is_ok());
}

#[test]
fn s36_code_redeemed_without_redirect_needs_its_verifier() {
    let bench = bench(RotationPolicy::standard());
    let (code, client) = (bench.code(), client());
    let redeem = |verifier| verdict(block_on(bench.issuer.redeem(&RedeemRequest::new(&client, &code, None, verifier))));
    assert_eq!(redeem("another-verifier-of-43-characters-0123456789").unwrap_err(), ErrorCode::InvalidGrant);
    assert!(redeem(VERIFIER).is_ok());
}
