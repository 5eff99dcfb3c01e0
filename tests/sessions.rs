//! A user's sessions, revocation, the audit trail, and the upkeep of the store.

#[cfg(feature = "redb")]
#[path = "support/in_file.rs"]
mod in_file;
mod support;

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};

use mcp_token_lifecycle::{
    Action, Binding, Client, Clock, Commit, Cursor, DynTokenStore, ErrorCode, ErrorKind, Expectation, FamilyId, KeyId,
    Keyring, MasterKey, MemoryStore, OnReuse, Page, Reason, Record, RecordKey, RefreshRequest, RevocationReason,
    RotationPolicy, Select, Status, StoreError, Timestamp, TokenStore, VerifyError,
};
use support::interleaved::Interleaved;
use support::*;

#[test]
fn list_families_gives_the_subjects_own_newest_first() {
    let bench = bench(RotationPolicy::standard());
    let one = bench.login();
    bench.pass(60);
    let two = bench.begin(grant_of("user-1", "client-2"));
    bench.begin(grant_of("user-2", "client-1"));
    bench.code();
    let families = block_on(bench.issuer.list_families("user-1")).unwrap();
    let ids: Vec<_> = families.iter().map(|family| family.id()).collect();
    assert_eq!(ids, [bench.family(&two), bench.family(&one)], "a code is no session yet");
    assert_eq!(families[0].grant().client_id(), "client-2");
    assert_eq!(families[1].created_at().as_unix(), START);
    assert_eq!(families[1].status(), Status::Active);
    assert_eq!(block_on(bench.issuer.list_families("user-3")).unwrap().len(), 0);
}

#[test]
fn list_families_leaves_out_revoked_idle_and_ended_ones() {
    let bench = bench(policy(|p| p.idle_lifetime(seconds(3600)).absolute_lifetime(seconds(7200))));
    let list = || block_on(bench.issuer.list_families("user-1")).unwrap().len();
    let (mut kept, revoked) = (bench.login(), bench.login());
    bench.login();
    assert_eq!(list(), 3);
    bench.revoke(&client(), rt(&revoked));
    assert_eq!(list(), 2);
    bench.pass(1800);
    kept = bench.refresh(rt(&kept)).unwrap();
    bench.pass(1800);
    assert_eq!(list(), 1);
    kept = bench.refresh(rt(&kept)).unwrap();
    bench.pass(3599);
    assert_eq!(list(), 1);
    bench.pass(1);
    assert_eq!(list(), 0);
    assert_eq!(bench.refresh(rt(&kept)).unwrap_err(), ErrorCode::InvalidGrant);
}

#[test]
fn revoke_family_is_for_its_own_subject_alone() {
    let bench = bench(RotationPolicy::standard());
    let first = bench.login();
    let id = bench.family(&first);
    bench.told();
    assert!(!block_on(bench.issuer.revoke_family("user-2", id)).unwrap());
    assert!(!block_on(bench.issuer.revoke_family("user-1", FamilyId::from_bytes([9; 16]))).unwrap());
    assert_eq!(bench.told(), []);
    assert!(bench.live(&first).is_ok());
    assert!(block_on(bench.issuer.revoke_family("user-1", id)).unwrap());
    let event = bench.audit.take().remove(0);
    assert_eq!(event.action, Action::Revoke(RevocationReason::Session));
    assert_eq!(bench.live(&first), Err(VerifyError::Revoked));
    assert!(block_on(bench.issuer.revoke_family("user-1", id)).unwrap(), "once more is as good as once");
}

/// spec: OAuth 2.1 §4.3.3 b
/// spec: RFC 9700 §4.14.2 g
#[test]
fn revoke_subject_ends_every_family_and_code_of_the_subject() {
    let bench = bench(RotationPolicy::standard());
    let code = bench.code();
    let tokens = [bench.login(), bench.login(), bench.begin(grant_of("user-1", "client-2"))];
    let other = bench.begin(grant_of("user-2", "client-1"));
    bench.told();
    assert_eq!(block_on(bench.issuer.revoke_subject("user-1")).unwrap(), 4);
    let events = bench.audit.take();
    assert_eq!(events.len(), 4);
    assert!(events.iter().all(|event| event.action == Action::Revoke(RevocationReason::Subject)));
    tokens.iter().for_each(|token| assert_eq!(bench.live(token), Err(VerifyError::Revoked)));
    assert_eq!(bench.redeem(&code).unwrap_err(), ErrorCode::InvalidGrant);
    assert!(bench.live(&other).is_ok());
    assert_eq!(block_on(bench.issuer.revoke_subject("user-1")).unwrap(), 0);
    let again = bench.login();
    assert!(bench.live(&again).is_ok(), "a new login is a new family");
}

#[test]
fn audit_tells_a_session_from_login_to_logout() {
    let bench = bench(RotationPolicy::standard());
    let code = bench.code();
    let first = bench.redeem(&code).unwrap();
    bench.pass(60);
    let second = bench.refresh(rt(&first)).unwrap();
    bench.pass(10);
    let _retried = bench.refresh(rt(&first)).unwrap();
    let stranger = Client::public("client-2");
    let _refused = bench.ask(RefreshRequest::new(&stranger, rt(&second)));
    let own = client();
    let _refused = bench.ask(RefreshRequest::new(&own, rt(&second)).scope("mcp:admin"));
    let _live = bench.live(&second);
    bench.revoke(&client(), rt(&second));
    let _refused = bench.refresh(rt(&second));

    let events = bench.audit.events();
    let told: Vec<_> = events
        .iter()
        .map(|event| (event.at.as_unix() - START, event.action.as_str(), event.reason, event.generation.unwrap()))
        .collect();
    let logged_out = Some(Reason::Revoked(RevocationReason::Token));
    assert_eq!(
        told,
        [
            (0, "authorize", None, 0),
            (0, "redeem", None, 1),
            (60, "rotate", None, 2),
            (70, "retry", None, 2),
            (70, "deny", Some(Reason::WrongClient), 2),
            (70, "deny", Some(Reason::ScopeExceeded), 2),
            (70, "revoke_token", None, 2),
            (70, "deny", logged_out, 2),
        ]
    );
    let family = bench.family(&second);
    for event in events {
        assert_eq!(event.family, Some(family));
        assert_eq!(event.subject.as_deref(), Some("user-1"));
        assert_eq!(event.client_id.as_deref(), Some("client-1"), "whom it was granted to, not who asked");
        let shown = format!("{event:?}");
        for secret in [code.as_str(), rt(&first), rt(&second), second.access_token.expose()] {
            assert!(!shown.contains(&secret[6..]), "no token in an event");
        }
    }
}

#[test]
fn audit_tells_issue_and_keep_as_acts_of_their_own() {
    let bench = bench(RotationPolicy::reusable());
    let first = bench.begin(grant());
    let client = Client::confidential("client-1");
    let _kept = bench.ask(RefreshRequest::new(&client, rt(&first))).unwrap();
    assert_eq!(bench.told(), [("issue", None), ("keep", None)]);
}

#[test]
fn audit_of_a_request_without_a_family_names_its_client() {
    let bench = bench(RotationPolicy::standard());
    let _refused = bench.refresh("garbage");
    let event = bench.audit.take().remove(0);
    assert_eq!((event.action, event.reason), (Action::Deny, Some(Reason::Malformed)));
    assert_eq!((event.client_id.as_deref(), event.family, event.subject), (Some("client-1"), None, None));
}

#[test]
fn reject_only_reports_every_presentation() {
    let bench = bench(policy(|p| p.on_reuse(OnReuse::RejectOnly)));
    let first = bench.login();
    bench.refresh(rt(&first)).unwrap();
    bench.pass(60);
    bench.told();
    let _answers = simultaneously(8, |_| bench.refresh(rt(&first)).unwrap_err());
    assert_eq!(bench.told(), [("reuse_reject_only", Some(Reason::SpentToken)); 8]);
}

#[test]
fn revoke_denies_malformed_tokens_and_takes_an_expired_one() {
    let bench = bench(RotationPolicy::standard());
    let first = bench.login();
    bench.pass(7200);
    assert_eq!(bench.live(&first), Err(VerifyError::Expired));
    let second = bench.refresh(rt(&first)).unwrap();
    bench.told();
    for garbage in ["", "garbage", "mcprt_AAAA"] {
        bench.revoke(&client(), garbage);
    }
    assert_eq!(bench.told(), [("deny", Some(Reason::Malformed)); 3]);
    assert!(bench.live(&second).is_ok());
    bench.revoke(&client(), first.access_token.expose());
    assert_eq!(bench.told(), [("revoke_token", None)], "an expired access token still names its family");
    assert_eq!(bench.live(&second), Err(VerifyError::Revoked));
}

#[test]
fn revoke_needs_the_proof_of_a_key_but_not_of_a_fingerprint() {
    let bench = bench(RotationPolicy::standard());
    let key = Binding::DpopKey([1; 32]);
    let bound = block_on(bench.issuer.issue(grant(), Some(key))).unwrap();
    bench.told();
    bench.revoke(&client(), rt(&bound));
    let other = Binding::DpopKey([2; 32]);
    block_on(bench.issuer.revoke(&client(), rt(&bound), Some(&other))).unwrap();
    assert_eq!(bench.told(), [("deny", Some(Reason::WrongBinding)); 2]);
    block_on(bench.issuer.revoke(&client(), rt(&bound), Some(&key))).unwrap();
    assert_eq!(bench.told(), [("revoke_token", None)]);

    let fingerprint = Binding::Fingerprint([1; 32]);
    let printed = block_on(bench.issuer.issue(grant(), Some(fingerprint))).unwrap();
    bench.told();
    bench.revoke(&client(), rt(&printed));
    assert_eq!(bench.told(), [("revoke_token", None)]);
}

#[test]
fn code_revoked_before_its_redemption_is_refused() {
    let bench = bench(RotationPolicy::standard());
    let code = bench.code();
    bench.revoke(&client(), &code);
    assert_eq!(bench.redeem(&code).unwrap_err(), ErrorCode::InvalidGrant);
}

const HOUR: u64 = 3600;

#[test]
fn purge_deletes_at_the_end_and_not_a_second_before() {
    let bench = bench(policy(|p| p.access_lifetime(seconds(60)).idle_lifetime(seconds(16_000))));
    bench.code();
    let first = bench.login();
    let purge = || block_on(bench.issuer.purge()).unwrap();
    // The record of a code that was not redeemed stays for an hour after the code: an outage does not count against it.
    bench.pass(60 + HOUR - 1);
    assert_eq!(purge(), 0);
    bench.pass(1);
    assert_eq!(purge(), 1);
    bench.pass(16_000 - 60 - HOUR - 1);
    assert_eq!(purge(), 0);
    assert!(bench.introspect(rt(&first)).is_active(), "the last second of its idle life");
    // The expiry of a living family is rounded up to a 16th of its idle lifetime.
    bench.pass(1 + 1000);
    assert_eq!(purge(), 1);
    assert!(bench.issuer.store().is_empty());
}

#[test]
fn purge_goes_on_until_nothing_expired_is_left() {
    let bench = bench(RotationPolicy::standard());
    for _ in 0..600 {
        bench.code();
    }
    bench.pass(60 + HOUR);
    bench.audit.take();
    assert_eq!(block_on(bench.issuer.purge()).unwrap(), 600);
    assert!(matches!(bench.audit.take()[..], [ref event] if matches!(event.action, Action::Purge { count: 600, .. })));
}

#[test]
fn purge_every_purges_after_each_sleep_and_outlives_a_failure() {
    let bench = bench_on(FlakyStore::new(MemoryStore::new()), keyring(), RotationPolicy::standard());
    bench.code();
    bench.issuer.store().fail_after(1, Fault::Unavailable);
    bench.told();
    let sleeps = Cell::new(0);
    let sleep = |interval| {
        bench.clock.advance(interval);
        sleeps.set(sleeps.get() + 1);
        let last = sleeps.get() == 4;
        async move {
            if last {
                std::future::pending::<()>().await;
            }
        }
    };
    let task = pin!(bench.issuer.purge_every(seconds(30 + HOUR / 2), sleep));
    assert!(task.poll(&mut Context::from_waker(Waker::noop())).is_pending());
    let acts: Vec<_> = bench.audit.take().iter().map(|event| event.action).collect();
    assert!(
        matches!(
            acts[..],
            [
                Action::Purge { count: 0, .. },
                Action::Fail,
                Action::Purge { count: 1, .. },
                Action::Purge { count: 0, .. }
            ]
        ),
        "{acts:?}"
    );
    assert_eq!(bench.clock.now().as_unix(), START + 4 * (30 + HOUR / 2));
}

#[test]
fn dyn_token_store_serves_an_issuer_in_another_thread() {
    let stores: [Arc<dyn DynTokenStore>; 2] =
        [Arc::new(MemoryStore::new()), Arc::new(FlakyStore::new(MemoryStore::new()))];
    for store in stores {
        let bench = bench_on(store, keyring(), RotationPolicy::standard());
        let worked = std::thread::spawn(move || {
            let first = bench.login();
            let second = bench.refresh(rt(&first)).unwrap();
            let again = bench.refresh(rt(&first)).unwrap();
            assert_eq!(rt(&again), rt(&second));
            assert_eq!(block_on(bench.issuer.list_families("user-1")).unwrap().len(), 1);
            assert_eq!(block_on(bench.issuer.revoke_subject("user-1")).unwrap(), 1);
            assert_eq!(block_on(bench.issuer.purge()).unwrap(), 0);
            bench.live(&second)
        });
        assert_eq!(worked.join().unwrap(), Err(VerifyError::Revoked));
    }
}

#[test]
fn issuer_futures_are_send() {
    fn moves<T: Send>(future: T) -> T {
        future
    }
    let bench = bench(RotationPolicy::standard());
    let (first, client, here) = (bench.login(), client(), resource());
    let request = RefreshRequest::new(&client, rt(&first));
    let expect = Expectation::resource(&here);
    let issuer = &bench.issuer;
    assert!(block_on(moves(issuer.verify_live(first.access_token.expose(), &expect))).is_ok());
    assert!(block_on(moves(issuer.introspect(rt(&first)))).unwrap().is_active());
    assert!(block_on(moves(issuer.refresh(&request))).unwrap().into_result().is_ok());
    assert!(block_on(moves(issuer.revoke_family("user-1", bench.family(&first)))).unwrap());
    assert_eq!(block_on(moves(issuer.revoke_client("client-1"))).unwrap(), 0);
    assert_eq!(block_on(moves(issuer.rekey())).unwrap(), 0);
    assert_eq!(block_on(moves(issuer.purge())).unwrap(), 0);
}

#[test]
fn refresh_dropped_halfway_is_finished_by_its_retry() {
    struct Stalled(MemoryStore, AtomicBool);
    impl TokenStore for Stalled {
        async fn get(&self, key: RecordKey) -> Result<Option<Record>, StoreError> {
            self.0.get(key).await
        }
        async fn commit(&self, record: Record) -> Result<Commit, StoreError> {
            let done = self.0.commit(record).await;
            if self.1.load(Ordering::SeqCst) {
                std::future::pending::<()>().await;
            }
            done
        }
        async fn list(&self, select: Select, after: Option<Cursor>, limit: usize) -> Result<Page, StoreError> {
            self.0.list(select, after, limit).await
        }
        async fn purge(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
            self.0.purge(now, limit).await
        }
    }
    let stall = |bench: &Bench<Stalled>, on| bench.issuer.store().1.store(on, Ordering::SeqCst);
    let bench = bench_on(Stalled(MemoryStore::new(), false.into()), keyring(), RotationPolicy::standard());
    let (first, client) = (bench.login(), client());
    stall(&bench, true);
    {
        let request = RefreshRequest::new(&client, rt(&first));
        let refresh = pin!(bench.issuer.refresh(&request));
        assert!(refresh.poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    stall(&bench, false);
    let second = bench.refresh(rt(&first)).unwrap();
    assert!(second.retry, "the write had happened");
    assert_eq!(bench.claims(&second).generation(), 2);
    assert!(!bench.refresh(rt(&second)).unwrap().retry);
}

#[test]
fn revoke_without_proof_is_for_confidential_clients_alone() {
    let bench = bench(RotationPolicy::standard());
    let bound = block_on(bench.issuer.issue(grant(), Some(Binding::DpopKey([1; 32])))).unwrap();
    bench.told();
    bench.revoke(&client(), rt(&bound));
    assert_eq!(bench.told(), [("deny", Some(Reason::WrongBinding))]);
    bench.revoke(&Client::confidential("client-1"), rt(&bound));
    assert_eq!(bench.told(), [("revoke_token", None)]);
}

/// How a family is moved between two pages of a listing.
#[derive(Clone, Copy, Debug)]
enum Move {
    Refresh,
    Rekey,
}

/// A revocation on a server whose primary key is `revoker`, while after page `at` of its listing every server writes the family
/// in turn, `mover` first. The family was begun under `begun`.
fn revocation_against_moves(
    store: Arc<dyn DynTokenStore>,
    [revoker, begun, mover]: [u32; 3],
    how: Move,
    at: Option<usize>,
) {
    let case = format!("revoker {revoker}, begun {begun}, mover {mover}, {how:?}, page {at:?}");
    let first = bench_on(Arc::clone(&store), mid_rotation(1), RotationPolicy::standard());
    let nodes = [&first, &first.twin(Arc::clone(&store), mid_rotation(2), RotationPolicy::standard())];
    let login = nodes[begun as usize - 1].login();
    let current = Mutex::new(vec![login]);
    let between = |page| {
        if at.is_none_or(|at| at == page) {
            for primary in [mover, 3 - mover] {
                let node = nodes[primary as usize - 1];
                let mut all = current.lock().unwrap();
                match how {
                    Move::Refresh => {
                        let next = node.refresh(rt(all.last().unwrap()));
                        all.extend(next);
                    }
                    Move::Rekey => assert!(block_on(node.issuer.rekey()).is_ok()),
                }
            }
        }
    };
    let listed = Interleaved::new(Arc::clone(&store), between);
    let node = first.twin(listed, mid_rotation(revoker), RotationPolicy::standard());
    assert_eq!(block_on(node.issuer.revoke_subject("user-1")).unwrap(), 1, "{case}");
    for response in current.lock().unwrap().iter() {
        for node in nodes {
            assert_eq!(node.live(response), Err(VerifyError::Revoked), "{case}");
            assert_eq!(node.refresh(rt(response)).unwrap_err(), ErrorCode::InvalidGrant, "{case}");
        }
    }
}

fn revocations_against_moves(open: fn() -> Arc<dyn DynTokenStore>) {
    for (revoker, begun, mover) in (0..8).map(|n| (1 + n % 2, 1 + n / 2 % 2, 1 + n / 4)) {
        for how in [Move::Refresh, Move::Rekey] {
            for at in [Some(0), Some(1), Some(2), None] {
                revocation_against_moves(open(), [revoker, begun, mover], how, at);
            }
        }
    }
}

/// A family that moves while it is listed is found, with any key that the servers write with.
#[test]
fn revoke_subject_finds_a_family_that_moves_while_it_lists() {
    revocations_against_moves(|| Arc::new(MemoryStore::new()));
}

#[cfg(feature = "redb")]
#[test]
fn revoke_subject_finds_a_family_that_moves_in_a_file() {
    revocations_against_moves(|| Arc::new(in_file::InFile::new()));
}

/// The same listing serves the page of a user's sessions.
#[test]
fn list_families_finds_a_family_that_moves_while_it_lists() {
    for revoker in [1, 2] {
        let store = Arc::new(MemoryStore::new());
        let old = bench_on(Arc::clone(&store), mid_rotation(1), RotationPolicy::standard());
        let new = old.twin(Arc::clone(&store), mid_rotation(2), RotationPolicy::standard());
        old.login();
        let listed = Interleaved::new(store, |page| {
            assert_eq!(block_on(new.issuer.rekey()).unwrap(), usize::from(page == 0));
        });
        let node = old.twin(listed, mid_rotation(revoker), RotationPolicy::standard());
        assert_eq!(block_on(node.issuer.list_families("user-1")).unwrap().len(), 1, "primary {revoker}");
    }
}

/// Reuse with `RevokeSubject` lists the other families in the same way.
#[test]
fn reuse_revokes_other_families_that_move_while_it_lists() {
    let store = Arc::new(MemoryStore::new());
    let policy = || policy(|p| p.on_reuse(OnReuse::RevokeSubject));
    let old = bench_on(Arc::clone(&store), mid_rotation(1), policy());
    let new = old.twin(Arc::clone(&store), mid_rotation(2), policy());
    let (stolen, other) = (old.login(), old.login());
    old.refresh(rt(&stolen)).unwrap();
    // Another issuer gives the token its leeway and the clock tolerance.
    old.pass(46);
    let moved = Mutex::new(None);
    let listed = Interleaved::new(store, |_| {
        moved.lock().unwrap().get_or_insert_with(|| new.refresh(rt(&other)).unwrap());
    });
    let node = old.twin(listed, mid_rotation(1), policy());
    assert_eq!(node.refresh(rt(&stolen)).unwrap_err(), ErrorCode::InvalidGrant);
    assert!(node.told().iter().any(|told| told.0 == "reuse_revoke_subject"));
    let moved = moved.into_inner().unwrap().unwrap();
    assert_eq!(new.live(&moved).unwrap_err(), VerifyError::Revoked);
    assert_eq!(new.refresh(rt(&moved)).unwrap_err(), ErrorCode::InvalidGrant);
}

/// A server that has not got the new key yet cannot list what is under it: it must not say that all is done.
#[test]
fn revoke_subject_without_the_newest_key_is_an_error() {
    let store = Arc::new(MemoryStore::new());
    let old = bench_on(Arc::clone(&store), keyring(), RotationPolicy::standard());
    let new = old.twin(Arc::clone(&store), mid_rotation(2), RotationPolicy::standard());
    let unknown = ErrorKind::UnknownKey(KeyId::new(2));
    let visible = old.login();
    assert_eq!(block_on(old.issuer.list_families("user-1")).unwrap().len(), 1);
    // Begun under the new key.
    let hidden = new.login();
    assert_eq!(block_on(old.issuer.revoke_subject("user-1")).unwrap_err().kind(), unknown);
    assert_eq!(block_on(old.issuer.revoke_client("client-1")).unwrap_err().kind(), unknown);
    assert_eq!(block_on(old.issuer.list_families("user-1")).unwrap_err().kind(), unknown);
    assert_eq!(new.live(&visible), Err(VerifyError::Revoked), "what is visible is revoked");
    assert!(new.live(&hidden).is_ok());
    assert_eq!(block_on(new.issuer.revoke_subject("user-1")).unwrap(), 1);
    // With the key it is done; and so it is where the old key was dropped.
    let last = Keyring::new(KeyId::new(2), MasterKey::from_bytes([8; 32]));
    let last = old.twin(store, last, RotationPolicy::standard());
    assert_eq!(block_on(last.issuer.revoke_subject("user-1")).unwrap(), 0);
}

/// The same for a family that goes where this server cannot follow it, at any point of the listing.
#[test]
fn revoke_subject_ends_a_family_of_an_unknown_key_or_fails() {
    for at in 0..2 {
        for how in [Move::Refresh, Move::Rekey] {
            let store = Arc::new(MemoryStore::new());
            let old = bench_on(Arc::clone(&store), keyring(), RotationPolicy::standard());
            let new = old.twin(Arc::clone(&store), mid_rotation(2), RotationPolicy::standard());
            let login = old.login();
            let listed = Interleaved::new(store, |page| match how {
                _ if page != at => {}
                Move::Refresh => drop(new.refresh(rt(&login))),
                Move::Rekey => drop(block_on(new.issuer.rekey()).unwrap()),
            });
            let node = old.twin(listed, keyring(), RotationPolicy::standard());
            let revoked = block_on(node.issuer.revoke_subject("user-1")).map_err(|error| error.kind());
            let is_dead = new.live(&login) == Err(VerifyError::Revoked);
            assert_eq!(is_dead, at > 0, "it is seen in the first page, but no longer there in {how:?}");
            assert!(is_dead || revoked == Err(ErrorKind::UnknownKey(KeyId::new(2))), "{revoked:?}, {how:?}, page {at}");
        }
    }
}

/// One read for an issuer and one write for a key, and nothing where there is no rotation.
#[test]
fn key_note_is_read_once_per_issuer_and_written_once_per_key() {
    let alone = bench_on(FlakyStore::new(MemoryStore::new()), keyring(), RotationPolicy::standard());
    alone.begin(grant());
    assert_eq!(alone.issuer.store().operations(), [Op::Commit]);
    let store = Arc::new(FlakyStore::new(MemoryStore::new()));
    let node = || alone.twin(Arc::clone(&store), mid_rotation(2), RotationPolicy::standard());
    let [first, second] = [node(), node()];
    for _ in 0..2 {
        first.begin(grant());
        second.begin(grant());
    }
    let noted = [Op::Get, Op::Commit, Op::Commit];
    let other = [Op::Get, Op::Commit];
    assert_eq!(store.operations(), [&noted[..], &other, &[Op::Commit; 2]].concat());
    assert_eq!(block_on(first.issuer.rekey()).unwrap(), 0);
}
