//! One session, from login to theft.

mod support;

use mcp_token_lifecycle::{Action, ErrorCode, Expectation, RotationPolicy};
use support::*;

#[test]
fn session_runs_from_login_over_retry_to_reuse() {
    let bench = bench(RotationPolicy::standard());
    let first = bench.login();
    let here = resource();
    let claims = block_on(bench.issuer.verify_live(first.access_token.expose(), &Expectation::resource(&here)));
    assert_eq!(claims.unwrap().subject(), "user-1");

    bench.pass(60);
    let second = bench.refresh(first.refresh_token.expose()).unwrap();
    bench.pass(10);
    let retried = bench.refresh(first.refresh_token.expose()).unwrap();
    assert!(retried.retry);
    assert_eq!(retried.refresh_token.expose(), second.refresh_token.expose());

    bench.pass(60);
    assert_eq!(bench.refresh(first.refresh_token.expose()).unwrap_err(), ErrorCode::InvalidGrant);
    assert_eq!(bench.refresh(second.refresh_token.expose()).unwrap_err(), ErrorCode::InvalidGrant);
    let acts: Vec<_> = bench.audit.events().iter().map(|e| e.action.as_str()).collect();
    assert_eq!(acts, ["authorize", "redeem", "rotate", "retry", "reuse_revoke_family", "deny"]);
    assert!(matches!(bench.audit.events()[4].action, Action::Reuse(_)));
}
