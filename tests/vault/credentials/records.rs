//! A record on its own: it opens in its place, in its version and unaltered, or not at all.

use mcp_token_lifecycle::vault::{Account, BoundTo, LeaseError, VaultErrorKind};
use mcp_token_lifecycle::{Commit, IndexKey, Record, RecordKey, Select, Timestamp, TokenStore};

use crate::service::access_token;
use crate::support::block_on;
use crate::world::*;

/// All records but the root, which never expires and has no index keys.
pub fn records(world: &World<Flaky>) -> Vec<Record> {
    let page = block_on(world.store.list(Select::All, None, 100)).unwrap();
    page.records.into_iter().filter(|record| !record.indexes.is_empty()).collect()
}

pub fn root(world: &World<Flaky>) -> Record {
    let page = block_on(world.store.list(Select::All, None, 100)).unwrap();
    page.records.into_iter().find(|record| record.indexes.is_empty()).unwrap()
}

/// The key id, the wrapped key, the nonce with the ciphertext, and the tag.
pub fn parts(record: &Record) -> [Vec<u8>; 4] {
    fn counted(bytes: &[u8]) -> (&[u8], &[u8]) {
        let (length, rest) = bytes.split_at(2);
        rest.split_at(usize::from(length[0]) * 256 + usize::from(length[1]))
    }
    let (kind, rest) = record.payload.split_first().unwrap();
    assert_eq!(*kind, 3);
    let (id, rest) = counted(rest);
    let (wrapped, rest) = counted(rest);
    let (body, tag) = rest.split_at(rest.len() - 32);
    [id, wrapped, body, tag].map(<[u8]>::to_vec)
}

pub fn at_version(mut record: Record, version: u64) -> Record {
    record.version = version;
    record
}

fn overwrite(world: &World<Flaky>, record: Record) {
    assert_eq!(block_on(world.store.commit(record)).unwrap(), Commit::Applied);
}

fn assert_corrupt(world: &World<Flaky>) {
    let refused = world.lease().unwrap_err();
    assert!(
        matches!(&refused, LeaseError::Fault(fault) if fault.kind() == VaultErrorKind::CorruptRecord),
        "{refused:?}"
    );
    assert_eq!(refused.status(), 503);
    let listed = world.sim.run(world.vault.list("user-1"));
    assert!(listed.is_err() || listed.unwrap().is_empty());
}

#[test]
fn a_record_moved_to_another_key_does_not_open() {
    let world = world();
    world.put();
    let other = Account::new("user-2", SERVICE);
    world.sim.run(world.vault.put(&other, world.tokens(), BoundTo::subject())).unwrap();
    let mine = world.sim.run(world.vault.list("user-1")).unwrap();
    assert_eq!(mine.len(), 1);
    let [one, two] = &*records(&world) else { panic!("two records") };
    for (from, to) in [(one, two), (two, one)] {
        overwrite(
            &world,
            Record::new(to.key, to.version + 1, from.expires_at, from.indexes.clone(), from.payload.clone()),
        );
    }
    assert_corrupt(&world);
}

/// A store that answers with another record, whole and intact.
#[test]
fn a_record_given_in_place_of_another_is_not_taken_for_it() {
    struct Swapping(Flaky);
    impl TokenStore for Swapping {
        async fn get(&self, key: RecordKey) -> Result<Option<Record>, mcp_token_lifecycle::StoreError> {
            let records = self.0.list(Select::All, None, 100).await?.records;
            let is_credential = |record: &&Record| !record.indexes.is_empty();
            let other = records.iter().filter(is_credential).find(|record| record.key != key);
            match records.iter().find(|record| record.key == key).filter(is_credential) {
                Some(_) => Ok(other.cloned()),
                None => self.0.get(key).await,
            }
        }
        async fn commit(&self, record: Record) -> Result<Commit, mcp_token_lifecycle::StoreError> {
            self.0.commit(record).await
        }
        async fn list(
            &self,
            select: Select,
            after: Option<mcp_token_lifecycle::Cursor>,
            limit: usize,
        ) -> Result<mcp_token_lifecycle::Page, mcp_token_lifecycle::StoreError> {
            self.0.list(select, after, limit).await
        }
        async fn purge(&self, now: Timestamp, limit: usize) -> Result<usize, mcp_token_lifecycle::StoreError> {
            self.0.purge(now, limit).await
        }
    }
    let world = world();
    world.put();
    let other = Account::new("user-2", SERVICE);
    world.sim.run(world.vault.put(&other, world.tokens(), BoundTo::subject())).unwrap();
    let swapping = world_on(std::sync::Arc::new(Swapping(world.store.clone())), Default::default());
    let refused = swapping.lease().unwrap_err();
    assert!(
        matches!(&refused, LeaseError::Fault(fault) if fault.kind() == VaultErrorKind::CorruptRecord),
        "{refused:?}"
    );
}

#[test]
fn an_older_record_put_back_under_a_newer_version_does_not_open() {
    let world = world();
    world.put();
    let [old] = &*records(&world) else { panic!("one record") };
    world.pass(1_000);
    assert_eq!(world.lease().unwrap(), access_token(1));
    let [new] = &*records(&world) else { panic!("one record") };
    assert_eq!(parts(old)[..2], parts(new)[..2], "the data key stays with the record");
    overwrite(&world, at_version(old.clone(), new.version + 1));
    assert_corrupt(&world);
}

#[test]
fn no_part_of_a_record_can_be_altered() {
    let world = world();
    world.put();
    let (root, original) = (root(&world), records(&world).remove(0));
    // On a store of its own, so that the version is the right one.
    let lease = |record: Record| {
        let altered = crate::world::world();
        overwrite(&altered, root.clone());
        overwrite(&altered, record);
        altered.lease()
    };
    assert_eq!(lease(original.clone()).unwrap(), access_token(0));
    let check = |alter: &dyn Fn(&mut Record)| {
        let mut record = original.clone();
        alter(&mut record);
        assert!(matches!(lease(record), Err(LeaseError::Fault(_))));
    };
    for at in 0..original.payload.len() {
        check(&|record| record.payload[at] ^= 1);
        check(&|record| record.payload.truncate(at));
    }
    check(&|record| record.payload.push(0));
    check(&|record| record.expires_at = Timestamp::from_unix(record.expires_at.as_unix() - 1));
    check(&|record| record.indexes.clear());
    check(&|record| record.indexes[0] = IndexKey::from_bytes([1; 16]));
    check(&|record| record.indexes.push(IndexKey::from_bytes([1; 16])));
}

#[test]
fn a_new_credential_is_sealed_with_a_data_key_of_its_own() {
    let world = world();
    world.put();
    let before = parts(&records(&world)[0]);
    world.put();
    assert_ne!(parts(&records(&world)[0])[1], before[1]);
}

/// Its index keys tell the store what belongs together, and of a deleted one nothing.
#[test]
fn a_record_has_at_most_four_index_keys_and_a_deleted_one_has_none() {
    let world = world();
    let claims = user();
    world.put_for(BoundTo::subject().session(claims.family()).client("client-1"));
    assert_eq!(records(&world)[0].indexes.len(), 3);
    world.service.then_at_revocation(crate::service::Step::Fail(|| {
        mcp_token_lifecycle::vault::UpstreamError::unavailable("down")
    }));
    world.sim.run(world.vault.revoke(&account())).unwrap();
    assert_eq!(records(&world)[0].indexes.len(), Record::MAX_INDEXES);
    world.pass(10);
    world.sim.run(world.vault.retry_revocations()).unwrap();
    assert_eq!(records(&world), []);
}
