use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mcp_token_lifecycle::{
    AuthorizeRequest, Binding, BoxFuture, Client, CodeChallenge, Error, ErrorCode, ErrorKind, ErrorResponse,
    Expectation, GrantCheck, GrantStatus, KeyId, Keyring, MasterKey, MemoryStore, OnAhead, PolicySet, Reason,
    RedeemRequest, RefreshRequest, Rotation, RotationPolicy, ScopeLimit, TokenFamily, VerifyError,
};

use crate::support::forge::{TestRng, key_id_of};
use crate::support::*;

type Flaky = Bench<FlakyStore<MemoryStore>>;

fn flaky(policies: impl Into<PolicySet>) -> Flaky {
    bench_on(FlakyStore::new(MemoryStore::new()), keyring(), policies)
}

#[test]
fn s59_seal_failure_spends_neither_token_nor_code() {
    let entropy = TestRng::default();
    let mut bench = flaky(RotationPolicy::standard());
    bench.issuer = bench.issuer.with_rng(FillRng(entropy.clone()));
    let first = bench.login();
    let code = bench.code();
    bench.issuer.store().operations();
    bench.told();
    entropy.run_dry(true);
    assert_eq!(bench.attempt(rt(&first)).unwrap_err(), ErrorKind::Entropy);
    let client = client();
    let redeemed = block_on(bench.issuer.redeem(&RedeemRequest::new(&client, &code, REDIRECT, VERIFIER)));
    assert_eq!(redeemed.unwrap_err().kind(), ErrorKind::Entropy);
    assert_eq!(bench.issuer.store().operations(), [Op::Get; 2]);
    assert_eq!(bench.told(), []);
    entropy.run_dry(false);
    assert!(!bench.refresh(rt(&first)).unwrap().retry);
    assert!(!bench.redeem(&code).unwrap().retry);
}

#[derive(Clone)]
struct Broken(Arc<AtomicBool>);

impl GrantCheck for Broken {
    fn check<'a>(
        &'a self,
        _: &'a TokenFamily,
        _: &'a Client,
    ) -> BoxFuture<'a, Result<GrantStatus, Box<dyn std::error::Error + Send + Sync>>> {
        let broken = self.0.load(Ordering::SeqCst);
        Box::pin(async move { if broken { Err("the user database is down".into()) } else { Ok(GrantStatus::Good) } })
    }
}

#[test]
fn s59_grant_check_failure_spends_no_token() {
    let broken = Arc::new(AtomicBool::new(false));
    let mut bench = flaky(RotationPolicy::standard());
    bench.issuer = bench.issuer.with_grant_check(Broken(Arc::clone(&broken)));
    let first = bench.login();
    broken.store(true, Ordering::SeqCst);
    let client = client();
    let error = block_on(bench.issuer.refresh(&RefreshRequest::new(&client, rt(&first)))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::GrantCheck);
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "the user database is down");
    broken.store(false, Ordering::SeqCst);
    assert!(!bench.refresh(rt(&first)).unwrap().retry);
}

#[test]
fn s60_refresh_whose_commit_failed_spends_no_token() {
    for (fault, kind) in
        [(Fault::Unavailable, ErrorKind::StoreUnavailable), (Fault::UncertainUndone, ErrorKind::StoreUncertain)]
    {
        let bench = flaky(RotationPolicy::strict());
        let first = bench.login();
        bench.issuer.store().fail_every(Op::Commit, fault);
        bench.told();
        assert_eq!(bench.attempt(rt(&first)).unwrap_err(), kind);
        assert_eq!(bench.told(), []);
        bench.issuer.store().heal();
        let second = bench.refresh(rt(&first)).unwrap();
        assert!(!second.retry);
        assert_eq!(bench.claims(&second).generation(), 2);
    }
}

#[test]
fn s60_refresh_committed_unconfirmed_is_answered_by_the_retry() {
    let bench = flaky(RotationPolicy::standard());
    let first = bench.login();
    bench.issuer.store().fail_after(1, Fault::UncertainDone);
    assert_eq!(bench.attempt(rt(&first)).unwrap_err(), ErrorKind::StoreUncertain);
    let second = bench.refresh(rt(&first)).unwrap();
    assert!(second.retry);
    assert_eq!(bench.claims(&second).generation(), 2);
    assert!(!bench.refresh(rt(&second)).unwrap().retry);
}

#[test]
fn s61_an_outage_of_the_store_is_never_a_refusal() {
    let window = Some(seconds(86_400));
    let bench = flaky(RotationPolicy::shared_credential().to_builder().lost_response_window(window).build().unwrap());
    let (first, code, here, client) = (bench.login(), bench.code(), resource(), client());
    let issuer = &bench.issuer;
    let family = block_on(issuer.list_families("user-1")).unwrap()[0].id();
    let access = first.access_token.expose();
    for op in [Op::Get, Op::Commit, Op::List, Op::Purge] {
        for (fault, kind) in
            [(Fault::Unavailable, ErrorKind::StoreUnavailable), (Fault::UncertainUndone, ErrorKind::StoreUncertain)]
        {
            issuer.store().fail_every(op, fault);
            let mut errors: Vec<Error> = Vec::new();
            if matches!(op, Op::Get | Op::Commit) {
                errors.extend(block_on(issuer.refresh(&RefreshRequest::new(&client, rt(&first)))).err());
                errors.extend(block_on(issuer.redeem(&RedeemRequest::new(&client, &code, REDIRECT, VERIFIER))).err());
                errors.extend(block_on(issuer.revoke(&client, rt(&first), None)).err());
                errors.extend(block_on(issuer.revoke_family("user-1", family)).err());
                errors.extend(block_on(issuer.introspect(access)).err());
                let live = block_on(issuer.verify_live(access, &Expectation::resource(&here)));
                errors.extend(live.err().and_then(|error| error.refusal().err()));
                assert_eq!(errors.len(), 6, "{op:?}");
            }
            if op == Op::Get {
                errors.extend(block_on(issuer.introspect(rt(&first))).err());
                assert_eq!(errors.len(), 7, "{op:?}");
            }
            if op == Op::Commit {
                let request = AuthorizeRequest::new(grant(), CodeChallenge::of_verifier(VERIFIER), REDIRECT);
                errors.extend(block_on(issuer.authorize(request)).err());
                errors.extend(block_on(issuer.issue(grant(), None)).err());
                assert_eq!(errors.len(), 8, "{op:?}");
            }
            if op == Op::List {
                errors.extend(block_on(issuer.revoke_subject("user-1")).err());
                errors.extend(block_on(issuer.revoke_client("client-1")).err());
                errors.extend(block_on(issuer.list_families("user-1")).err());
                errors.extend(block_on(issuer.rekey()).err());
                assert_eq!(errors.len(), 4, "{op:?}");
            }
            if op == Op::Purge {
                errors.extend(block_on(issuer.purge()).err());
                assert_eq!(errors.len(), 1, "{op:?}");
            }
            assert!(errors.iter().all(|error| error.kind() == kind), "{errors:?}");
            issuer.store().heal();
        }
    }
    assert_eq!(ErrorResponse::unavailable().status(), 503);
    assert_eq!(ErrorResponse::unavailable().error.as_str(), "temporarily_unavailable");
    assert!(bench.live(&first).is_ok(), "all of it was undone");
    assert!(!bench.refresh(rt(&first)).unwrap().retry);
    assert!(!bench.redeem(&code).unwrap().retry);
}

/// A family that was rotated after the backup, on the store as the backup has it.
fn restored(policies: RotationPolicy) -> (Bench<MemoryStore>, Vec<String>) {
    let bench = flaky(policies);
    let mut tokens = vec![rt(&bench.begin(grant())).to_owned()];
    for at in 0..3 {
        bench.pass(60);
        tokens.push(rt(&bench.refresh(&tokens[at]).unwrap()).to_owned());
    }
    bench.pass(60);
    bench.told();
    (bench.twin(bench.issuer.store().backup(2), keyring(), policies), tokens)
}

#[test]
fn s62_token_ahead_of_the_store_is_refused_and_revokes_nothing() {
    let (bench, tokens) = restored(RotationPolicy::standard());
    for ahead in [3, 2] {
        assert_eq!(bench.refresh(&tokens[ahead]).unwrap_err(), ErrorCode::InvalidGrant);
        assert_eq!(bench.told(), [("deny", Some(Reason::AheadOfStore))]);
        assert!(!bench.introspect(&tokens[ahead]).is_active());
        assert_eq!(bench.told(), [("deny", Some(Reason::AheadOfStore))], "introspection says so too");
    }
    assert!(!bench.refresh(&tokens[1]).unwrap().retry, "the family still lives");
}

#[test]
fn s62_fast_forward_accepts_a_token_ahead_and_goes_on() {
    let (bench, tokens) = restored(policy(|p| p.on_ahead(OnAhead::FastForward)));
    let next = bench.refresh(&tokens[3]).unwrap();
    assert_eq!(bench.told(), [("fast_forward", Some(Reason::AheadOfStore))]);
    assert_eq!(bench.claims(&next).generation(), 5);
    assert!(bench.live(&next).is_ok());
    let again = bench.refresh(&tokens[3]).unwrap();
    assert!(again.retry, "its response may be lost like any other");
    assert_eq!(rt(&again), rt(&next));
    bench.told();
    assert_eq!(bench.refresh(&tokens[2]).unwrap_err(), ErrorCode::InvalidGrant);
    assert_eq!(bench.told(), [("reuse_revoke_family", Some(Reason::SpentAncestor))]);
}

#[test]
fn s62_fast_forward_refuses_a_token_past_its_idle_lifetime() {
    let (bench, tokens) = restored(policy(|p| p.on_ahead(OnAhead::FastForward)));
    bench.pass(14 * 24 * 3600 - 60);
    assert_eq!(bench.refresh(&tokens[3]).unwrap_err(), ErrorCode::InvalidGrant);
    assert_eq!(bench.told(), [("deny", Some(Reason::IdleExpired))]);
}

#[test]
fn s62_token_of_the_same_generation_before_a_restore_is_ahead() {
    let (bench, tokens) = restored(RotationPolicy::standard());
    let third = bench.refresh(&tokens[1]).unwrap();
    assert_eq!(bench.claims(&third).generation(), 3);
    bench.told();
    assert_ne!(rt(&third), tokens[2]);
    assert_eq!(bench.refresh(&tokens[2]).unwrap_err(), ErrorCode::InvalidGrant);
    assert_eq!(bench.told(), [("deny", Some(Reason::AheadOfStore))]);
    assert!(bench.live(&third).is_ok());
}

#[test]
fn s62_fast_forward_refuses_a_token_of_an_unredeemed_record() {
    let forward = policy(|p| p.on_ahead(OnAhead::FastForward));
    let (bench, client) = (flaky(forward), client());
    let code = bench.code();
    let redeem = RedeemRequest::new(&client, &code, REDIRECT, VERIFIER).binding(Binding::DpopKey([1; 32]));
    let bound = verdict(block_on(bench.issuer.redeem(&redeem))).unwrap();
    let restored = bench.twin(bench.issuer.store().backup(1), keyring(), forward);
    bench.told();
    assert_eq!(restored.refresh(rt(&bound)).unwrap_err(), ErrorCode::InvalidGrant, "a stolen token without its key");
    assert_eq!(bench.told(), [("deny", Some(Reason::AheadOfStore))]);
}

#[test]
fn s62_an_access_token_ahead_of_the_store_is_not_live() {
    let bench = flaky(RotationPolicy::standard());
    let first = bench.begin(grant());
    let second = bench.refresh(rt(&first)).unwrap();
    let restored = bench.twin(bench.issuer.store().backup(1), keyring(), RotationPolicy::standard());
    assert_eq!(restored.live(&second), Err(VerifyError::Revoked));
    let forward = policy(|p| p.on_ahead(OnAhead::FastForward));
    let restored = bench.twin(bench.issuer.store().backup(1), keyring(), forward);
    assert!(restored.live(&second).is_ok());
}

fn next_keyring() -> Keyring {
    let old = MasterKey::from_bytes([7; 32]);
    Keyring::new(KeyId::new(2), MasterKey::from_bytes([8; 32])).with_retired(KeyId::new(1), old).unwrap()
}

#[test]
fn s63_token_of_the_old_key_is_reissued_under_the_new_one() {
    let store = Arc::new(MemoryStore::new());
    let old = bench_on(Arc::clone(&store), keyring(), RotationPolicy::standard());
    let (first, code) = (old.login(), old.code());
    let new = old.twin(store, next_keyring(), RotationPolicy::standard());
    assert_eq!(key_id_of(rt(&first)), 1);
    assert!(new.live(&first).is_ok());
    let second = new.refresh(rt(&first)).unwrap();
    assert!(!second.retry);
    assert_eq!(key_id_of(rt(&second)), 2);
    assert_eq!(key_id_of(second.access_token.expose()), 2);
    assert_eq!(rt(&new.refresh(rt(&first)).unwrap()), rt(&second), "a retry across the change");
    assert_eq!(key_id_of(rt(&new.redeem(&code).unwrap())), 2);
    new.pass(60);
    assert_eq!(new.refresh(rt(&first)).unwrap_err(), ErrorCode::InvalidGrant, "reuse across the change");
    assert!(new.live(&second).is_err());
}

#[test]
fn s63_a_reusable_token_moves_to_the_new_key_as_well() {
    let store = Arc::new(MemoryStore::new());
    let old = bench_on(Arc::clone(&store), keyring(), RotationPolicy::reusable());
    let first = old.login();
    let client = Client::confidential("client-1");
    let new = old.twin(store, next_keyring(), RotationPolicy::reusable());
    let second = new.ask(RefreshRequest::new(&client, rt(&first))).unwrap();
    assert_eq!(key_id_of(rt(&second)), 2);
    new.pass(3600);
    let third = new.ask(RefreshRequest::new(&client, rt(&second))).unwrap();
    assert_eq!(rt(&third), rt(&second), "and stays there");
}

#[test]
fn s64_tightened_policy_holds_for_tokens_already_issued() {
    let store = Arc::new(MemoryStore::new());
    let lenient = bench_on(Arc::clone(&store), keyring(), RotationPolicy::reusable());
    let (first, aged) = (lenient.login(), lenient.login());
    let second = lenient.refresh(rt(&first)).unwrap();

    let strict = lenient.twin(Arc::clone(&store), keyring(), RotationPolicy::strict());
    assert_eq!(strict.refresh(rt(&first)).unwrap_err(), ErrorCode::InvalidGrant, "no leeway any more");
    assert_eq!(strict.refresh(rt(&second)).unwrap_err(), ErrorCode::InvalidGrant, "and so it was reuse");

    let client = Client::confidential("client-1");
    let rotating = lenient.twin(Arc::clone(&store), keyring(), policy(|p| p.rotation(Rotation::Always)));
    assert_ne!(rt(&rotating.ask(RefreshRequest::new(&client, rt(&aged))).unwrap()), rt(&aged));

    let old = lenient.login();
    lenient.pass(3600);
    let old = lenient.refresh(rt(&old)).unwrap();
    lenient.pass(3600);
    let limit = ScopeLimit::access(seconds(60)).with_absolute(seconds(7200));
    let limited = PolicySet::new(RotationPolicy::standard()).with_scope("mcp:write", limit);
    let shortened = lenient.twin(store, keyring(), limited);
    lenient.told();
    assert_eq!(shortened.refresh(rt(&old)).unwrap_err(), ErrorCode::InvalidGrant);
    assert_eq!(lenient.told(), [("deny", Some(Reason::AbsoluteExpired))]);
    assert!(block_on(shortened.issuer.list_families("user-1")).unwrap().is_empty());
}

const FAULTS: [Fault; 3] = [Fault::Unavailable, Fault::UncertainUndone, Fault::UncertainDone];

#[test]
fn s65_refresh_that_fails_at_any_step_can_be_retried() {
    for fault in FAULTS {
        for step in 0..2 {
            let bench = flaky(RotationPolicy::standard());
            let first = bench.login();
            bench.issuer.store().fail_after(step, fault);
            assert!(bench.attempt(rt(&first)).is_err(), "{fault:?} at {step}");
            let second = bench.refresh(rt(&first)).unwrap();
            assert_eq!(second.retry, step == 1 && fault == Fault::UncertainDone);
            assert_eq!(bench.claims(&second).generation(), 2, "one rotation, not two");
            assert_eq!(bench.claims(&bench.refresh(rt(&second)).unwrap()).generation(), 3);
        }
    }
}

#[test]
fn s65_login_that_fails_at_any_step_can_be_repeated() {
    for fault in FAULTS {
        let bench = flaky(RotationPolicy::standard());
        let client = client();
        bench.issuer.store().fail_after(0, fault);
        let request = || AuthorizeRequest::new(grant(), CodeChallenge::of_verifier(VERIFIER), REDIRECT);
        assert!(block_on(bench.issuer.authorize(request())).is_err());
        let code = block_on(bench.issuer.authorize(request())).unwrap();
        for step in 0..2 {
            bench.issuer.store().fail_after(step, fault);
            let request = RedeemRequest::new(&client, code.expose(), REDIRECT, VERIFIER);
            assert!(block_on(bench.issuer.redeem(&request)).is_err(), "{fault:?} at {step}");
        }
        let first = bench.redeem(code.expose()).unwrap();
        assert_eq!(bench.claims(&first).generation(), 1);
        assert!(bench.refresh(rt(&first)).is_ok());
    }
}

#[test]
fn s65_revocation_that_fails_at_any_step_is_completed_next() {
    for fault in FAULTS {
        for step in 0..2 {
            let bench = flaky(RotationPolicy::standard());
            let (first, client) = (bench.login(), client());
            bench.issuer.store().fail_after(step, fault);
            assert!(block_on(bench.issuer.revoke(&client, rt(&first), None)).is_err());
            bench.revoke(&client, rt(&first));
            assert!(bench.live(&first).is_err());
        }
        // A listing, then a read and a write for each of two families, then the listing that shows that none is left.
        for step in 0..6 {
            let bench = flaky(RotationPolicy::standard());
            let (one, two) = (bench.login(), bench.login());
            bench.issuer.store().fail_after(step, fault);
            assert!(block_on(bench.issuer.revoke_subject("user-1")).is_err(), "{fault:?} at {step}");
            block_on(bench.issuer.revoke_subject("user-1")).unwrap();
            assert!(bench.live(&one).is_err() && bench.live(&two).is_err());
        }
    }
}

#[test]
fn s65_reuse_whose_revocation_failed_is_detected_again() {
    for (fault, again) in [
        (Fault::Unavailable, "reuse_revoke_family"),
        (Fault::UncertainUndone, "reuse_revoke_family"),
        (Fault::UncertainDone, "deny"),
    ] {
        let bench = flaky(RotationPolicy::standard());
        let first = bench.login();
        let second = bench.refresh(rt(&first)).unwrap();
        bench.pass(60);
        bench.told();
        bench.issuer.store().fail_after(1, fault);
        assert!(bench.attempt(rt(&first)).is_err());
        assert_eq!(bench.told(), []);
        assert_eq!(bench.refresh(rt(&first)).unwrap_err(), ErrorCode::InvalidGrant);
        assert_eq!(bench.told()[0].0, again);
        assert!(bench.live(&second).is_err());
    }
}

#[test]
fn s65_a_rekey_that_was_cut_off_is_completed_by_the_next() {
    for fault in FAULTS {
        for step in 0..3 {
            let store = Arc::new(MemoryStore::new());
            let old = bench_on(Arc::clone(&store), keyring(), RotationPolicy::standard());
            let tokens = [old.login(), old.login()];
            let new = old.twin(FlakyStore::new(Arc::clone(&store)), next_keyring(), RotationPolicy::standard());
            new.issuer.store().fail_after(step, fault);
            assert!(block_on(new.issuer.rekey()).is_err());
            block_on(new.issuer.rekey()).unwrap();
            assert_eq!(block_on(new.issuer.rekey()).unwrap(), 0);
            assert_eq!(block_on(new.issuer.list_families("user-1")).unwrap().len(), 2);
            tokens.iter().for_each(|token| assert!(!new.refresh(rt(token)).unwrap().retry));
        }
    }
}
