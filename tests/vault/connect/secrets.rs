//! Neither the state, the verifier, the code, the session nor a token is where it does not belong.

use mcp_token_lifecycle::vault::*;

use crate::world::*;

#[test]
fn connect_shows_no_secret_in_store_events_and_debug() {
    let world = world();
    let user = alice();
    let url = world.sim.run(world.vault.begin_connect(&request(&user))).unwrap();
    let sent = parameters(&url);
    world.script.will(Reply::Json(200, TOKENS));
    let query = good(&sent["state"]);
    let callback = Callback::new(&user, REDIRECT, &query);
    let outcome = world.sim.run(world.vault.complete_connect(&callback)).unwrap();
    let verifier = world.script.sent()[0].1["code_verifier"].clone();
    let shown = format!("{:?} {url:?} {user:?} {callback:?} {outcome:?}", request(&user));
    let events = format!("{:?}", world.audit.take());
    let secrets = [&*sent["state"], &*verifier, CODE, "the-session-cookie-of-alice", ACCESS, REFRESH, "client-secret"];
    for secret in secrets {
        assert!(!shown.contains(secret), "{secret} in {shown}");
        assert!(!events.contains(secret), "{secret} in {events}");
        for record in world.store.journal() {
            let is_in = |bytes: &[u8]| bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!is_in(&record.payload), "{secret} in a record");
        }
    }
}

#[test]
fn connect_errors_repeat_nothing_of_the_callback() {
    let secret = "a-secret-that-came-back";
    for (query, reply) in [
        (format!("error={secret}-"), None),
        (format!("code={secret}"), Some(format!(r#"{{"error":"{secret}"}}"#))),
        (format!("code={secret}&iss={secret}"), Some(format!(r#"{{"error_description":"{secret}"}}"#))),
    ] {
        let world = world();
        let state = world.begin();
        reply.into_iter().for_each(|body| world.script.will(Reply::Json(400, body.leak())));
        let error = world.complete(&format!("{query}&state={state}")).unwrap_err();
        let shown = format!("{error} {error:?}");
        // The error code of a callback is not secret; the code that it may repeat is another parameter.
        assert!(!shown.contains(&state), "{shown}");
        if query.starts_with("code") {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}

#[test]
fn pending_authorizations_have_no_index_and_no_common_key() {
    let world = world();
    let (first, second) = (world.begin(), world.begin());
    assert_ne!(first, second);
    let journal = world.store.journal();
    assert_eq!(journal.len(), 2);
    assert!(journal.iter().all(|record| record.indexes.is_empty() && record.version == 1));
    assert_ne!(journal[0].key, journal[1].key);
    // The record that a callback has spent is shorter by the verifier.
    world.complete(&format!("error=access_denied&state={first}")).unwrap();
    let spent = &world.store.journal()[2];
    assert_eq!((spent.key, spent.version, spent.expires_at), (journal[0].key, 2, journal[0].expires_at));
    assert!(spent.payload.len() < journal[0].payload.len());
}

#[test]
fn pending_authorization_under_another_key_does_not_open() {
    use mcp_token_lifecycle::{Record, TokenStore};
    let world = world();
    let (first, second) = (world.begin(), world.begin());
    let journal = world.store.journal();
    // An attacker with the store puts the record of the first state in the place of the second.
    let swapped = Record::new(journal[1].key, 2, journal[0].expires_at, Vec::new(), journal[0].payload.clone());
    assert!(crate::support::block_on(world.store.inner().commit(swapped)).is_ok());
    let error = world.complete(&good(&second)).unwrap_err();
    assert!(matches!(&error, ConnectError::Fault(fault) if fault.kind() == VaultErrorKind::CorruptRecord), "{error:?}");
    assert!(world.script.sent().is_empty());
    world.script.will(Reply::Json(200, TOKENS));
    world.complete(&good(&first)).unwrap();
}

#[test]
fn pending_authorization_survives_a_rewrap() {
    let world = world();
    let state = world.begin();
    assert_eq!(world.sim.run(world.vault.rewrap()).unwrap(), 0);
    let newer = CredentialVault::new(world.store.clone(), crate::support::mid_rotation(2), world.sim.runtime())
        .with_clock(world.sim.clone());
    assert_eq!(world.sim.run(newer.rewrap()).unwrap(), 1);
    let user = alice();
    let query = format!("error=access_denied&state={state}");
    let outcome = world.sim.run(newer.complete_connect(&Callback::new(&user, REDIRECT, &query))).unwrap();
    assert!(!outcome.is_connected());
}

#[test]
fn restored_authorization_sends_a_code_that_was_redeemed() {
    let world = world();
    let state = world.begin();
    world.script.will(Reply::Json(200, TOKENS));
    world.complete(&good(&state)).unwrap();
    // The store as it was before the callback.
    let restored = world.on(world.store.backup(1));
    world.script.will(Reply::Json(400, r#"{"error":"invalid_grant"}"#));
    let (user, query) = (alice(), good(&state));
    let again = world.sim.run(restored.complete_connect(&Callback::new(&user, REDIRECT, &query)));
    assert!(matches!(again, Err(ConnectError::CodeRefused)), "{again:?}");
    assert!(world.sim.run(restored.list("alice")).unwrap().is_empty());
}
