use mcp_token_lifecycle::{ErrorCode, MemoryStore, Reason, RedeemRequest, RefreshRequest, RotationPolicy};

use crate::support::*;

#[test]
fn s44_scope_subset_narrows_one_access_token_alone() {
    let bench = bench(RotationPolicy::standard());
    let (first, client) = (bench.login(), client());
    assert_eq!(bench.claims(&first).scope().as_str(), "mcp:read mcp:write");
    let second = bench.ask(RefreshRequest::new(&client, rt(&first)).scope("mcp:write")).unwrap();
    assert_eq!(second.scope.as_str(), "mcp:write");
    assert_eq!(bench.claims(&second).scope().as_str(), "mcp:write");
    let third = bench.refresh(rt(&second)).unwrap();
    assert_eq!(third.scope.as_str(), "mcp:read mcp:write");
    assert_eq!(bench.claims(&third).scope().as_str(), "mcp:read mcp:write");
    let fourth = bench.ask(RefreshRequest::new(&client, rt(&third)).scope("")).unwrap();
    assert_eq!(fourth.scope.as_str(), "mcp:read mcp:write", "an empty scope parameter asks for nothing in particular");
}

#[test]
fn s45_scope_superset_is_invalid_scope_and_spends_no_token() {
    let bench = bench_on(FlakyStore::new(MemoryStore::new()), keyring(), RotationPolicy::standard());
    let (first, client) = (bench.login(), client());
    bench.issuer.store().operations();
    bench.told();
    for scope in ["mcp:read mcp:write mcp:admin", "mcp:admin", "mcp:read\u{7f}", "mcp:\"read\""] {
        let answer = bench.ask(RefreshRequest::new(&client, rt(&first)).scope(scope));
        assert_eq!(answer.unwrap_err(), ErrorCode::InvalidScope);
    }
    assert_eq!(bench.told(), [("deny", Some(Reason::ScopeExceeded)); 4]);
    assert!(!bench.issuer.store().operations().contains(&Op::Commit));
    assert!(!bench.refresh(rt(&first)).unwrap().retry);
}

#[test]
fn s45_a_code_survives_a_wrong_scope_too() {
    let bench = bench(RotationPolicy::standard());
    let (code, client) = (bench.code(), client());
    let request = RedeemRequest::new(&client, &code, REDIRECT, VERIFIER);
    let answer = verdict(block_on(bench.issuer.redeem(&request.scope("mcp:admin"))));
    assert_eq!(answer.unwrap_err(), ErrorCode::InvalidScope);
    assert!(!bench.redeem(&code).unwrap().retry);
}

#[test]
fn s45_a_wrong_scope_does_not_hide_reuse() {
    let bench = bench(RotationPolicy::standard());
    let (first, client) = (bench.login(), client());
    let second = bench.refresh(rt(&first)).unwrap();
    bench.pass(30);
    bench.told();
    let answer = bench.ask(RefreshRequest::new(&client, rt(&first)).scope("mcp:admin"));
    assert_eq!(answer.unwrap_err(), ErrorCode::InvalidGrant);
    assert_eq!(bench.told(), [("reuse_revoke_family", Some(Reason::SpentToken))]);
    assert!(bench.live(&second).is_err());
}

/// spec: RFC 9700 §4.14.2 b
/// spec: RFC 8707 §2.2 b
#[test]
fn s46_resource_not_granted_is_invalid_target_and_spends_none() {
    let bench = bench_on(FlakyStore::new(MemoryStore::new()), keyring(), RotationPolicy::standard());
    let (first, client) = (bench.login(), client());
    bench.issuer.store().operations();
    bench.told();
    for uri in
        ["https://other.example.com/mcp", "https://mcp.example.com/mcp/", "no uri", "https://mcp.example.com/mcp#a"]
    {
        let request = RefreshRequest::new(&client, rt(&first)).resource(RESOURCE).resource(uri);
        assert_eq!(bench.ask(request).unwrap_err(), ErrorCode::InvalidTarget, "{uri}");
    }
    assert_eq!(bench.told(), [("deny", Some(Reason::ResourceNotGranted)); 4]);
    assert!(!bench.issuer.store().operations().contains(&Op::Commit));
    let second = bench.refresh(rt(&first)).unwrap();
    assert!(!second.retry);
    assert_eq!(bench.claims(&second).audience(), [resource()]);
}

/// spec: MCP authorization §Canonical Server URI a
#[test]
fn s46_resource_takes_scheme_and_host_in_capitals() {
    let bench = bench(RotationPolicy::standard());
    let (first, client) = (bench.login(), client());
    let request = RefreshRequest::new(&client, rt(&first)).resource("HTTPS://MCP.Example.com/mcp");
    assert_eq!(bench.claims(&bench.ask(request).unwrap()).audience(), [resource()]);
}
