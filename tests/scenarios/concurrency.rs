//! Real threads. Each race is a function of the store, for any store that must pass it.

use std::collections::HashSet;
use std::sync::Arc;

use mcp_token_lifecycle::{
    Commit, ErrorCode, ErrorKind, MemoryStore, OnReuse, Reason, RevocationReason, RotationPolicy, TokenStore,
};

use crate::support::*;

fn twenty_refreshes<S: TokenStore + 'static>(store: S) {
    let bench = bench_on(store, keyring(), RotationPolicy::standard());
    let first = bench.login();
    bench.told();
    let answers = simultaneously(20, |_| bench.refresh(rt(&first)).unwrap());
    let successors: HashSet<_> = answers.iter().map(rt).collect();
    assert_eq!(successors.len(), 1);
    assert_eq!(answers.iter().filter(|answer| !answer.retry).count(), 1, "one of them rotated");
    assert!(answers.iter().all(|answer| bench.claims(answer).generation() == 2));
    let told = bench.told();
    assert_eq!(told.iter().filter(|(act, _)| *act == "rotate").count(), 1);
    assert_eq!(told.iter().filter(|(act, _)| *act == "retry").count(), 19);
    assert_eq!(bench.claims(&bench.refresh(rt(&answers[0])).unwrap()).generation(), 3);
}

#[test]
fn s08_parallel_refreshes_rotate_once_with_one_successor() {
    for _ in 0..20 {
        twenty_refreshes(MemoryStore::new());
    }
}

fn two_refreshes_without_leeway<S: TokenStore + 'static>(store: S) {
    let bench = bench_on(store, keyring(), RotationPolicy::strict());
    let first = bench.login();
    let answers = simultaneously(2, |_| bench.refresh(rt(&first)));
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    assert_eq!(answers.into_iter().find_map(Result::err), Some(ErrorCode::InvalidGrant));
    assert_eq!(bench.told().iter().filter(|(act, _)| *act == "rotate").count(), 1);
}

#[test]
fn s09_parallel_refreshes_without_leeway_succeed_once() {
    for _ in 0..100 {
        two_refreshes_without_leeway(MemoryStore::new());
    }
}

fn the_winner_of_a_race<S: TokenStore + 'static>(store: S, policy: RotationPolicy) -> Result<u64, ErrorCode> {
    let bench = bench_on(store, keyring(), policy);
    let first = bench.login();
    let answers = simultaneously(2, |_| bench.refresh(rt(&first)));
    let winner = answers.into_iter().find_map(Result::ok).expect("one of them wins");
    bench.refresh(rt(&winner)).map(|next| bench.claims(&next).generation())
}

#[test]
fn s10_the_winners_child_rotates_again() {
    let no_leeway = policy(|p| p.reuse_leeway(seconds(0)).on_reuse(OnReuse::RejectOnly));
    assert_eq!(the_winner_of_a_race(MemoryStore::new(), no_leeway), Ok(3));
    assert_eq!(the_winner_of_a_race(MemoryStore::new(), RotationPolicy::standard()), Ok(3));
}

#[test]
fn s10_strict_loser_counts_as_reuse_and_revokes_the_winner() {
    let outcome = the_winner_of_a_race(MemoryStore::new(), RotationPolicy::strict());
    assert_eq!(outcome, Err(ErrorCode::InvalidGrant));
}

fn a_revocation_and_a_refresh<S: TokenStore + 'static>(store: S) {
    let bench = bench_on(store, keyring(), RotationPolicy::standard());
    for _ in 0..100 {
        let first = bench.login();
        let answers = simultaneously(2, |number| match number {
            0 => {
                bench.revoke(&client(), rt(&first));
                None
            }
            _ => bench.refresh(rt(&first)).ok(),
        });
        assert_eq!(bench.refresh(rt(&first)).unwrap_err(), ErrorCode::InvalidGrant);
        assert!(bench.live(&first).is_err());
        for survivor in answers.iter().flatten() {
            assert_eq!(bench.refresh(rt(survivor)).unwrap_err(), ErrorCode::InvalidGrant);
            assert!(bench.live(survivor).is_err());
        }
    }
}

/// spec: RFC 7009 §2.1 e
#[test]
fn s11_after_a_revocation_raced_a_refresh_no_token_works() {
    a_revocation_and_a_refresh(MemoryStore::new());
}

#[test]
fn s11_a_revocation_between_a_refreshs_read_and_its_write_wins() {
    let store = Arc::new(MemoryStore::new());
    let bench = bench_on(FlakyStore::new(Arc::clone(&store)), keyring(), RotationPolicy::standard());
    let other = bench.twin(store, keyring(), RotationPolicy::standard());
    let first = bench.login();
    let token = rt(&first).to_owned();
    bench.issuer.store().before_next_commit(move || other.revoke(&client(), &token));
    bench.told();
    assert_eq!(bench.refresh(rt(&first)).unwrap_err(), ErrorCode::InvalidGrant);
    assert_eq!(bench.told(), [("revoke_token", None), ("deny", Some(Reason::Revoked(RevocationReason::Token)))]);
    assert!(bench.live(&first).is_err());
}

#[test]
fn s11_refresh_within_a_revocation_is_revoked_too() {
    let store = Arc::new(MemoryStore::new());
    let bench = bench_on(FlakyStore::new(Arc::clone(&store)), keyring(), RotationPolicy::standard());
    let other = bench.twin(store, keyring(), RotationPolicy::standard());
    let first = bench.login();
    let token = rt(&first).to_owned();
    let (sender, successor) = std::sync::mpsc::channel();
    bench.issuer.store().before_next_commit(move || sender.send(other.refresh(&token).unwrap()).unwrap());
    bench.revoke(&client(), rt(&first));
    let second = successor.recv().unwrap();
    assert_eq!(bench.refresh(rt(&second)).unwrap_err(), ErrorCode::InvalidGrant);
    assert!(bench.live(&second).is_err());
}

#[test]
fn s12_conflict_is_decided_again_and_endless_ones_are_a_fault() {
    let bench = bench_on(FlakyStore::new(MemoryStore::new()), keyring(), RotationPolicy::standard());
    let store = bench.issuer.store();
    let first = bench.login();
    store.operations();
    store.fail_after(1, Fault::Conflict);
    let second = bench.refresh(rt(&first)).unwrap();
    assert_eq!(store.operations(), [Op::Get, Op::Commit, Op::Get, Op::Commit]);
    assert_eq!(bench.claims(&second).generation(), 2);

    store.fail_every(Op::Commit, Fault::Conflict);
    bench.told();
    assert_eq!(bench.attempt(rt(&second)).unwrap_err(), ErrorKind::Contention);
    assert_eq!(bench.told(), [], "nothing happened, so nothing is reported");
    store.heal();
    let third = bench.refresh(rt(&second)).unwrap();
    assert!(!third.retry);
    assert_eq!(bench.claims(&third).generation(), 3);
}

#[test]
fn s12_a_lost_race_answers_with_the_winners_successor() {
    let store = Arc::new(MemoryStore::new());
    let bench = bench_on(FlakyStore::new(Arc::clone(&store)), keyring(), RotationPolicy::standard());
    let other = bench.twin(store, keyring(), RotationPolicy::standard());
    let first = bench.login();
    let token = rt(&first).to_owned();
    let (sender, winner) = std::sync::mpsc::channel();
    bench.issuer.store().before_next_commit(move || sender.send(other.refresh(&token).unwrap()).unwrap());
    let second = bench.refresh(rt(&first)).unwrap();
    assert!(second.retry);
    assert_eq!(rt(&second), rt(&winner.recv().unwrap()));
}

fn many_refreshes<S: TokenStore + 'static>(store: S) {
    let bench = bench_on(store, keyring(), RotationPolicy::standard());
    let mut current = bench.login();
    for round in 2..10 {
        let mut answers = simultaneously(64, |_| bench.refresh(rt(&current)).unwrap());
        let successors: HashSet<_> = answers.iter().map(rt).collect();
        assert_eq!(successors.len(), 1, "round {round}");
        current = answers.swap_remove(0);
        assert_eq!(bench.claims(&current).generation(), round);
        bench.pass(31);
    }
}

#[test]
fn s13_parallel_refreshes_never_make_two_successors() {
    many_refreshes(MemoryStore::new());
}

fn stolen_token_from_all_sides<S: TokenStore + 'static>(store: S) {
    let bench = bench_on(store, keyring(), RotationPolicy::standard());
    let first = bench.login();
    let second = bench.refresh(rt(&first)).unwrap();
    bench.pass(31);
    bench.told();
    let answers = simultaneously(64, |_| bench.refresh(rt(&first)).unwrap_err());
    assert!(answers.iter().all(|code| *code == ErrorCode::InvalidGrant));
    let told = bench.told();
    assert_eq!(told.iter().filter(|(act, _)| *act == "reuse_revoke_family").count(), 1, "one event of theft");
    let revoked = Some(Reason::Revoked(RevocationReason::Reuse));
    assert_eq!(told.iter().filter(|told| **told == ("deny", revoked)).count(), 63);
    assert!(bench.live(&second).is_err());
}

/// spec: RFC 9700 §4.14.2 d
#[test]
fn s29_parallel_reuse_revokes_the_family_once_with_one_event() {
    for _ in 0..10 {
        stolen_token_from_all_sides(MemoryStore::new());
    }
}

fn code_from_all_sides<S: TokenStore + 'static>(store: S) {
    let bench = bench_on(store, keyring(), RotationPolicy::standard());
    let code = bench.code();
    let answers = simultaneously(16, |_| bench.redeem(&code));
    let granted: Vec<_> = answers.into_iter().flatten().collect();
    assert!(granted.len() <= 1, "a code is used once");
    assert!(granted.iter().all(|tokens| bench.live(tokens).is_err()), "and presented twice it ends what it led to");
}

#[test]
fn s08_parallel_redemptions_of_a_code_leave_nothing_alive() {
    for _ in 0..20 {
        code_from_all_sides(MemoryStore::new());
    }
}

#[test]
fn s08_a_store_takes_each_version_once_and_skips_none() {
    let bench = bench_on(FlakyStore::new(MemoryStore::new()), keyring(), RotationPolicy::standard());
    bench.login();
    let records = bench.issuer.store().journal();
    let mut skipping = records[1].clone();
    skipping.version = 4;
    for record in records.into_iter().chain([skipping]) {
        assert_eq!(block_on(bench.issuer.store().commit(record)).unwrap(), Commit::Conflict);
    }
}
