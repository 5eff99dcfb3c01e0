//! What one subject has is never leased to another, however subjects, services and accounts are spelled.

use std::collections::HashMap;

use mcp_token_lifecycle::vault::{
    Account, BoundTo, Credential, LeaseError, LeaseRequest, LeasedSecret, Secret, StaticSecret,
};
use mcp_token_lifecycle::{AccessClaims, Scope};
use proptest::prelude::*;

use crate::world::*;

#[path = "../../support/property.rs"]
mod property;

/// Separators, look-alikes, what Unicode calls the same in two spellings, and nothing at all.
fn names() -> impl Strategy<Value = String> {
    let awkward = prop_oneof![
        Just(""),
        Just("a"),
        Just("b"),
        Just("ab"),
        Just("a:b"),
        Just("a/b"),
        Just("a|b"),
        Just("a\0b"),
        Just("a b"),
        Just("A"),
        Just("а"),
        Just("é"),
        Just("e\u{301}"),
        Just("a\u{200b}"),
        Just("ａ"),
        Just("\u{1}"),
        Just("\u{1}a"),
        Just("a\0"),
        Just("github"),
    ];
    prop_oneof![4 => awkward.prop_map(str::to_owned), 1 => ".{0,6}"]
}

type Place = (String, String, Option<String>);

fn places() -> impl Strategy<Value = Vec<Place>> {
    proptest::collection::vec((names(), names(), proptest::option::of(names())), 1..12)
}

fn account_at((subject, service, name): &Place) -> Account {
    let account = Account::new(&**subject, &**service);
    match name {
        Some(name) => account.named(&**name),
        None => account,
    }
}

/// `None` for a subject that no token is ever issued for: an empty one, or one with control characters.
fn claims_for(subject: &str, known: &mut HashMap<String, Option<AccessClaims>>) -> Option<AccessClaims> {
    let is_possible = !subject.is_empty() && !subject.chars().any(char::is_control);
    known.entry(subject.to_owned()).or_insert_with(|| is_possible.then(|| claims_of(subject, "client-1"))).clone()
}

#[test]
fn lease_gives_the_callers_own_credential_or_none() {
    let strategy = (places(), places());
    let claims = std::cell::RefCell::new(HashMap::new());
    property::runner(300)
        .run(&strategy, |(put, asked)| {
            let world = world();
            let mut expected = HashMap::new();
            for (number, place) in put.iter().enumerate() {
                let secret = StaticSecret::new(Secret::ApiKey(secret_text(&format!("{number}"))), Scope::default());
                let (account, secret) = (account_at(place), Credential::Static(secret));
                world.sim.run(world.vault.put(&account, secret, BoundTo::subject())).unwrap();
                expected.insert(place.clone(), number.to_string());
            }
            prop_assert_eq!(world.store.inner().len(), expected.len() + 1, "a record for each, and the root");
            for place in put.iter().chain(&asked) {
                let Some(claims) = claims_for(&place.0, &mut claims.borrow_mut()) else { continue };
                let need = LeaseRequest::new(&*place.1, Scope::default());
                let need = match &place.2 {
                    Some(name) => need.account(&**name),
                    None => need,
                };
                match (world.sim.run(world.vault.lease(&claims, &need)), expected.get(place)) {
                    (Ok(lease), Some(own)) => {
                        prop_assert!(matches!(lease.secret(), LeasedSecret::ApiKey(key) if key == own));
                    }
                    (Err(LeaseError::NotFound { .. }), None) => {}
                    (leased, own) => prop_assert!(false, "{:?} for {:?}, {:?}", leased, place, own),
                }
            }
            for (subject, ..) in put.iter().chain(&asked) {
                let own = expected.keys().filter(|(other, ..)| other == subject).count();
                prop_assert_eq!(world.sim.run(world.vault.list(subject)).unwrap().len(), own);
            }
            // What ends for one subject does not end for another.
            let leaver = &put[0].0;
            let own = expected.keys().filter(|(subject, ..)| subject == leaver).count();
            prop_assert_eq!(world.sim.run(world.vault.revoke_subject(leaver)).unwrap(), own);
            world.pass(3_600);
            world.sim.run(world.vault.purge()).unwrap();
            prop_assert_eq!(world.store.inner().len(), expected.len() + 1, "the empty records stay");
            prop_assert_eq!(world.sim.run(world.vault.list(leaver)).unwrap(), []);
            Ok(())
        })
        .unwrap();
}
