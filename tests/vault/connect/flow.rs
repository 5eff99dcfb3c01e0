//! The way that succeeds.

use base64ct::{Base64UrlUnpadded, Encoding};
use mcp_token_lifecycle::FamilyId;
use mcp_token_lifecycle::vault::*;
use sha2::{Digest, Sha256};

use crate::support::scope;
use crate::world::*;

#[test]
fn begin_connect_returns_the_authorize_url() {
    let world = world();
    let user = alice();
    let url = world.sim.run(world.vault.begin_connect(&request(&user))).unwrap();
    assert!(url.expose().starts_with("https://as.example/authorize?"), "{}", url.expose());
    let sent = parameters(&url);
    let expected = [
        ("response_type", "code"),
        ("client_id", "my-client"),
        ("redirect_uri", REDIRECT),
        ("scope", "read write"),
        ("code_challenge_method", "S256"),
    ];
    expected.iter().for_each(|(name, value)| assert_eq!(sent[*name], *value, "{name}"));
    // 256 bits each.
    assert_eq!((sent["state"].len(), sent["code_challenge"].len(), sent.len()), (43, 43, 7));
    assert!(world.script.sent().is_empty());
    assert_eq!(world.told(), [("upstream_connect_begun", None)]);
}

/// RFC 7636 §4.6
#[test]
fn complete_connect_sends_the_verifier_of_the_challenge() {
    let world = world();
    let user = alice();
    let url = world.sim.run(world.vault.begin_connect(&request(&user))).unwrap();
    world.script.will(Reply::Json(200, TOKENS));
    world.complete(&good(&parameters(&url)["state"])).unwrap();
    let [(path, form)] = &world.script.sent()[..] else { panic!("one request") };
    assert_eq!(path, "/token");
    let (verifier, mut rest) = (form["code_verifier"].clone(), form.clone());
    rest.remove("code_verifier");
    assert_eq!(Base64UrlUnpadded::encode_string(&Sha256::digest(&verifier)), parameters(&url)["code_challenge"]);
    assert_eq!(verifier.len(), 43);
    let expected = [
        ("client_id", "my-client"),
        ("client_secret", "client-secret"),
        ("code", CODE),
        ("grant_type", "authorization_code"),
        ("redirect_uri", REDIRECT),
    ];
    assert_eq!(rest, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
}

#[test]
fn complete_connect_puts_tokens_that_are_leased_and_refreshed() {
    let world = world();
    let state = world.begin();
    world.script.will(Reply::Json(200, TOKENS));
    let outcome = world.complete(&good(&state)).unwrap();
    assert!(matches!(&outcome, ConnectOutcome::Connected { account, scope: granted, return_to: None, .. }
        if *account == Account::new("alice", SERVICE) && *granted == scope("read write")));
    assert_eq!(world.told(), [("upstream_put", None)]);
    assert_eq!(world.lease(&need()).unwrap(), ACCESS);
    world.script.sent();
    world.script.will(Reply::Json(200, r#"{"access_token":"the-next-one","token_type":"bearer"}"#));
    world.sim.pass(1_001);
    assert_eq!(world.lease(&need()).unwrap(), "the-next-one");
    assert_eq!(world.script.sent()[0].1["refresh_token"], REFRESH);
}

#[test]
fn complete_connect_keeps_the_requested_scope_unless_told() {
    let world = world();
    let state = world.begin();
    world.script.will(Reply::Json(200, r#"{"access_token":"a","token_type":"bearer"}"#));
    world.complete(&good(&state)).unwrap();
    let narrower = world.begin();
    assert_eq!(world.lease(&need()).unwrap(), "a");
    world.script.will(Reply::Json(200, r#"{"access_token":"b","token_type":"bearer","scope":"read"}"#));
    let outcome = world.complete(&good(&narrower)).unwrap();
    assert!(matches!(outcome, ConnectOutcome::Connected { scope: granted, .. } if granted == scope("read")));
    assert!(matches!(world.lease(&need()), Err(LeaseError::InsufficientScope { .. })));
}

#[test]
fn complete_connect_works_in_another_process() {
    let world = world();
    let state = world.begin();
    world.script.will(Reply::Json(200, TOKENS));
    let user = alice();
    let callback = Callback::new(&user, REDIRECT, &good(&state));
    world.sim.run(world.twin().complete_connect(&callback)).unwrap();
    assert_eq!(world.lease(&need()).unwrap(), ACCESS);
}

#[test]
fn connect_keeps_several_accounts_of_a_user_apart() {
    let world = world();
    let user = alice();
    let begun = |name: &str| {
        let url = world.sim.run(world.vault.begin_connect(&request(&user).account(name))).unwrap();
        parameters(&url)["state"].clone()
    };
    let (work, home) = (begun("work"), begun("home"));
    for (state, token) in [(home, "of-home"), (work, "of-work")] {
        let body = format!(r#"{{"access_token":"{token}","token_type":"bearer"}}"#);
        world.script.will(Reply::Json(200, body.leak()));
        world.complete(&good(&state)).unwrap();
    }
    assert_eq!(world.lease(&need().account("work")).unwrap(), "of-work");
    assert_eq!(world.lease(&need().account("home")).unwrap(), "of-home");
    assert!(matches!(world.lease(&need()), Err(LeaseError::NotFound { .. })));
}

#[test]
fn connect_keeps_the_binding_and_the_return_value() {
    let world = world();
    let (user, family) = (alice(), FamilyId::from_bytes([9; 16]));
    let bound = request(&user).bound_to(BoundTo::subject().session(family)).return_to("/tools?a=b");
    let url = world.sim.run(world.vault.begin_connect(&bound)).unwrap();
    world.script.will(Reply::Json(200, TOKENS));
    let outcome = world.complete(&good(&parameters(&url)["state"])).unwrap();
    assert_eq!(outcome.return_to(), Some("/tools?a=b"));
    assert!(matches!(world.lease(&need()), Err(LeaseError::OtherSession)));
    assert_eq!(world.sim.run(world.vault.list("alice")).unwrap()[0].bound_to.session_id(), Some(family));
}

#[test]
fn complete_connect_goes_on_without_its_caller() {
    let world = world();
    let state = world.begin();
    world.script.will(Reply::Json(200, TOKENS));
    let user = alice();
    let query = good(&state);
    let callback = Callback::new(&user, REDIRECT, &query);
    // One round is enough for the request, and not for the answer.
    assert!(world.sim.run_for(world.vault.complete_connect(&callback), 1).is_none());
    world.sim.settle();
    assert_eq!(world.lease(&need()).unwrap(), ACCESS);
}

#[test]
fn complete_connect_with_access_denied_is_an_answer() {
    let world = world();
    let state = world.begin();
    let outcome = world.complete(&format!("error=access_denied&state={state}")).unwrap();
    assert!(matches!(&outcome, ConnectOutcome::Denied { account, .. } if account.service() == SERVICE));
    assert!(!outcome.is_connected());
    assert_eq!(world.told(), [("upstream_connect_denied", None)]);
    // It is spent.
    assert!(matches!(world.complete(&good(&state)), Err(ConnectError::Replayed)));
    assert!(world.script.sent().is_empty());
}

#[test]
fn begin_connect_names_the_mistake_of_the_application() {
    let world = world();
    let (user, scope) = (alice(), scope("read"));
    let begin = |request: ConnectRequest<'_>| world.sim.run(world.vault.begin_connect(&request)).unwrap_err();
    let unknown = begin(ConnectRequest::new(&user, "unknown", scope.clone(), REDIRECT));
    assert_eq!(unknown.to_string(), "unknown has no provider with an authorization endpoint");
    assert_eq!(unknown.status(), 404);
    for bad in ["http://mcp.example.com/callback", "https://a/#b", "https://user@a/", "javascript:alert(1)", ""] {
        let refused = begin(ConnectRequest::new(&user, SERVICE, scope.clone(), bad));
        assert!(matches!(refused, ConnectError::RedirectUri { .. }), "{bad}");
    }
    let nobody = BrowserUser::new("alice", "");
    assert!(matches!(begin(request(&nobody)), ConnectError::NoSession));
    let mut plain = service();
    plain.authorization = None;
    let world = world_with(plain);
    let refused = world.sim.run(world.vault.begin_connect(&request(&user)));
    assert!(matches!(refused, Err(ConnectError::NotConnectable { .. })));
    assert!(world.store.operations().is_empty());
}
