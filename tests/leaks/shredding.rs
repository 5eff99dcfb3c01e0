//! What a purge and a change of keys leave behind in the file: bytes that cannot be opened once the old key is dropped.
//!
//! Neither overwrites anything: the engine copies on write. This is crypto-shredding, and here it is seen to work.

use std::fs;
use std::sync::Arc;

use mcp_token_lifecycle::{
    Commit, ErrorKind, KeyId, Keyring, MasterKey, MemoryStore, PolicySet, Record, RedbStore, Select, TokenStore,
};

use crate::search::master_key;
use crate::story::keyring;
use crate::support::*;
use chacha20::ChaCha20Rng;
use mcp_token_lifecycle::rand_core::SeedableRng;

const FAMILIES: usize = 120;

fn both_keys() -> Keyring {
    keyring(2).with_retired(KeyId::new(1), MasterKey::from_bytes(master_key(1))).unwrap()
}

fn records(store: &impl TokenStore) -> Vec<Record> {
    block_on(store.list(Select::All, None, 2 * FAMILIES)).unwrap().records
}

/// Whether `left_behind` opens with `keyring`: it does if it can be moved to another key.
fn opens(left_behind: &Record, keyring: Keyring) -> Result<usize, ErrorKind> {
    let bench = bench_on(MemoryStore::new(), keyring, PolicySet::default());
    assert_eq!(block_on(bench.issuer.store().commit(left_behind.clone())).unwrap(), Commit::Applied);
    block_on(bench.issuer.rekey()).map_err(|error| error.kind())
}

#[test]
fn redb_remnants_after_purge_and_rekey_open_with_no_key() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tokens.redb");
    let store = Arc::new(RedbStore::open(&path).unwrap());
    let mut old = bench_on(Arc::clone(&store), keyring(1), PolicySet::default());
    old.issuer = old.issuer.with_rng(ChaCha20Rng::from_seed([7; 32]));
    (0..FAMILIES / 2).for_each(|_| drop(old.begin(grant())));
    let purged = records(&store);
    // These are purged, and those that come now are moved to the new key.
    old.pass(91 * 24 * 3600);
    (0..FAMILIES / 2).for_each(|_| drop(old.begin(grant())));
    assert_eq!(block_on(old.issuer.purge()).unwrap(), purged.len());
    let moved = records(&store);
    let new = old.twin(Arc::clone(&store), both_keys(), PolicySet::default());
    assert_eq!(block_on(new.issuer.rekey()).unwrap(), moved.len());
    drop(new);

    let bytes = fs::read(&path).unwrap();
    let is_left = |record: &&Record| bytes.windows(record.payload.len()).any(|window| window == record.payload);
    let [purged_left, moved_left] = [&purged, &moved].map(|records| records.iter().filter(is_left).collect::<Vec<_>>());
    println!("left in the file: {} of {} purged records", purged_left.len(), purged.len());
    println!("left in the file: {} of {} records from before the change of keys", moved_left.len(), moved.len());
    assert!(!purged_left.is_empty() && !moved_left.is_empty(), "nothing is left that one could try to open");
    for record in purged_left.into_iter().chain(moved_left) {
        assert_eq!(opens(record, both_keys()), Ok(1), "with the old key it still opens");
        assert_eq!(opens(record, keyring(2)), Err(ErrorKind::UnknownKey(KeyId::new(1))));
    }

    // And active families are served without the old key.
    let new = old.twin(store, keyring(2), PolicySet::default());
    assert_eq!(block_on(new.issuer.list_families("user-1")).unwrap().len(), moved.len());
}
