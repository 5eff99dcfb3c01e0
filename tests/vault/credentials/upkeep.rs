//! A key rotation touches data keys and nothing else; upkeep does its rounds and goes on after a fault.

use std::time::Duration;

use mcp_token_lifecycle::vault::{
    BoundTo, CredentialVault, DataKey, KeyWrapper, LeaseError, VaultErrorKind, WrapError, WrappedKey,
};
use mcp_token_lifecycle::{BoxFuture, KeyId, Keyring, MasterKey, Record, RecordKey, TokenStore};

use crate::records::{at_version, parts, records, root};
use crate::service::{DOWN, access_token};
use crate::support::{Fault, Op, block_on};
use crate::world::*;

fn new_key() -> Keyring {
    Keyring::new(KeyId::new(2), MasterKey::from_bytes([8; 32]))
}

fn vault_with(world: &World<Flaky>, keyring: Keyring) -> CredentialVault<Flaky> {
    CredentialVault::new(world.store.clone(), keyring, world.sim.runtime())
        .with_provider(SERVICE, world.service.clone())
        .with_policy(policy())
        .with_clock(world.sim.clone())
        .with_audit(world.audit.clone())
}

/// The keyring after the first two steps of a rotation.
fn rotated() -> Keyring {
    new_key().with_retired(KeyId::new(1), MasterKey::from_bytes([7; 32])).unwrap()
}

/// A world with a few credentials of several states.
fn furnished() -> World<Flaky> {
    let world = world();
    for name in ["a", "b", "c"] {
        world.sim.run(world.vault.put(&account().named(name), world.tokens(), BoundTo::subject())).unwrap();
    }
    world.put();
    world
}

#[test]
fn a_rewrap_leaves_nonce_and_ciphertext_byte_for_byte_as_they_were() {
    let world = furnished();
    let (before, root_before) = (records(&world), root(&world));
    let vault = vault_with(&world, rotated());
    world.told();
    assert_eq!(world.sim.run(vault.rewrap()).unwrap(), 5, "four credentials and the root");
    assert_eq!(world.told(), [("upstream_rewrap", None)]);
    let check = |old: &Record, new: &Record| {
        let ([id, wrapped, body, tag], [new_id, new_wrapped, new_body, new_tag]) = (parts(old), parts(new));
        assert_eq!((new_body, old.key, &old.indexes, old.expires_at), (body, new.key, &new.indexes, new.expires_at));
        assert_eq!((&*id, &*new_id, new.version), (&b"1"[..], &b"2"[..], old.version + 1));
        assert!(wrapped != new_wrapped && tag != new_tag);
    };
    before.iter().zip(&records(&world)).for_each(|(old, new)| check(old, new));
    check(&root_before, &root(&world));
    assert_eq!(world.sim.run(vault.rewrap()).unwrap(), 0, "there is nothing left");

    // The old key can go, and everything is as it was.
    let vault = vault_with(&world, new_key());
    assert_eq!(secret(&world.sim.run(vault.lease(&user(), &need().account("b"))).unwrap()), access_token(0));
    assert_eq!(world.sim.run(vault.list("user-1")).unwrap().len(), 4);
    world.pass(1_000);
    assert_eq!(secret(&world.sim.run(vault.lease(&user(), &need())).unwrap()), access_token(1));
}

#[test]
fn without_a_rewrap_the_old_key_is_still_needed() {
    let world = furnished();
    let refused = world.sim.run(vault_with(&world, new_key()).lease(&user(), &need())).unwrap_err();
    assert!(matches!(&refused, LeaseError::Fault(fault) if fault.kind() == VaultErrorKind::UnknownKey), "{refused:?}");
}

#[test]
fn an_old_record_does_not_open_under_a_new_wrapping() {
    let world = furnished();
    let old = records(&world).remove(0);
    world.sim.run(vault_with(&world, rotated()).rewrap()).unwrap();
    let new = records(&world).into_iter().find(|record| record.key == old.key).unwrap();
    let back = at_version(old, new.version + 1);
    assert_eq!(block_on(world.store.commit(back)).unwrap(), mcp_token_lifecycle::Commit::Applied);
    let error = world.sim.run(vault_with(&world, rotated()).list("user-1")).unwrap_err();
    assert_eq!(error.kind(), VaultErrorKind::CorruptRecord);
}

#[test]
fn a_rewrap_that_meets_another_write_is_tried_again_and_loses_nothing() {
    let world = furnished();
    world.pass(1_000);
    let (other, sim) = (vault_with(&world, rotated()), world.sim.clone());
    let vault = vault_with(&world, rotated());
    // Between its look and its write all four are refreshed; the service is strict, so the first is the only one to succeed.
    world.store.before_next_commit(move || {
        let lease = sim.run(other.lease(&user(), &need())).unwrap();
        assert_eq!(secret(&lease), access_token(1));
    });
    assert_eq!(world.sim.run(vault.rewrap()).unwrap(), 5);
    let vault = vault_with(&world, new_key());
    assert_eq!(secret(&world.sim.run(vault.lease(&user(), &need())).unwrap()), access_token(1));
}

#[test]
fn a_record_that_does_not_open_holds_up_no_other() {
    let world = furnished();
    let mut broken = records(&world).remove(0);
    let length = broken.payload.len();
    broken.payload[length - 1] ^= 1;
    broken.version += 1;
    assert_eq!(block_on(world.store.commit(broken)).unwrap(), mcp_token_lifecycle::Commit::Applied);
    let error = world.sim.run(vault_with(&world, rotated()).rewrap()).unwrap_err();
    assert_eq!(error.kind(), VaultErrorKind::CorruptRecord);
    let wrapped_anew = records(&world).iter().filter(|record| parts(record)[0] == b"2").count();
    assert_eq!(wrapped_anew, 3);
    let error = world.sim.run(vault_with(&world, rotated()).list("user-1")).unwrap_err();
    assert_eq!(error.kind(), VaultErrorKind::CorruptRecord);
}

/// A key service that answers with more than can be stored, for one of the data keys.
struct Verbose(Keyring, RecordKey);

impl KeyWrapper for Verbose {
    fn primary(&self) -> BoxFuture<'_, Result<String, WrapError>> {
        KeyWrapper::primary(&self.0)
    }

    fn wrap<'a>(&'a self, key: &'a DataKey, context: &'a [u8]) -> BoxFuture<'a, Result<WrappedKey, WrapError>> {
        if context.ends_with(self.1.as_bytes()) {
            return Box::pin(async { Ok(WrappedKey::new("2", vec![0; WrappedKey::MAX_LEN + 1])) });
        }
        self.0.wrap(key, context)
    }

    fn unwrap<'a>(&'a self, wrapped: &'a WrappedKey, context: &'a [u8]) -> BoxFuture<'a, Result<DataKey, WrapError>> {
        self.0.unwrap(wrapped, context)
    }
}

#[test]
fn a_record_whose_wrapping_is_too_long_holds_up_no_other() {
    let world = furnished();
    // The first in the order of a listing.
    let first = records(&world).remove(0).key;
    let vault = CredentialVault::new(world.store.clone(), Verbose(rotated(), first), world.sim.runtime());
    assert_eq!(world.sim.run(vault.rewrap()).unwrap_err().kind(), VaultErrorKind::TooLarge);
    assert_eq!(records(&world).iter().filter(|record| parts(record)[0] == b"2").count(), 3);
}

#[test]
fn upkeep_retries_rewraps_and_purges_and_goes_on_after_a_fault() {
    let world = furnished();
    world.service.then_at_revocation(DOWN);
    world.sim.run(world.vault.revoke(&account())).unwrap();
    let vault = vault_with(&world, rotated());
    world.store.fail_every(Op::List, Fault::Unavailable);
    world.told();
    let hour = Duration::from_secs(3600);
    let rounds = async {
        futures_util::future::select(
            std::pin::pin!(vault.upkeep_every(hour)),
            std::pin::pin!(async {
                world.sim.runtime_sleep(Duration::from_secs(1)).await;
                assert_eq!(world.told(), [("fail", None), ("fail", None)], "neither listing; the purge went through");
                world.store.heal();
                // One round finds all of it, and the next one that nothing is left.
                world.sim.runtime_sleep(2 * hour).await;
            }),
        )
        .await;
    };
    world.sim.run(rounds);
    let rewrap = ("upstream_rewrap", None);
    assert_eq!(world.told(), [("upstream_revoked", None), rewrap, rewrap]);
    assert_eq!(world.service.revoked(), [access_token(0)]);
    assert_eq!(world.store.inner().len(), 5, "three credentials, the root, and the empty record of the revoked one");
}
