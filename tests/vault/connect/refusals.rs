//! What is refused: the service is sent nothing, and the audit has an event with the reason.

use mcp_token_lifecycle::vault::*;

use crate::support::Fault;
use crate::world::*;

/// The refusal of a callback, which must be reported as `reason` and must send nothing to the service.
fn refused(world: &World, user: &BrowserUser, query: &str, reason: &str) -> ConnectError {
    let error = world.complete_as(user, query).unwrap_err();
    let told = world.told();
    assert_eq!(told, [("upstream_connect_refused", Some(reason))].map(|(act, reason)| (act, reason)), "{query}");
    assert!(world.script.sent().is_empty(), "{query}");
    assert!(world.sim.run(world.vault.list("alice")).unwrap().is_empty());
    error
}

/// The authorization with this state is still open.
fn is_open(world: &World, state: &str) {
    world.script.will(Reply::Json(200, TOKENS));
    assert!(world.complete(&good(state)).unwrap().is_connected());
}

#[test]
fn complete_connect_refuses_another_users_callback() {
    let world = world();
    let state = world.begin();
    let error = refused(&world, &bob(), &good(&state), "connect_other_subject");
    assert!(matches!(error, ConnectError::OtherSubject));
    assert_eq!(error.status(), 403);
    // With the same cookie too.
    let forged = BrowserUser::new("bob", "the-session-cookie-of-alice");
    refused(&world, &forged, &good(&state), "connect_other_subject");
    is_open(&world, &state);
}

#[test]
fn complete_connect_refuses_another_browser_of_the_user() {
    let world = world();
    let state = world.begin();
    for session in ["", "another session", "the-session-cookie-of-alic", "the-session-cookie-of-alice "] {
        let elsewhere = BrowserUser::new("alice", session);
        let error = refused(&world, &elsewhere, &good(&state), "connect_other_browser");
        assert!(matches!(error, ConnectError::OtherBrowser));
    }
    is_open(&world, &state);
}

#[test]
fn complete_connect_refuses_a_replay() {
    let world = world();
    let state = world.begin();
    is_open(&world, &state);
    world.told();
    world.script.sent();
    for query in [good(&state), format!("error=access_denied&state={state}")] {
        let error = world.complete(&query).unwrap_err();
        assert!(matches!(error, ConnectError::Replayed));
        assert_eq!(world.told(), [("upstream_connect_refused", Some("connect_replayed"))]);
    }
    assert!(world.script.sent().is_empty());
    assert_eq!(world.lease(&need()).unwrap(), ACCESS);
}

#[test]
fn complete_connect_refuses_a_callback_after_ten_minutes() {
    let world = world();
    let (late, last) = (world.begin(), world.begin());
    world.sim.pass(599);
    is_open(&world, &last);
    world.told();
    world.script.sent();
    world.sim.pass(1);
    let error = world.complete(&good(&late)).unwrap_err();
    assert!(matches!(error, ConnectError::Late));
    assert_eq!(world.told(), [("upstream_connect_refused", Some("connect_late"))]);
    assert!(world.script.sent().is_empty());
}

#[test]
fn complete_connect_refuses_what_never_began_or_was_purged() {
    let world = world();
    let state = world.begin();
    let unknown = "A".repeat(43);
    assert!(matches!(refused(&world, &alice(), &good(&unknown), "connect_unknown_state"), ConnectError::UnknownState));
    world.sim.pass(600 + 3_599);
    assert_eq!(world.sim.run(world.vault.purge()).unwrap(), 0);
    refused(&world, &alice(), &good(&state), "connect_late");
    world.sim.pass(1);
    assert_eq!(world.sim.run(world.vault.purge()).unwrap(), 1);
    refused(&world, &alice(), &good(&state), "connect_unknown_state");
}

#[test]
fn complete_connect_refuses_a_malformed_callback() {
    let world = world();
    let state = world.begin();
    for query in
        ["", "code=c", &format!("state={state}"), &format!("{0}&state={state}", good(&state)), "code=c&state=short"]
    {
        let error = refused(&world, &alice(), query, "connect_malformed");
        assert!(matches!(error, ConnectError::Malformed));
        assert_eq!(error.status(), 400);
    }
    is_open(&world, &state);
}

/// RFC 9207 §2.4
#[test]
fn complete_connect_refuses_the_iss_of_another_service() {
    let mut service = service();
    service.authorization.as_mut().unwrap().issuer = Some("https://as.example".to_owned());
    let world = world_with(service);
    let state = world.begin();
    let query = format!("{}&iss=https%3A%2F%2Fevil.example", good(&state));
    let error = refused(&world, &alice(), &query, "connect_mixed_up");
    assert!(matches!(error, ConnectError::MixedUp));
    // The code and the state are known to another party now.
    refused(&world, &alice(), &good(&state), "connect_replayed");
    is_open(&world, &world.begin());
    let state = world.begin();
    world.script.will(Reply::Json(200, TOKENS));
    world.complete(&format!("{}&iss=https%3A%2F%2Fas.example", good(&state))).unwrap();
}

/// RFC 9207 §2.4
#[test]
fn complete_connect_requires_iss_where_the_service_sends_it() {
    let mut service = service();
    let authorization = service.authorization.as_mut().unwrap();
    (authorization.issuer, authorization.requires_issuer) = (Some("https://as.example".to_owned()), true);
    let world = world_with(service);
    refused(&world, &alice(), &good(&world.begin()), "connect_mixed_up");
}

/// RFC 9700 §4.4.2.2
#[test]
fn complete_connect_refuses_the_redirect_uri_of_another_service() {
    let world = world();
    let (user, state) = (alice(), world.begin());
    let query = good(&state);
    let elsewhere = Callback::new(&user, "https://mcp.example.com/callback/chat", &query);
    let error = world.sim.run(world.vault.complete_connect(&elsewhere)).unwrap_err();
    assert!(matches!(error, ConnectError::MixedUp));
    assert!(world.script.sent().is_empty());
    refused_as_replay(&world, &state);
}

fn refused_as_replay(world: &World, state: &str) {
    assert!(matches!(world.complete(&good(state)), Err(ConnectError::Replayed)));
    assert!(world.script.sent().is_empty());
}

#[test]
fn complete_connect_reports_the_account_that_was_to_be_connected() {
    let world = world();
    let user = alice();
    let url = world.sim.run(world.vault.begin_connect(&request(&user).account("work"))).unwrap();
    let begun = &world.audit.take()[0];
    world.complete_as(&bob(), &good(&parameters(&url)["state"])).unwrap_err();
    let refused = &world.audit.take()[0];
    for event in [begun, refused] {
        assert_eq!(event.subject.as_deref(), Some("alice"));
        assert_eq!(event.service.as_deref(), Some(SERVICE));
        assert_eq!(event.account.as_deref(), Some("work"));
    }
    world.complete_as(&bob(), &good(&"A".repeat(43))).unwrap_err();
    let stray = &world.audit.take()[0];
    assert_eq!((stray.subject.as_deref(), stray.service.as_deref()), (Some("bob"), None));
}

#[test]
fn complete_connect_lets_one_of_two_callbacks_through() {
    let world = world();
    let state = world.begin();
    world.script.will(Reply::Json(200, TOKENS));
    let (twin, sim, query) = (world.twin(), world.sim.clone(), good(&state));
    // The twin completes between the look and the write of this one.
    let raced = query.clone();
    world.store.before_next_commit(move || {
        let user = alice();
        assert!(sim.run(twin.complete_connect(&Callback::new(&user, REDIRECT, &raced))).unwrap().is_connected());
    });
    assert!(matches!(world.complete(&query), Err(ConnectError::Replayed)));
    assert_eq!(world.script.sent().len(), 1);
}

#[test]
fn complete_connect_gives_up_if_others_always_write_first() {
    let world = world();
    let state = world.begin();
    world.store.fail_every(crate::support::Op::Commit, Fault::Conflict);
    let error = world.complete(&good(&state)).unwrap_err();
    assert!(matches!(&error, ConnectError::Fault(fault) if fault.kind() == VaultErrorKind::Contention), "{error:?}");
    assert_eq!(error.status(), 503);
    world.store.heal();
    is_open(&world, &state);
}
