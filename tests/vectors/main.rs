//! The fixed vectors of every format: each is made again to the last bit, and what was made still opens.

#[path = "../support/mod.rs"]
mod support;

mod made_again;
mod second;
mod vector;

use mcp_token_lifecycle::{
    AccessKeys, AccessVerifier, Action, Commit, Expectation, FamilyId, MemoryStore, Reason, RedeemRequest,
    RefreshRequest, RevocationReason, Timestamp, TokenStore,
};

use crate::made_again::bench_of;
use crate::support::*;
use crate::vector::Vector;

/// The same with the record of the vector in its store, as it was left by an earlier version of the crate.
fn bench_with_record(vector: &Vector) -> Bench<MemoryStore> {
    let store = MemoryStore::new();
    let record = vector.record();
    for version in 1..=record.version {
        let mut write = record.clone();
        write.version = version;
        assert_eq!(block_on(store.commit(write)).unwrap(), Commit::Applied);
    }
    bench_of(vector, store)
}

/// `tests/support/forge.rs` and `second.rs` make tokens from the descriptions of the formats, without the crate.
#[test]
fn second_implementation_makes_the_same_tokens() {
    let (code, refresh) = (Vector::read("authorization_code"), Vector::read("refresh_token"));
    assert_eq!(code.get("authorization_code"), Some(&*code.forge(0, "issued_at")));
    assert_eq!(refresh.get("refresh_token"), Some(&*refresh.forge(1, "issued_at")));
    for access in ["access_token", "access_token_bound"].map(Vector::read) {
        assert_eq!(access.get("access_token"), Some(&*second::access_token(&access)));
    }
}

#[test]
fn access_token_vector_verifies_with_all_its_claims() {
    for name in ["access_token", "access_token_bound"] {
        let (vector, grant) = (Vector::read(name), Vector::read(name).grant());
        let (verifier, binding) = (AccessVerifier::from(&vector.keyring()), vector.binding());
        let issued_at = Timestamp::from_unix(vector.number("issued_at"));
        let verify = |here| {
            let expect = Expectation::resource(here).scope(grant.scope()).binding(binding.as_ref());
            verifier.verify(vector.get("access_token").unwrap(), &expect, issued_at).unwrap()
        };
        let claims = verify(&grant.resources()[0]);
        assert!(grant.resources().iter().all(|here| verify(here) == claims));
        assert_eq!(claims.family(), FamilyId::from_bytes(vector.bytes("family_id")));
        assert_eq!(
            (claims.subject(), claims.client_id(), claims.generation()),
            (grant.subject(), grant.client_id(), 1)
        );
        assert_eq!(
            (claims.scope(), claims.audience(), claims.claims()),
            (grant.scope(), grant.resources(), grant.claims())
        );
        assert_eq!((claims.issued_at(), claims.expires_at()), (issued_at, issued_at.saturating_add(seconds(1800))));
        assert_eq!(claims.binding(), binding.as_ref());
    }
}

#[test]
fn access_keys_vector_verifies_token_of_its_keyring() {
    let (keys, token) = (Vector::read("keyring"), Vector::read("access_token"));
    for name in ["access_key", "resource_key"] {
        let text: Vec<_> = keys.all(name).collect();
        let verifier = AccessVerifier::new(AccessKeys::parse(&text.join("\n")).unwrap());
        let now = Timestamp::from_unix(token.number("issued_at"));
        let verified = verifier.verify(token.get("access_token").unwrap(), &Expectation::resource(&resource()), now);
        assert_eq!(verified.unwrap().subject(), "user-1", "the first {name} of the keyring is the key of the token");
    }
}

#[test]
fn code_vector_redeems_with_its_family_record() {
    let (record, code) = (Vector::read("record_code"), Vector::read("authorization_code"));
    let bench = bench_with_record(&record);
    let (client, code) = (client(), code.get("authorization_code").unwrap());
    let request = |uri, verifier| block_on(bench.issuer.redeem(&RedeemRequest::new(&client, code, uri, verifier)));
    let (uri, verifier) = (record.get("redirect_uri").unwrap(), record.get("code_verifier").unwrap());
    assert!(verdict(request("http://127.0.0.1/", verifier)).is_err());
    assert!(verdict(request(uri, "another-verifier-of-at-least-43-characters-")).is_err());
    bench.told();
    let tokens = verdict(request(uri, verifier)).unwrap();
    assert_eq!(bench.told(), [("redeem", None)]);
    assert_eq!(rt(&tokens), record.forge(1, "issued_at"));
}

#[test]
fn refresh_token_vector_rotates_with_its_family_record() {
    let (record, token) = (Vector::read("record_issued"), Vector::read("refresh_token"));
    let bench = bench_with_record(&record);
    let families = block_on(bench.issuer.list_families("user-1")).unwrap();
    assert_eq!((families.len(), families[0].grant()), (1, &record.grant()));
    let next = bench.refresh(token.get("refresh_token").unwrap()).unwrap();
    assert_eq!(bench.told(), [("rotate", None)]);
    assert_eq!(rt(&next), record.forge(2, "issued_at"));
}

#[test]
fn family_record_vector_is_read_in_full() {
    let (record, token) = (Vector::read("record_rotated"), Vector::read("refresh_token"));
    let bench = bench_with_record(&record);
    bench.clock.set(Timestamp::from_unix(record.number("retried_at")));
    let [family] = &block_on(bench.issuer.list_families("user-1")).unwrap()[..] else { panic!("one family") };
    let at = |name| Timestamp::from_unix(record.number(name));
    assert_eq!(family.id(), FamilyId::from_bytes(record.bytes("family_id")));
    assert_eq!((family.grant(), family.generation()), (&record.grant(), 2));
    assert_eq!((family.created_at(), family.rotated_at()), (at("issued_at"), at("rotated_at")));
    assert_eq!(family.last_used_at(), at("rotated_at"));
    assert_eq!(family.absolute_expires_at(), at("issued_at").saturating_add(seconds(90 * 86_400)));
    assert_eq!(family.binding(), record.binding().as_ref());

    // One retry of three is in the record, so that there are two more.
    let (client, spent) = (client(), token.get("refresh_token").unwrap());
    let retry = || bench.ask(RefreshRequest::new(&client, spent).binding(record.binding().unwrap()));
    for _ in 0..2 {
        assert_eq!(rt(&retry().unwrap()), record.forge(2, "rotated_at"));
    }
    assert!(retry().is_err());
    assert_eq!(bench.told().last(), Some(&("reuse_revoke_family", Some(Reason::RetryLimit))));
}

#[test]
fn tombstone_vector_refuses_refresh_as_revoked() {
    let (record, token) = (Vector::read("record_revoked"), Vector::read("refresh_token"));
    let bench = bench_with_record(&record);
    assert!(bench.refresh(token.get("refresh_token").unwrap()).is_err());
    let revoked = Some(Reason::Revoked(RevocationReason::Session));
    assert!(matches!(bench.audit.take()[..], [ref event] if event.action == Action::Deny && event.reason == revoked));
}
