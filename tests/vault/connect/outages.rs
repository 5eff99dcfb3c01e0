//! The store, the service and the process fail: what is spent, what can be tried again, and what is never lost.

use mcp_token_lifecycle::vault::*;

use crate::support::{Fault, Op};
use crate::world::*;

#[test]
fn begin_connect_without_a_store_is_a_fault() {
    for (skip, fault) in [(0, Fault::Unavailable), (0, Fault::UncertainUndone), (0, Fault::UncertainDone)] {
        let world = world();
        world.store.fail_after(skip, fault);
        let user = alice();
        let error = world.sim.run(world.vault.begin_connect(&request(&user))).unwrap_err();
        assert_eq!(error.status(), 503);
        assert_eq!(world.told(), [("upstream_connect_failed", Some("fault"))]);
    }
}

#[test]
fn complete_connect_without_a_store_consumes_nothing() {
    // The look, and the write.
    for skip in [0, 1] {
        let world = world();
        let state = world.begin();
        world.store.fail_after(skip, Fault::Unavailable);
        let error = world.complete(&good(&state)).unwrap_err();
        assert_eq!(error.status(), 503);
        assert!(matches!(&error, ConnectError::Fault(fault) if fault.kind() == VaultErrorKind::StoreUnavailable));
        assert_eq!(world.told(), [("upstream_connect_failed", Some("fault"))]);
        assert!(world.script.sent().is_empty());
        world.script.will(Reply::Json(200, TOKENS));
        assert!(world.complete(&good(&state)).unwrap().is_connected(), "operation {skip}");
    }
}

#[test]
fn complete_connect_looks_after_an_unconfirmed_write() {
    for fault in [Fault::UncertainDone, Fault::UncertainUndone] {
        let world = world();
        let state = world.begin();
        world.script.will(Reply::Json(200, TOKENS));
        world.store.fail_after(1, fault);
        assert!(world.complete(&good(&state)).unwrap().is_connected(), "{fault:?}");
        assert_eq!(world.script.sent().len(), 1);
        assert!(matches!(world.complete(&good(&state)), Err(ConnectError::Replayed)));
    }
}

#[test]
fn complete_connect_that_stays_unconfirmed_sends_nothing() {
    let world = world();
    let state = world.begin();
    world.store.fail_every(Op::Commit, Fault::UncertainUndone);
    let error = world.complete(&good(&state)).unwrap_err();
    assert!(matches!(&error, ConnectError::Fault(fault) if fault.kind() == VaultErrorKind::StoreUncertain));
    assert!(world.script.sent().is_empty());
}

#[test]
fn failed_exchange_is_reported_and_cannot_be_replayed() {
    for (reply, reason, wanted) in [
        (Reply::Json(400, r#"{"error":"invalid_grant"}"#), "upstream_invalid_grant", 400),
        (Reply::Json(401, r#"{"error":"invalid_client"}"#), "upstream_configuration", 502),
        (Reply::Json(400, r#"{"error":"odd"}"#), "upstream_refused", 502),
        (Reply::Json(503, ""), "upstream_unavailable", 502),
        (Reply::Json(500, ""), "upstream_uncertain", 502),
        (Reply::Json(200, "{}"), "upstream_uncertain", 502),
        (Reply::Json(200, r#"{"refresh_token":"r"}"#), "upstream_uncertain", 502),
        (Reply::Lost, "upstream_uncertain", 502),
        (Reply::Never, "upstream_uncertain", 502),
    ] {
        let world = world();
        let state = world.begin();
        world.script.will(reply);
        let error = world.complete(&good(&state)).unwrap_err();
        assert_eq!(error.status(), wanted, "{reason}: {error:?}");
        assert_eq!(world.told(), [("upstream_connect_failed", Some(reason))]);
        assert!(matches!(world.complete(&good(&state)), Err(ConnectError::Replayed)), "{reason}");
        assert_eq!(world.script.sent().len(), 1);
        assert!(matches!(world.lease(&need()), Err(LeaseError::NotFound { .. })));
    }
}

#[test]
fn failed_exchange_leaves_the_old_credential() {
    let world = world();
    for (reply, succeeds) in [(Reply::Json(200, TOKENS), true), (Reply::Lost, false)] {
        let state = world.begin();
        world.script.will(reply);
        assert_eq!(world.complete(&good(&state)).is_ok(), succeeds);
        assert_eq!(world.lease(&need()).unwrap(), ACCESS);
    }
}

#[test]
fn error_callback_of_the_service_is_a_failure_of_the_service() {
    for (code, reason) in [
        ("temporarily_unavailable", "upstream_unavailable"),
        ("server_error", "upstream_unavailable"),
        ("invalid_scope", "upstream_configuration"),
        ("unauthorized_client", "upstream_configuration"),
        ("something_else", "upstream_refused"),
    ] {
        let world = world();
        let state = world.begin();
        let error = world.complete(&format!("error={code}&state={state}")).unwrap_err();
        assert!(matches!(error, ConnectError::Service(_)), "{code}");
        assert_eq!(world.told(), [("upstream_connect_failed", Some(reason))]);
        assert!(world.script.sent().is_empty());
    }
}

#[test]
fn new_tokens_are_stored_when_the_store_is_back() {
    let world = world();
    let state = world.begin();
    world.script.will(Reply::Json(200, TOKENS));
    // Behind the look and the write that spends it.
    (2..20).for_each(|skip| world.store.fail_after(skip, Fault::Unavailable));
    assert!(world.complete(&good(&state)).unwrap().is_connected());
    assert_eq!(world.told(), [("upstream_put", None)]);
    assert_eq!(world.lease(&need()).unwrap(), ACCESS);
    assert_eq!(world.script.sent().len(), 1);
}

#[test]
fn tokens_that_cannot_be_stored_are_revoked_at_the_service() {
    let world = world();
    let state = world.begin();
    world.script.will(Reply::Json(200, TOKENS));
    world.script.will(Reply::Json(200, ""));
    (2..200).for_each(|skip| world.store.fail_after(skip, Fault::Unavailable));
    let error = world.complete(&good(&state)).unwrap_err();
    assert_eq!(error.status(), 503);
    assert_eq!(world.told(), [("upstream_connect_failed", Some("fault"))]);
    let sent = world.script.sent();
    assert_eq!((sent[1].0.as_str(), sent[1].1["token"].as_str()), ("/revoke", REFRESH));
    assert!(matches!(world.complete(&good(&state)), Err(ConnectError::Fault(_) | ConnectError::Replayed)));
}

#[test]
fn tokens_that_may_be_stored_are_not_revoked() {
    let world = world();
    let state = world.begin();
    world.script.will(Reply::Json(200, TOKENS));
    // The look of the vault at the slot succeeds; the write and the look after it do not.
    world.sim.run(world.vault.list("alice")).unwrap();
    world.store.fail_after(3, Fault::UncertainDone);
    world.store.fail_after(4, Fault::Unavailable);
    let error = world.complete(&good(&state)).unwrap_err();
    assert!(
        matches!(&error, ConnectError::Fault(fault) if fault.kind() == VaultErrorKind::StoreUncertain),
        "{error:?}"
    );
    assert_eq!(world.script.sent().len(), 1);
    assert_eq!(world.lease(&need()).unwrap(), ACCESS);
}

#[test]
fn oversized_tokens_are_revoked_and_not_put() {
    let world = world();
    let state = world.begin();
    let long = "x".repeat(13_000);
    let body = format!(r#"{{"access_token":"{long}","token_type":"bearer"}}"#);
    world.script.will(Reply::Json(200, body.leak()));
    world.script.will(Reply::Json(200, ""));
    let error = world.complete(&good(&state)).unwrap_err();
    assert!(matches!(&error, ConnectError::Fault(fault) if fault.kind() == VaultErrorKind::TooLarge), "{error:?}");
    assert_eq!(world.script.sent().len(), 2);
}

/// How often the code was sent to the service.
fn exchanges(world: &World) -> usize {
    world.script.sent().iter().filter(|(path, _)| path == "/token").count()
}

/// The service issues tokens, revokes them, and issues tokens again.
fn ready(world: &World) {
    world.script.will(Reply::Json(200, TOKENS));
    world.script.will(Reply::Json(200, TOKENS));
}

/// After `state`, whose code was sent `sent` times, the user connects once more if necessary.
fn ends_connected(world: &World, state: &str, was_connected: bool) {
    world.store.heal();
    let again = world.complete(&good(state));
    match &again {
        Ok(outcome) => assert!(outcome.is_connected() && !was_connected),
        Err(error) => assert!(matches!(error, ConnectError::Replayed), "{error:?}"),
    }
    assert!(exchanges(world) <= 1, "the code was sent twice");
    if world.lease(&need()).is_err() {
        let state = world.begin();
        world.script.will(Reply::Json(200, TOKENS));
        assert!(world.complete(&good(&state)).unwrap().is_connected());
    }
    assert_eq!(world.lease(&need()).unwrap(), ACCESS);
}

#[test]
fn complete_connect_with_a_fault_at_any_operation_sends_the_code_once() {
    for fault in [Fault::Unavailable, Fault::UncertainDone, Fault::UncertainUndone, Fault::Conflict] {
        for skip in 0..8 {
            let world = world();
            let state = world.begin();
            ready(&world);
            world.store.fail_after(skip, fault);
            let outcome = world.complete(&good(&state));
            ends_connected(&world, &state, outcome.is_ok());
        }
    }
}

#[test]
fn complete_connect_that_is_dropped_or_killed_sends_the_code_once() {
    for is_killed in [false, true] {
        for rounds in 0..6 {
            let world = world();
            let state = world.begin();
            ready(&world);
            let (user, query) = (alice(), good(&state));
            let callback = Callback::new(&user, REDIRECT, &query);
            let outcome = world.sim.run_for(world.vault.complete_connect(&callback), rounds);
            if is_killed {
                world.sim.crash()
            } else {
                world.sim.settle()
            }
            ends_connected(&world, &state, matches!(outcome, Some(Ok(_))));
        }
    }
}
