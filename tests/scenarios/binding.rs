use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use mcp_token_lifecycle::{
    AuthorizeRequest, Binding, BoxFuture, Client, Clock, CodeChallenge, ErrorCode, Expectation, GrantCheck,
    GrantStatus, MemoryStore, Reason, RedeemRequest, RefreshRequest, RotationPolicy, TokenFamily, VerifyError,
};

use crate::support::forge::{Forge, TestRng, bytes_of, tampered};
use crate::support::*;

/// A grant check that withdraws what is on its list: a subject, a client or a session.
#[derive(Clone, Default)]
pub struct Withdrawn(pub Arc<Mutex<HashSet<String>>>);

impl Withdrawn {
    pub fn withdraw(&self, name: &str) {
        self.0.lock().unwrap().insert(name.to_owned());
    }

    pub fn restore(&self) {
        self.0.lock().unwrap().clear();
    }
}

impl GrantCheck for Withdrawn {
    fn check<'a>(
        &'a self,
        family: &'a TokenFamily,
        client: &'a Client,
    ) -> BoxFuture<'a, Result<GrantStatus, Box<dyn std::error::Error + Send + Sync>>> {
        Box::pin(async move {
            let grant = family.grant();
            let session = grant.claims().get("session").map_or("", String::as_str);
            let listed = self.0.lock().unwrap();
            let names = [grant.subject(), client.id(), session];
            let withdrawn = names.iter().any(|name| listed.contains(*name));
            Ok(if withdrawn { GrantStatus::Withdrawn } else { GrantStatus::Good })
        })
    }
}

pub fn bench_with_check(check: &Withdrawn) -> Bench<FlakyStore<MemoryStore>> {
    let mut bench = bench_on(FlakyStore::new(MemoryStore::new()), keyring(), RotationPolicy::standard());
    bench.issuer = bench.issuer.with_grant_check(check.clone());
    bench
}

/// spec: OAuth 2.1 §4.3 c
#[test]
fn s37_other_client_gets_invalid_grant_and_changes_nothing() {
    let bench = bench_on(FlakyStore::new(MemoryStore::new()), keyring(), RotationPolicy::standard());
    let first = bench.login();
    bench.pass(60);
    let second = bench.refresh(rt(&first)).unwrap();
    bench.pass(60);
    bench.issuer.store().operations();
    bench.told();
    let thief = Client::confidential("client-2");
    for token in [&first, &second] {
        let answer = bench.ask(RefreshRequest::new(&thief, rt(token)));
        assert_eq!(answer.unwrap_err(), ErrorCode::InvalidGrant);
    }
    assert_eq!(bench.told(), [("deny", Some(Reason::WrongClient)); 2]);
    assert_eq!(bench.issuer.store().operations(), [Op::Get; 2], "nothing was written");
    assert!(!bench.refresh(rt(&second)).unwrap().retry);
}

#[test]
fn s37_another_client_cannot_redeem_a_code_nor_spend_it() {
    let bench = bench(RotationPolicy::standard());
    let code = bench.code();
    let thief = Client::public("client-2");
    let answer = verdict(block_on(bench.issuer.redeem(&RedeemRequest::new(&thief, &code, REDIRECT, VERIFIER))));
    assert_eq!(answer.unwrap_err(), ErrorCode::InvalidGrant);
    assert!(!bench.redeem(&code).unwrap().retry);
}

/// spec: OAuth 2.1 §4.3 e
/// spec: RFC 9700 §4.14.2 f
#[test]
fn s38_a_token_with_any_byte_turned_is_refused_without_a_write() {
    let bench = bench_on(FlakyStore::new(MemoryStore::new()), keyring(), RotationPolicy::standard());
    let first = bench.login();
    let second = bench.refresh(rt(&first)).unwrap();
    bench.told();
    let store = bench.issuer.store();
    store.operations();
    // The guard covers what stands before the masked time of issue, which the MAC covers.
    let (head, masked, guard, all) = (29, 8, 9, bytes_of(rt(&second)).len());
    let is_guarded = |at| at < head || (head + masked..head + masked + guard).contains(&at);
    for at in 0..all {
        assert_eq!(bench.refresh(&tampered(rt(&second), at)).unwrap_err(), ErrorCode::InvalidGrant, "byte {at}");
        let (asked, reason) =
            if is_guarded(at) { (vec![], Reason::Malformed) } else { (vec![Op::Get], Reason::Forged) };
        assert_eq!(store.operations(), asked, "byte {at}");
        assert_eq!(bench.told(), [("deny", Some(reason))], "byte {at}");
    }
    assert!(!bench.refresh(rt(&second)).unwrap().retry);
}

/// spec: OAuth 2.1 §4.3 e
#[test]
fn s38_token_forged_without_the_familys_secret_is_refused() {
    let bench = bench_on(FlakyStore::new(MemoryStore::new()), keyring(), RotationPolicy::standard());
    let first = bench.login();
    let forge = |secret| Forge {
        master: [7; 32],
        key_id: 1,
        family: bench.family(&first),
        generation: 0,
        issued_at: bench.audit.events()[0].at,
        secret,
    };
    let stale = Forge { generation: 1, ..forge([0; 32]) }.token();
    bench.told();
    assert_eq!(bench.refresh(&stale).unwrap_err(), ErrorCode::InvalidGrant);
    assert_eq!(bench.redeem(&forge([0; 32]).token()).unwrap_err(), ErrorCode::InvalidGrant);
    bench.revoke(&client(), &stale);
    let told = bench.told();
    assert_eq!(told[..2], [("deny", Some(Reason::Forged)); 2]);
    assert_eq!(told[2].0, "deny");
    assert!(!bench.introspect(&stale).is_active());
    assert!(bench.refresh(rt(&first)).is_ok());
}

/// spec: OAuth 2.1 §4.3.1 e
#[test]
fn s38_a_token_of_one_family_does_not_pass_for_another() {
    let entropy = TestRng::default();
    let mut bench = bench(RotationPolicy::standard());
    bench.issuer = bench.issuer.with_rng(FillRng(entropy.clone()));
    let (own, other) = (bench.begin(grant_of("attacker", "client-1")), bench.begin(grant()));
    let forge = Forge {
        master: [7; 32],
        key_id: 1,
        family: bench.family(&other),
        generation: 1,
        issued_at: bench.audit.events()[0].at,
        secret: entropy.family_secret(),
    };
    let own_family = bench.family(&own);
    assert_eq!(Forge { family: own_family, ..forge }.token(), rt(&own));
    let crossed = Forge { family: bench.family(&other), secret: entropy.family_secret(), ..forge }.token();
    bench.told();
    assert_eq!(bench.refresh(&crossed).unwrap_err(), ErrorCode::InvalidGrant);
    assert_eq!(bench.told(), [("deny", Some(Reason::Forged))]);
}

#[test]
fn s38_a_code_is_no_refresh_token_and_a_refresh_token_no_code() {
    let bench = bench_on(FlakyStore::new(MemoryStore::new()), keyring(), RotationPolicy::standard());
    let code = bench.code();
    let first = bench.redeem(&code).unwrap();
    bench.issuer.store().operations();
    let swapped = format!("mcprt_{}", &code[6..]);
    for token in [code.as_str(), swapped.as_str(), first.access_token.expose(), "", "mcprt_", "mcprt_ä"] {
        assert_eq!(bench.refresh(token).unwrap_err(), ErrorCode::InvalidGrant);
    }
    assert_eq!(bench.redeem(rt(&first)).unwrap_err(), ErrorCode::InvalidGrant);
    assert_eq!(bench.issuer.store().operations(), []);
}

#[test]
fn s39_an_over_long_token_is_refused_before_the_store_is_asked() {
    let bench = bench_on(FlakyStore::new(MemoryStore::new()), keyring(), RotationPolicy::standard());
    let first = bench.login();
    bench.issuer.store().operations();
    bench.told();
    let long = format!("{}{}", rt(&first), "A".repeat(1 << 20));
    assert_eq!(bench.refresh(&long).unwrap_err(), ErrorCode::InvalidGrant);
    assert_eq!(bench.redeem(&long.replace("mcprt_", "mcpac_")).unwrap_err(), ErrorCode::InvalidGrant);
    assert_eq!(bench.told(), [("deny", Some(Reason::Malformed)); 2]);
    let access = format!("{}{}", first.access_token.expose(), "A".repeat(1 << 20));
    assert!(!bench.introspect(&long).is_active());
    assert!(!bench.introspect(&access).is_active());
    bench.revoke(&client(), &long);
    assert_eq!(bench.issuer.store().operations(), []);
}

const KEY: Binding = Binding::DpopKey([1; 32]);
const OTHER_KEY: Binding = Binding::DpopKey([2; 32]);

/// Other keys, other kinds of the same bytes, and none at all.
fn wrong_bindings() -> [Option<Binding>; 4] {
    [None, Some(OTHER_KEY), Some(Binding::Certificate([1; 32])), Some(Binding::Fingerprint([1; 32]))]
}

/// spec: OAuth 2.1 §4.3 d
/// spec: RFC 9700 §4.14.2 e
#[test]
fn s40_bound_token_without_its_proof_is_refused_and_not_spent() {
    let bench = bench_on(FlakyStore::new(MemoryStore::new()), keyring(), RotationPolicy::standard());
    let client = client();
    let first = block_on(bench.issuer.issue(grant(), Some(KEY))).unwrap();
    assert_eq!(first.token_type.as_str(), "DPoP");
    let ask = |token: &str, binding: Option<Binding>| {
        let request = RefreshRequest::new(&client, token);
        bench.ask(if let Some(binding) = binding { request.binding(binding) } else { request })
    };
    for wrong in wrong_bindings() {
        assert_eq!(ask(rt(&first), wrong).unwrap_err(), ErrorCode::InvalidGrant);
    }
    let second = ask(rt(&first), Some(KEY)).unwrap();
    assert!(!second.retry, "it was not consumed");
    bench.told();
    for wrong in wrong_bindings() {
        assert_eq!(ask(rt(&first), wrong).unwrap_err(), ErrorCode::InvalidGrant, "a retry needs the proof too");
    }
    bench.pass(60);
    bench.issuer.store().operations();
    for wrong in wrong_bindings() {
        assert_eq!(ask(rt(&first), wrong).unwrap_err(), ErrorCode::InvalidGrant, "reuse needs the proof too");
    }
    assert_eq!(bench.told(), [("deny", Some(Reason::WrongBinding)); 8]);
    assert!(!bench.issuer.store().operations().contains(&Op::Commit));
    assert!(!ask(rt(&second), Some(KEY)).unwrap().retry);
}

#[test]
fn s40_a_bound_access_token_is_refused_without_its_key() {
    let bench = bench(RotationPolicy::standard());
    let first = block_on(bench.issuer.issue(grant(), Some(KEY))).unwrap();
    let here = resource();
    let verify = |binding: Option<&Binding>| {
        let expect = Expectation::resource(&here);
        let expect = if let Some(binding) = binding { expect.binding(binding) } else { expect };
        let now = bench.clock.now();
        bench.issuer.verifier().verify(first.access_token.expose(), &expect, now).map(drop)
    };
    for wrong in wrong_bindings() {
        assert_eq!(verify(wrong.as_ref()), Err(VerifyError::Binding));
    }
    assert_eq!(verify(Some(&KEY)), Ok(()));
}

#[test]
fn s40_first_proof_at_redemption_binds_the_family() {
    let bench = bench(RotationPolicy::standard());
    let (code, client) = (bench.code(), client());
    let redeem = RedeemRequest::new(&client, &code, REDIRECT, VERIFIER);
    let first = verdict(block_on(bench.issuer.redeem(&redeem.clone().binding(KEY)))).unwrap();
    assert_eq!(verdict(block_on(bench.issuer.redeem(&redeem))).unwrap_err(), ErrorCode::InvalidGrant);
    assert_eq!(bench.refresh(rt(&first)).unwrap_err(), ErrorCode::InvalidGrant);
    let second = bench.ask(RefreshRequest::new(&client, rt(&first)).binding(KEY)).unwrap();
    assert_eq!(bench.refresh(rt(&second)).unwrap_err(), ErrorCode::InvalidGrant);
}

#[test]
fn s40_a_code_bound_to_a_key_is_redeemed_with_that_key_alone() {
    let bench = bench(RotationPolicy::standard());
    let request = AuthorizeRequest::new(grant(), CodeChallenge::of_verifier(VERIFIER), REDIRECT).binding(KEY);
    let code = block_on(bench.issuer.authorize(request)).unwrap();
    let client = client();
    let redeem = RedeemRequest::new(&client, code.expose(), REDIRECT, VERIFIER);
    assert_eq!(bench.redeem(code.expose()).unwrap_err(), ErrorCode::InvalidGrant);
    let other = verdict(block_on(bench.issuer.redeem(&redeem.clone().binding(OTHER_KEY))));
    assert_eq!(other.unwrap_err(), ErrorCode::InvalidGrant);
    assert!(!verdict(block_on(bench.issuer.redeem(&redeem.binding(KEY)))).unwrap().retry);
}

#[test]
fn s40_unbound_family_is_not_bound_by_a_later_proof() {
    let bench = bench(RotationPolicy::standard());
    let (first, client) = (bench.login(), client());
    let second = bench.ask(RefreshRequest::new(&client, rt(&first)).binding(KEY)).unwrap();
    assert_eq!(second.token_type.as_str(), "Bearer");
    assert!(bench.refresh(rt(&second)).is_ok());
}

#[test]
fn s42_withdrawn_client_is_refused_and_its_token_not_spent() {
    let check = Withdrawn::default();
    let bench = bench_with_check(&check);
    let first = bench.login();
    check.withdraw("client-1");
    bench.told();
    assert_eq!(bench.refresh(rt(&first)).unwrap_err(), ErrorCode::InvalidGrant);
    assert_eq!(bench.told(), [("deny", Some(Reason::GrantWithdrawn))]);
    check.restore();
    let second = bench.refresh(rt(&first)).unwrap();
    assert!(!second.retry);
    check.withdraw("client-1");
    assert_eq!(bench.refresh(rt(&first)).unwrap_err(), ErrorCode::InvalidGrant, "not even a retry");
}

#[test]
fn s43_a_disabled_user_is_refused_without_a_write() {
    let check = Withdrawn::default();
    let bench = bench_with_check(&check);
    let (first, code) = (bench.login(), bench.code());
    let other = bench.begin(grant_of("user-2", "client-1"));
    check.withdraw("user-1");
    bench.issuer.store().operations();
    assert_eq!(bench.refresh(rt(&first)).unwrap_err(), ErrorCode::InvalidGrant);
    assert_eq!(bench.redeem(&code).unwrap_err(), ErrorCode::InvalidGrant);
    assert_eq!(bench.issuer.store().operations(), [Op::Get; 2]);
    assert!(bench.refresh(rt(&other)).is_ok());
}

#[test]
fn s43_the_event_of_a_withdrawn_grant_names_the_family() {
    let check = Withdrawn::default();
    let bench = bench_with_check(&check);
    let first = bench.login();
    check.withdraw("user-1");
    bench.told();
    let _ = bench.refresh(rt(&first));
    let event = bench.audit.take().remove(0);
    assert_eq!(event.family, Some(bench.family(&first)));
    assert_eq!(event.subject.as_deref(), Some("user-1"));
    assert_eq!(event.generation, Some(1), "as it is, not as it would have been");
}
