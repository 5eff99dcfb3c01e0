use std::collections::HashSet;

use mcp_token_lifecycle::{
    Client, ErrorCode, IntrospectionResponse, MemoryStore, OnAhead, Reason, RefreshRequest, RotationPolicy, Select,
    Timestamp, TokenResponse, TokenStore,
};

use crate::support::forge::{Forge, TestRng};
use crate::support::*;

/// spec: RFC 9700 §4.14.2 c
#[test]
fn s01_rotation_works_300_times_and_keeps_the_record_size() {
    let bench = bench(RotationPolicy::standard());
    let mut current = bench.login();
    let (mut seen, mut sizes) = (HashSet::new(), HashSet::new());
    for generation in 2..=301 {
        bench.pass(60);
        let next = bench.refresh(rt(&current)).unwrap();
        assert!(!next.retry);
        assert!(seen.insert(rt(&next).to_owned()), "every refresh token is new");
        assert_eq!(rt(&next).len(), "mcprt_".len() + 104);
        assert_eq!(bench.claims(&next).generation(), generation);
        assert!(bench.live(&next).is_ok());
        let page = block_on(bench.issuer.store().list(Select::All, None, 10)).unwrap();
        assert_eq!(page.records.len(), 1);
        if generation > 2 {
            sizes.insert(page.records[0].payload.len());
        }
        current = next;
    }
    assert_eq!(sizes.len(), 1, "a record of constant size: {sizes:?}");
}

/// A family at generation 1, and the means to make any token of it.
fn forged(generation: u64) -> (Bench<MemoryStore>, TokenResponse, String) {
    let entropy = TestRng::default();
    let mut bench = bench(policy(|p| p.on_ahead(OnAhead::FastForward)));
    bench.issuer = bench.issuer.with_rng(FillRng(entropy.clone()));
    let first = bench.begin(grant());
    let forge = |generation| Forge {
        master: [7; 32],
        key_id: 1,
        family: bench.family(&first),
        generation,
        issued_at: bench.audit.events()[0].at,
        secret: entropy.family_secret(),
    };
    assert_eq!(forge(1).token(), rt(&first), "the description of the format is the format");
    let token = forge(generation).token();
    (bench, first, token)
}

#[test]
fn s02_last_generation_is_refused_and_changes_nothing() {
    let (bench, first, last) = forged(u64::MAX);
    bench.told();
    assert_eq!(bench.refresh(&last).unwrap_err(), ErrorCode::InvalidGrant);
    assert_eq!(bench.told(), [("deny", Some(Reason::Exhausted))]);
    assert!(!bench.refresh(rt(&first)).unwrap().retry);
}

#[test]
fn s02_generation_beyond_the_signed_range_rotates() {
    let (bench, _, far) = forged(i64::MAX as u64);
    let next = bench.refresh(&far).unwrap();
    assert_eq!(bench.claims(&next).generation(), i64::MAX as u64 + 1);
    assert_eq!(bench.claims(&bench.refresh(rt(&next)).unwrap()).generation(), i64::MAX as u64 + 2);
}

#[test]
fn s02_a_made_up_counter_is_malformed_and_no_overflow() {
    let (bench, ..) = forged(1);
    bench.told();
    let forge = Forge {
        master: [8; 32],
        key_id: 1,
        family: bench.family(&bench.begin(grant())),
        generation: u64::MAX,
        issued_at: Timestamp::from_unix(u64::MAX),
        secret: [0; 32],
    };
    bench.told();
    assert_eq!(bench.refresh(&forge.token()).unwrap_err(), ErrorCode::InvalidGrant);
    assert_eq!(bench.told(), [("deny", Some(Reason::Malformed))]);
}

/// spec: OAuth 2.1 §4.3.3 a
#[test]
fn s03_refresh_token_keeps_the_scope_its_access_token_narrows() {
    let bench = bench(RotationPolicy::standard());
    let first = bench.login();
    let client = client();
    let narrowed = bench.ask(RefreshRequest::new(&client, rt(&first)).scope("mcp:read")).unwrap();
    assert_eq!(bench.claims(&narrowed).scope().as_str(), "mcp:read");
    match bench.introspect(rt(&narrowed)) {
        IntrospectionResponse::Refresh { scope, .. } => assert_eq!(scope.as_str(), "mcp:read mcp:write"),
        other => panic!("not a live refresh token: {other:?}"),
    }
}

#[test]
fn s04_rotation_works_after_everything_that_expired_was_purged() {
    let bench = bench(RotationPolicy::standard());
    let first = bench.login();
    let second = bench.refresh(rt(&first)).unwrap();
    bench.pass(2 * 60 * 60);
    assert!(bench.live(&second).is_err(), "the access token has expired");
    assert_eq!(block_on(bench.issuer.purge()).unwrap(), 0);
    assert!(bench.live(&bench.refresh(rt(&second)).unwrap()).is_ok());
}

#[test]
fn s05_rotation_does_not_change_when_the_family_was_created() {
    let bench = bench(RotationPolicy::standard());
    let mut current = bench.login();
    let created = block_on(bench.issuer.list_families("user-1")).unwrap()[0].created_at();
    for _ in 0..3 {
        bench.pass(3600);
        current = bench.refresh(rt(&current)).unwrap();
    }
    let families = block_on(bench.issuer.list_families("user-1")).unwrap();
    assert_eq!(families.len(), 1);
    assert_eq!(families[0].created_at(), created);
    assert_eq!(families[0].rotated_at().since(created), seconds(3 * 3600));
}

#[test]
fn s06_subject_client_and_claims_persist_through_rotation() {
    let bench = bench(RotationPolicy::standard());
    let grant = grant().with_claim("auth_time", "1799999999").unwrap().with_claim("tenant", "acme").unwrap();
    let mut current = bench.begin(grant);
    for _ in 0..3 {
        bench.pass(3600);
        current = bench.refresh(rt(&current)).unwrap();
    }
    let claims = bench.claims(&current);
    assert_eq!((claims.subject(), claims.client_id()), ("user-1", "client-1"));
    assert_eq!(claims.claims()["auth_time"], "1799999999");
    assert_eq!(claims.claims()["tenant"], "acme");
    assert_eq!(claims.claims().len(), 2);
}

#[test]
fn s07_refresh_without_rotation_returns_the_same_token() {
    let bench = bench(RotationPolicy::reusable());
    let first = bench.login();
    let client = Client::confidential("client-1");
    for _ in 0..3 {
        bench.pass(3600);
        let again = bench.ask(RefreshRequest::new(&client, rt(&first))).unwrap();
        assert_eq!(rt(&again), rt(&first));
        assert!(!again.retry);
        assert!(bench.live(&again).is_ok());
    }
}
