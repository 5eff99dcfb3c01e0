//! The windows in which something spent is still answered: how long each is open, and what neither opens nor closes it.

use std::sync::Arc;

use mcp_token_lifecycle::{
    BoxFuture, CLOCK_TOLERANCE, Client, Clock, ErrorCode, ErrorKind, Expectation, GrantCheck, GrantStatus, KeyId,
    Keyring, MasterKey, MemoryStore, OnSuperseded, PolicySet, Reason, RedeemRequest, RefreshRequest, RotationPolicy,
    TokenFamily, TokenIssuer, TokenResponse, TokenStore, VerifyError,
};

use crate::support::pausing::{Pausing, cut_off};
use crate::support::*;

type Flaky = Bench<FlakyStore<MemoryStore>>;

fn flaky(policies: impl Into<PolicySet>) -> Flaky {
    bench_on(FlakyStore::new(MemoryStore::new()), keyring(), policies)
}

impl Flaky {
    /// The store is away for so long, and the client comes once a minute.
    fn outage<T>(&self, seconds: u64, retry: impl Fn(&Self) -> T) {
        self.issuer.store().fail_every(Op::Get, Fault::Unavailable);
        for _ in 0..seconds / 60 {
            let _ = retry(self);
            self.pass(60);
        }
        self.issuer.store().heal();
    }
}

const PRESETS: [RotationPolicy; 5] = [
    RotationPolicy::strict(),
    RotationPolicy::standard(),
    RotationPolicy::shared_credential(),
    RotationPolicy::reusable(),
    RotationPolicy::background_agent(),
];

fn no_reuse<S>(bench: &Bench<S>) -> bool {
    bench.audit.events().iter().all(|event| !event.action.as_str().starts_with("reuse"))
}

/// spec: RFC 9700 §4.14.2
#[test]
fn s77_stragglers_of_three_generations_are_retries() {
    for policy in PRESETS.into_iter().filter(|policy| !policy.reuse_leeway().is_zero()) {
        let bench = bench(policy);
        let mut chain = vec![bench.login()];
        for _ in 0..3 {
            bench.pass(1);
            let next = bench.refresh(rt(&chain[chain.len() - 1])).unwrap();
            assert!(!next.retry, "an immediate refresh rotates");
            assert!(chain.iter().all(|earlier| rt(earlier) != rt(&next)));
            chain.push(next);
        }
        for spent in &chain[..3] {
            let answer = bench.refresh(rt(spent)).unwrap();
            assert_eq!(rt(&answer), rt(&chain[3]), "the current token");
            assert!(answer.retry && bench.live(&answer).is_ok());
        }
        assert!(no_reuse(&bench));
    }
}

#[test]
fn s77_each_spent_token_has_a_leeway_of_its_own() {
    let present = |after: u64, which: usize| {
        let bench = bench(RotationPolicy::standard());
        let first = bench.login();
        let second = bench.refresh(rt(&first)).unwrap();
        bench.pass(20);
        let third = bench.refresh(rt(&second)).unwrap();
        bench.pass(after);
        let chain = [first, second, third];
        bench.refresh(rt(&chain[which])).map(|answer| answer.retry)
    };
    assert_eq!(present(9, 0), Ok(true), "29 s after it was spent");
    assert_eq!(present(10, 0), Err(ErrorCode::InvalidGrant), "30 s after");
    assert_eq!(present(29, 1), Ok(true));
    assert_eq!(present(30, 1), Err(ErrorCode::InvalidGrant));
    assert_eq!(present(30, 2), Ok(false), "the current token has no leeway to lose");
}

#[test]
fn s77_fourth_rotation_within_a_leeway_keeps_the_token() {
    let bench = bench(RotationPolicy::standard());
    let mut current = bench.login();
    let first = rt(&current).to_owned();
    for _ in 0..3 {
        current = bench.refresh(rt(&current)).unwrap();
    }
    bench.told();
    bench.pass(29);
    let kept = bench.refresh(rt(&current)).unwrap();
    assert_eq!(rt(&kept), rt(&current));
    assert_eq!(bench.told(), [("keep", None)]);
    assert!(bench.refresh(&first).unwrap().retry, "nothing was forgotten");
    bench.pass(1);
    let next = bench.refresh(rt(&kept)).unwrap();
    assert_ne!(rt(&next), rt(&current), "the leeway of the first is over");
    assert_eq!(bench.refresh(&first).unwrap_err(), ErrorCode::InvalidGrant);
}

/// A client whose processes share the tokens: any order of refreshes within a leeway ends no session.
#[test]
fn s77_no_burst_of_an_honest_client_ends_its_family() {
    let mut seed = 1_u64;
    let mut random = |bound: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % bound
    };
    for policy in PRESETS.into_iter().filter(|policy| !policy.reuse_leeway().is_zero()) {
        for _ in 0..50 {
            let bench = bench(policy);
            let mut known = vec![bench.login()];
            for _ in 0..40 {
                let which = random(known.len());
                let answer = bench.refresh(rt(&known[which])).expect("a request of the burst");
                if known.iter().all(|token| rt(token) != rt(&answer)) {
                    known.push(answer);
                }
                bench.pass(u64::from(random(3) == 0 && bench.clock.now().as_unix() < START + 29));
            }
            assert!(no_reuse(&bench));
        }
    }
}

#[test]
fn s67_unconfirmed_refresh_is_answered_after_an_outage() {
    for policy in PRESETS {
        let bench = flaky(policy);
        let first = bench.login();
        bench.issuer.store().fail_after(1, Fault::UncertainDone);
        assert_eq!(bench.attempt(rt(&first)).unwrap_err(), ErrorKind::StoreUncertain);
        bench.issuer.store().fail_every(Op::Get, Fault::Unavailable);
        for _ in 0..30 {
            bench.pass(60);
            assert_eq!(bench.attempt(rt(&first)).unwrap_err(), ErrorKind::StoreUnavailable);
        }
        bench.issuer.store().heal();
        bench.pass(5);
        let second = bench.refresh(rt(&first)).unwrap();
        assert_eq!(bench.claims(&second).generation(), 2, "{policy:?}");
        assert!(no_reuse(&bench), "{policy:?}");
        bench.pass(130);
        assert_eq!(bench.refresh(rt(&first)).unwrap_err(), ErrorCode::InvalidGrant, "reuse is reuse afterwards");
        assert!(bench.live(&second).is_err());
    }
}

#[test]
fn s67_lost_response_is_still_a_retry_after_an_outage() {
    let bench = flaky(RotationPolicy::standard());
    let first = bench.login();
    let second = bench.refresh(rt(&first)).unwrap();
    bench.pass(20);
    bench.outage(3600, |bench| bench.attempt(rt(&first)).unwrap_err());
    assert_eq!(rt(&bench.refresh(rt(&first)).unwrap()), rt(&second));
    bench.pass(9);
    assert!(bench.refresh(rt(&first)).unwrap().retry, "29 s of the leeway are used up");
    bench.pass(1);
    assert_eq!(bench.refresh(rt(&first)).unwrap_err(), ErrorCode::InvalidGrant);
}

/// A client that comes back after a long silence: no client has the successor, so it is good with any leeway.
#[test]
fn s67_rotation_that_was_never_answered_waits_for_its_client() {
    for policy in PRESETS {
        let bench = flaky(policy);
        let first = bench.login();
        bench.issuer.store().fail_after(1, Fault::UncertainDone);
        assert!(bench.attempt(rt(&first)).is_err());
        bench.pass(3599);
        let second = bench.refresh(rt(&first)).unwrap();
        assert!(bench.live(&second).is_ok());
        assert_eq!(bench.refresh(rt(&first)).unwrap_err(), ErrorCode::InvalidGrant, "once");
        assert!(bench.live(&second).is_err(), "the second of two holders is found");
    }
}

#[test]
fn s67_counted_retry_is_the_answer_that_was_owed() {
    let policy = RotationPolicy::strict().to_builder().retry_limit(Some(3)).build().unwrap();
    let bench = flaky(policy);
    let first = bench.login();
    bench.issuer.store().fail_after(1, Fault::UncertainDone);
    assert!(bench.attempt(rt(&first)).is_err());
    bench.refresh(rt(&first)).unwrap();
    assert_eq!(bench.refresh(rt(&first)).unwrap_err(), ErrorCode::InvalidGrant);
}

/// One failure and a long silence is no long outage: another server may have served meanwhile.
#[test]
fn s67_silence_after_a_failure_opens_no_leeway() {
    let store = Arc::new(MemoryStore::new());
    let idle = bench_on(FlakyStore::new(Arc::clone(&store)), keyring(), RotationPolicy::standard());
    let busy = idle.twin(store, keyring(), RotationPolicy::standard());
    let first = busy.login();
    idle.issuer.store().fail_every(Op::Get, Fault::Unavailable);
    assert!(idle.attempt(rt(&first)).is_err());
    idle.issuer.store().heal();
    busy.pass(10);
    busy.refresh(rt(&first)).unwrap();
    busy.pass(3600);
    assert_eq!(idle.refresh(rt(&first)).unwrap_err(), ErrorCode::InvalidGrant);
}

#[test]
fn s67_outage_before_the_rotation_extends_nothing() {
    let bench = flaky(RotationPolicy::standard());
    let first = bench.login();
    bench.issuer.store().fail_every(Op::Get, Fault::Unavailable);
    assert!(bench.attempt(rt(&first)).is_err());
    bench.pass(600);
    bench.issuer.store().heal();
    bench.refresh(rt(&first)).unwrap();
    bench.pass(30);
    assert_eq!(bench.refresh(rt(&first)).unwrap_err(), ErrorCode::InvalidGrant);
}

#[test]
fn s67_outage_does_not_count_against_the_life_of_a_code() {
    for policy in PRESETS {
        let bench = flaky(policy);
        let code = bench.code();
        let client = client();
        let redeem = || block_on(bench.issuer.redeem(&RedeemRequest::new(&client, &code, REDIRECT, VERIFIER)));
        bench.outage(1200, |_| redeem().unwrap_err());
        block_on(bench.issuer.purge()).unwrap();
        bench.pass(59);
        assert!(bench.redeem(&code).is_ok());
    }
}

#[test]
fn s67_redemption_that_was_never_answered_may_be_repeated() {
    let bench = flaky(RotationPolicy::standard());
    let code = bench.code();
    bench.issuer.store().fail_after(1, Fault::UncertainDone);
    let client = client();
    let redeem = || block_on(bench.issuer.redeem(&RedeemRequest::new(&client, &code, REDIRECT, VERIFIER)));
    assert_eq!(redeem().unwrap_err().kind(), ErrorKind::StoreUncertain);
    let first = bench.redeem(&code).unwrap();
    assert_eq!(bench.claims(&first).generation(), 1);
    assert_eq!(bench.redeem(&code).unwrap_err(), ErrorCode::InvalidGrant, "now it was answered");
    assert!(bench.live(&first).is_err());
}

#[test]
fn s67_outage_does_not_count_against_the_lost_response_window() {
    let bench = flaky(policy(|p| p.lost_response_window(Some(seconds(600)))));
    let first = bench.login();
    let second = bench.refresh(rt(&first)).unwrap();
    bench.outage(7200, |bench| bench.attempt(rt(&first)).unwrap_err());
    assert_eq!(rt(&bench.refresh(rt(&first)).unwrap()), rt(&second));
}

/// A client that closes its connection while its refresh is committed has no answer either.
#[test]
fn strict_answers_a_refresh_that_was_cut_off() {
    let mut commits_cut_off = 0;
    for polls in 1..12 {
        let bench = bench_on(Pausing(MemoryStore::new()), keyring(), RotationPolicy::strict());
        let (first, client) = (bench.login(), client());
        let request = RefreshRequest::new(&client, rt(&first));
        let finished = cut_off(bench.issuer.refresh(&request), polls).is_some();
        let again = bench.refresh(rt(&first));
        assert_eq!(again.is_ok(), !finished, "after {polls} polls");
        commits_cut_off += u64::from(again.is_ok_and(|answer| answer.retry));
    }
    assert!(commits_cut_off > 0, "some were cut off after the commit");
}

/// To close a connection makes no outage: a thief could keep a leeway open with it.
#[test]
fn cancelled_request_opens_no_leeway() {
    let bench = bench_on(Pausing(MemoryStore::new()), keyring(), RotationPolicy::standard());
    let (first, client) = (bench.login(), client());
    bench.refresh(rt(&first)).unwrap();
    for _ in 0..30 {
        let request = RefreshRequest::new(&client, rt(&first));
        assert!(cut_off(bench.issuer.refresh(&request), 1).is_none());
        bench.pass(1);
    }
    assert_eq!(bench.refresh(rt(&first)).unwrap_err(), ErrorCode::InvalidGrant);
}

fn code_twice(bench: &Flaky, after: u64) -> (TokenResponse, Result<TokenResponse, ErrorCode>) {
    let code = bench.code();
    let first = bench.redeem(&code).unwrap();
    bench.pass(after);
    (first, bench.redeem(&code))
}

/// spec: OAuth 2.1 §4.1.3
#[test]
fn code_presented_twice_is_denied_and_ends_its_family() {
    for policy in PRESETS {
        for after in [0, 1, 29, 59] {
            let bench = flaky(policy);
            let (first, again) = code_twice(&bench, after);
            assert_eq!(again.unwrap_err(), ErrorCode::InvalidGrant);
            assert_eq!(bench.live(&first), Err(VerifyError::Revoked), "{after} s after");
            assert_eq!(bench.refresh(rt(&first)).unwrap_err(), ErrorCode::InvalidGrant);
        }
    }
}

#[test]
fn code_is_good_for_no_longer_than_its_own_life() {
    for policy in PRESETS {
        for after in [60, 88, 3600, 86_399] {
            let bench = flaky(policy);
            let (_, again) = code_twice(&bench, after);
            assert_eq!(again.unwrap_err(), ErrorCode::InvalidGrant, "{after} s after");
        }
    }
}

#[test]
fn code_retry_window_is_an_option_and_ends_with_the_code() {
    let retries = |lives, window, after| {
        let bench = flaky(policy(|p| p.code_lifetime(seconds(lives)).code_retry_window(seconds(window))));
        code_twice(&bench, after).1.is_ok_and(|answer| answer.retry)
    };
    assert!(retries(60, 10, 9));
    assert!(!retries(60, 10, 10));
    assert!(retries(60, 60, 59));
    assert!(!retries(60, 60, 60));
}

/// Nothing shows that the successor arrived if its access token may be used unseen.
#[test]
fn lost_response_window_needs_the_live_check() {
    let bench = bench(policy(|p| p.lost_response_window(Some(seconds(86_400)))));
    let first = bench.begin(grant());
    let here = resource();
    let offline = bench.issuer.verify(first.access_token.expose(), &Expectation::resource(&here));
    assert_eq!(offline, Err(VerifyError::LiveCheckRequired));
    assert_eq!(
        (VerifyError::LiveCheckRequired.status(), VerifyError::LiveCheckRequired.as_str()),
        (401, "invalid_token")
    );
    let second = bench.refresh(rt(&first)).unwrap();
    assert!(bench.live(&second).is_ok());
    bench.pass(31);
    assert_eq!(bench.refresh(rt(&first)).unwrap_err(), ErrorCode::InvalidGrant);
}

#[test]
fn spent_token_of_a_preset_is_refused_after_its_leeway() {
    for policy in PRESETS {
        let bench = bench(policy);
        let first = bench.login();
        bench.refresh(rt(&first)).unwrap();
        bench.pass(policy.reuse_leeway().as_secs());
        assert_eq!(bench.refresh(rt(&first)).unwrap_err(), ErrorCode::InvalidGrant, "{policy:?}");
    }
}

/// A thief who asks again and again learns of the rotation when no server answers the spent token, and not before.
#[test]
fn superseded_access_token_shows_no_rotation_within_the_leeway() {
    let bench = bench(policy(|p| p.on_superseded(OnSuperseded::Reject)));
    let stolen = bench.login();
    bench.pass(100);
    let second = bench.refresh(rt(&stolen)).unwrap();
    for _ in 0..45 {
        assert!(bench.live(&stolen).is_ok());
        assert!(bench.introspect(stolen.access_token.expose()).is_active());
        assert!(bench.introspect(rt(&stolen)).is_active());
        bench.pass(1);
    }
    assert_eq!(bench.live(&stolen), Err(VerifyError::Revoked));
    assert!(!bench.introspect(rt(&stolen)).is_active());
    assert_eq!(bench.refresh(rt(&stolen)).unwrap_err(), ErrorCode::InvalidGrant);
    assert_eq!(bench.live(&second), Err(VerifyError::Revoked), "the thief is found");
}

/// The refusal of an access token at one server says that no server answers the spent token any more.
#[test]
fn superseded_access_token_shows_no_leeway_of_another_server() {
    for spent_by_first in [true, false] {
        let store = Arc::new(MemoryStore::new());
        let policy = policy(|p| p.on_superseded(OnSuperseded::Reject));
        let first = bench_on(Arc::clone(&store), keyring(), policy);
        let second = first.twin(store, keyring(), policy);
        let stolen = first.login();
        let spender = if spent_by_first { &first } else { &second };
        spender.refresh(rt(&stolen)).unwrap();
        while first.live(&stolen).is_ok() {
            first.pass(1);
        }
        assert_eq!(second.refresh(rt(&stolen)).unwrap_err(), ErrorCode::InvalidGrant);
    }
}

#[test]
fn superseded_access_token_shows_no_lost_response_window() {
    let bench = bench(policy(|p| p.on_superseded(OnSuperseded::Reject).lost_response_window(Some(seconds(600)))));
    let stolen = bench.login();
    bench.refresh(rt(&stolen)).unwrap();
    bench.pass(599);
    assert!(bench.live(&stolen).is_ok());
    assert!(bench.introspect(rt(&stolen)).is_active());
    bench.pass(1);
    assert_eq!(bench.live(&stolen), Err(VerifyError::Revoked));
    assert_eq!(bench.refresh(rt(&stolen)).unwrap_err(), ErrorCode::InvalidGrant);
}

/// In the answer of an introspection nothing changes when the token is spent.
#[test]
fn introspection_of_a_spent_token_in_its_leeway_is_unchanged() {
    let bench = bench(RotationPolicy::standard());
    let first = bench.login();
    let said = |bench: &Bench<MemoryStore>| format!("{:?}", bench.introspect(rt(&first)));
    let before = said(&bench);
    bench.pass(100);
    bench.refresh(rt(&first)).unwrap();
    assert_eq!(said(&bench), before);
}

fn key(id: u32) -> (KeyId, MasterKey) {
    (KeyId::new(id), MasterKey::from_bytes([id as u8; 32]))
}

fn keys(primary: u32, retired: u32) -> Keyring {
    let ((id, key), (old_id, old)) = (key(primary), key(retired));
    Keyring::new(id, key).with_retired(old_id, old).unwrap()
}

fn confidential<S: TokenStore>(bench: &Bench<S>, token: &str) -> Result<TokenResponse, ErrorCode> {
    bench.ask(RefreshRequest::new(&Client::confidential("client-1"), token))
}

/// Several processes share one token that does not rotate. The key rotates, and each learns of the new token when it refreshes.
#[test]
fn kept_token_made_with_a_retired_key_stays_good() {
    let store = Arc::new(MemoryStore::new());
    let before = bench_on(Arc::clone(&store), keys(1, 2), RotationPolicy::reusable());
    let shared = before.login();
    let after = before.twin(store, keys(2, 1), RotationPolicy::reusable());
    let moved = confidential(&after, rt(&shared)).unwrap();
    assert_ne!(rt(&moved), rt(&shared), "made with the new key");
    for _ in 0..20 {
        after.pass(86_400);
        let again = confidential(&after, rt(&shared)).unwrap();
        assert_eq!(rt(&again), rt(&moved));
        assert_eq!(after.claims(&again).generation(), 1);
        assert_eq!(rt(&confidential(&after, rt(&moved)).unwrap()), rt(&moved));
    }
    assert!(no_reuse(&after));
}

#[test]
fn kept_token_changes_once_between_nodes_of_different_keys() {
    let store = Arc::new(MemoryStore::new());
    let one = bench_on(Arc::clone(&store), keys(1, 2), RotationPolicy::reusable());
    let mut token = one.login();
    let other = one.twin(store, keys(2, 1), RotationPolicy::reusable());
    let mut changes = 0;
    for minute in 0..600 {
        let node = if minute % 2 == 0 { &other } else { &one };
        let next = confidential(node, rt(&token)).unwrap();
        changes += u32::from(rt(&next) != rt(&token));
        token = next;
        one.pass(60);
    }
    assert_eq!(changes, 1, "once, to the new key");
}

/// Two issuers on one store, the clock of the second so many seconds ahead.
struct Apart {
    first: Bench<Arc<MemoryStore>>,
    second: Bench<Arc<MemoryStore>>,
}

impl Apart {
    fn new(policy: RotationPolicy, ahead: i64) -> Self {
        let store = Arc::new(MemoryStore::new());
        let first = bench_on(Arc::clone(&store), keyring(), policy);
        let mut second = bench_on(store, keyring(), policy);
        second.clock.set_unix(START.saturating_add_signed(ahead));
        second.audit = first.audit.clone();
        second.issuer = second.issuer.with_audit(first.audit.clone());
        Self { first, second }
    }

    fn pass(&self, seconds: u64) {
        self.first.pass(seconds);
        self.second.pass(seconds);
    }
}

/// What a request takes of the leeway, the clock may be ahead less.
#[test]
fn clock_ahead_of_the_leeway_ends_no_session() {
    for ahead in [0, 1, 15, 31, 43] {
        for policy in [RotationPolicy::standard(), RotationPolicy::shared_credential()] {
            let nodes = Apart::new(policy, ahead);
            let first = nodes.first.login();
            let second = nodes.first.refresh(rt(&first)).unwrap();
            nodes.pass(1);
            assert_eq!(rt(&nodes.second.refresh(rt(&first)).unwrap()), rt(&second), "{ahead} s ahead");
            assert!(no_reuse(&nodes.first));
        }
    }
}

#[test]
fn clock_behind_within_the_tolerance_decides_as_the_others() {
    let behind = -(CLOCK_TOLERANCE.as_secs() as i64);
    let nodes = Apart::new(RotationPolicy::standard(), behind);
    let first = nodes.first.login();
    let second = nodes.first.refresh(rt(&first)).unwrap();
    assert_eq!(rt(&nodes.second.refresh(rt(&first)).unwrap()), rt(&second));
    assert!(nodes.second.live(&second).is_ok());
    let third = nodes.second.refresh(rt(&second)).unwrap();
    assert_eq!(nodes.first.claims(&third).generation(), 3);
    let families = block_on(nodes.first.issuer.list_families("user-1")).unwrap();
    assert_eq!(families[0].rotated_at().as_unix(), START, "time does not go back");
}

#[test]
fn clock_far_behind_is_a_fault_and_opens_no_leeway() {
    for behind in [-16, -1800, -86_400] {
        let nodes = Apart::new(RotationPolicy::standard(), behind);
        let first = nodes.first.login();
        let second = nodes.first.refresh(rt(&first)).unwrap();
        for token in [&first, &second] {
            assert_eq!(nodes.second.attempt(rt(token)).unwrap_err(), ErrorKind::ClockSkew, "{behind} s");
        }
        nodes.first.pass(31);
        assert_eq!(nodes.second.attempt(rt(&first)).unwrap_err(), ErrorKind::ClockSkew);
        assert!(nodes.first.live(&second).is_ok(), "nothing was decided");
        nodes.second.revoke(&client(), rt(&second));
        assert!(nodes.first.live(&second).is_err(), "a revocation needs no clock");
    }
}

#[test]
fn leeway_at_another_server_grows_by_the_tolerance_alone() {
    let spent_for = |after: u64| {
        let nodes = Apart::new(RotationPolicy::standard(), 0);
        let first = nodes.first.login();
        nodes.first.refresh(rt(&first)).unwrap();
        nodes.pass(after);
        nodes.second.refresh(rt(&first)).is_ok()
    };
    assert!(spent_for(44));
    assert!(!spent_for(45));
}

/// A session is revoked while the application looks the user up: nothing is issued afterwards.
struct RevokedMeanwhile {
    other: Bench<Arc<MemoryStore>>,
}

impl GrantCheck for RevokedMeanwhile {
    fn check<'a>(
        &'a self,
        _: &'a TokenFamily,
        _: &'a Client,
    ) -> BoxFuture<'a, Result<GrantStatus, Box<dyn std::error::Error + Send + Sync>>> {
        Box::pin(async move {
            self.other.issuer.revoke_subject("user-1").await?;
            Ok(GrantStatus::Good)
        })
    }
}

fn revoked_meanwhile(policy: RotationPolicy, set_up: fn(&Bench<Arc<MemoryStore>>) -> String) -> Vec<Option<Reason>> {
    let store = Arc::new(MemoryStore::new());
    let bench = bench_on(Arc::clone(&store), keyring(), policy);
    let token = set_up(&bench);
    let other = bench.twin(Arc::clone(&store), keyring(), policy);
    let issuer = TokenIssuer::new(store, keyring())
        .with_policies(policy)
        .with_clock(bench.clock.clone())
        .with_audit(bench.audit.clone())
        .with_grant_check(RevokedMeanwhile { other });
    bench.told();
    let client = Client::confidential("client-1");
    let answer = verdict(block_on(issuer.refresh(&RefreshRequest::new(&client, &token))));
    assert_eq!(answer.unwrap_err(), ErrorCode::InvalidGrant);
    bench.told().into_iter().map(|(_, reason)| reason).collect()
}

#[test]
fn s79_retry_issues_nothing_after_a_revocation() {
    let reasons = revoked_meanwhile(RotationPolicy::standard(), |bench| {
        let first = bench.login();
        bench.refresh(rt(&first)).unwrap();
        rt(&first).to_owned()
    });
    assert!(matches!(reasons[..], [None, Some(Reason::Revoked(_))]), "{reasons:?}");
}

#[test]
fn s79_repeated_use_issues_nothing_after_a_revocation() {
    let reasons = revoked_meanwhile(RotationPolicy::reusable(), |bench| {
        let first = bench.login();
        rt(&confidential(bench, rt(&first)).unwrap()).to_owned()
    });
    assert!(matches!(reasons[..], [None, Some(Reason::Revoked(_))]), "{reasons:?}");
}

#[test]
fn s79_rotation_issues_nothing_after_a_revocation() {
    let reasons = revoked_meanwhile(RotationPolicy::standard(), |bench| rt(&bench.login()).to_owned());
    assert!(matches!(reasons[..], [None, Some(Reason::Revoked(_))]), "{reasons:?}");
}
