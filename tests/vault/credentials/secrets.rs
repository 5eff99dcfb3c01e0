//! No secret is in the store, in an event, in an error or in anything that `Debug` shows.

use mcp_token_lifecycle::vault::{
    Account, BoundTo, Credential, CredentialVault, LeaseError, Secret, StaticSecret, UpstreamError,
};
use mcp_token_lifecycle::{Clock, Commit, MemoryStore, RedbStore, TokenStore};

use crate::service::{DOWN, Service, Step, access_token, refresh_token};
use crate::support::{block_on, keyring, scope};
use crate::world::*;

const PASSWORD: &str = "correct-horse-battery-staple-77";
const SUBJECT: &str = "subject-of-all-these-9021";
const NAME: &str = "account-name-in-the-clear-5512";

/// Refreshes, failures, refusals, a rotation by hand, a revocation that fails; everything that is shown on the way.
fn story(World { vault, sim, service, .. }: &World<Flaky>) -> Vec<String> {
    let (claims, account) = (claims_of(SUBJECT, "client-1"), Account::new(SUBJECT, SERVICE));
    let mut shown = Vec::new();
    let key = |text: &str| StaticSecret::new(Secret::password("me", secret_text(text)), scope("repo:read"));
    let credential = Credential::Static(key(PASSWORD));
    shown.push(format!("{credential:?}"));
    sim.run(vault.put(&account.clone().named(NAME), credential, BoundTo::subject())).unwrap();
    let tokens = tokens(sim.now());
    shown.push(format!("{tokens:?}"));
    sim.run(vault.put(&account, tokens, BoundTo::subject().session(claims.family()))).unwrap();
    for fault in [None, Some(Step::Fail(|| UpstreamError::refused("invalid_client"))), Some(Step::LoseAnswer), None] {
        if let Some(step) = fault {
            service.then(step);
        }
        sim.pass(1_000);
        let leased = sim.run(vault.lease(&claims, &need()));
        shown.push(match &leased {
            Ok(lease) => format!("{lease:?} {:?} {:#?}", lease.secret(), lease.scope()),
            Err(error) => format!("{error} {error:?} {:?}", std::error::Error::source(error).map(ToString::to_string)),
        });
    }
    let refused = |error: LeaseError| format!("{error} {error:?}");
    shown.push(refused(sim.run(vault.lease(&user(), &need())).unwrap_err()));
    let too_much = need().account(NAME).allow_broader();
    shown.push(format!("{:?}", sim.run(vault.lease(&claims, &too_much)).unwrap()));
    shown.push(format!("{:?}", sim.run(vault.list(SUBJECT)).unwrap()));
    service.then_at_revocation(DOWN);
    sim.run(vault.revoke_subject(SUBJECT)).unwrap();
    shown
}

#[test]
fn nothing_that_is_shown_reported_or_stored_has_a_secret_in_it() {
    let world = world_with(Service::with_leeway());
    let mut shown = story(&world);
    shown.extend(world.audit.events().iter().map(|event| format!("{event:?}")));
    let in_memory = CredentialVault::new(MemoryStore::new(), keyring(), world.sim.runtime());
    world.sim.run(in_memory.put(&account(), world.tokens(), BoundTo::subject())).unwrap();
    shown.push(format!("{in_memory:?} {:?}", in_memory.revocation_sink(world.audit.clone())));
    assert!(shown.len() > 15 && world.service.refreshes() >= 3);
    let secrets: Vec<String> =
        (0..5).flat_map(|number| [access_token(number), refresh_token(number)]).chain([PASSWORD.to_owned()]).collect();
    // The first half of one is enough.
    let pieces: Vec<&str> = secrets.iter().flat_map(|secret| [&secret[..18], &secret[secret.len() - 10..]]).collect();
    let found = shown.iter().find(|text| pieces.iter().any(|piece| text.contains(piece)));
    assert_eq!(found, None);

    // Every record that was ever written, into a file.
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("vault.redb");
    let store = RedbStore::open(&path).unwrap();
    for record in world.store.journal() {
        assert_eq!(block_on(store.commit(record)).unwrap(), Commit::Applied);
    }
    drop(store);
    let file = std::fs::read(path).unwrap();
    let is_in_file = |piece: &str| file.windows(piece.len()).any(|window| window == piece.as_bytes());
    for piece in pieces.into_iter().chain([SUBJECT, NAME, "github", "repo:read"]) {
        assert!(!is_in_file(piece), "{piece}");
    }
    assert!(is_in_file("redb"), "the search does find what is there");
}
