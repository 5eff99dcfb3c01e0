//! Disks that fail, rows that are malformed: nothing acknowledged is lost, and the store recovers where it can.

use std::io::ErrorKind::{Other, StorageFull};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::disk::{Access, Disk};
use super::*;

/// Call until the store has reopened its file.
fn eventually<T>(mut call: impl FnMut() -> Result<T, StoreError>) -> T {
    let begun = Instant::now();
    loop {
        match call() {
            Ok(done) => return done,
            Err(error) => assert!(begun.elapsed() < Duration::from_secs(60), "the store did not recover: {error}"),
        }
        thread::sleep(Duration::from_millis(20));
    }
}

fn disk_with(records: u64) -> (Disk, RedbStore) {
    let disk = Disk::default();
    let store = disk.store().unwrap();
    for n in 0..records {
        apply(&store, record(n, 1, 10));
    }
    (disk, store)
}

#[test]
fn full_disk_is_used_again_once_it_has_room() {
    let (disk, store) = disk_with(100);
    disk.state().failing = Some(|access| (access == Access::Write).then_some(StorageFull));
    assert!(matches!(block_on(store.commit(record(1, 2, 10))), Err(StoreError::Uncertain(_))));
    for _ in 0..5 {
        // Opening needs to write, too.
        let refused = block_on(store.commit(record(2, 2, 10)));
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
        assert!(matches!(block_on(store.get(key(3))), Err(StoreError::Unavailable(_))));
    }
    disk.state().failing = None;
    let found = eventually(|| block_on(store.get(key(1)))).unwrap();
    assert!(found == record(1, 1, 10) || found == record(1, 2, 10), "uncertain is one or the other");
    apply(&store, record(2, 2, 10));
    for n in 3..100 {
        assert_eq!(get(&store, n), Some(record(n, 1, 10)));
    }
    drop(store);
    assert_eq!(get(&disk.store().unwrap(), 2), Some(record(2, 2, 10)));
}

#[test]
fn read_error_is_unavailable_until_the_disk_reads_again() {
    let (disk, store) = disk_with(100);
    drop(store);
    let store = disk.store().unwrap();
    // What the cache has cannot fail; a reopened file starts with nothing.
    disk.state().failing = Some(|access| (access == Access::Write).then_some(StorageFull));
    let _ = block_on(store.commit(record(1, 2, 10)));
    disk.state().failing = Some(|access| (access == Access::Read).then_some(Other));
    thread::sleep(Duration::from_millis(10));
    let refused = block_on(store.commit(record(5, 2, 10)));
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    disk.state().failing = None;
    assert_eq!(eventually(|| block_on(store.get(key(5)))), Some(record(5, 1, 10)));
    apply(&store, record(5, 2, 10));
}

#[test]
fn failed_sync_is_final_until_the_store_is_reopened() {
    let (disk, store) = disk_with(100);
    disk.state().failing = Some(|access| (access == Access::Sync).then_some(Other));
    assert!(matches!(block_on(store.commit(record(1, 2, 10))), Err(StoreError::Uncertain(_))));
    disk.state().failing = None;
    thread::sleep(Duration::from_millis(300));
    let refused = block_on(store.commit(record(2, 2, 10)));
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    assert!(matches!(block_on(store.get(key(2))), Err(StoreError::Unavailable(_))));
    assert!(matches!(block_on(store.purge(at(10), 5)), Err(StoreError::Unavailable(_))));
    drop(store);
    let store = disk.store().unwrap();
    assert_eq!(get(&store, 2), Some(record(2, 1, 10)));
}

#[test]
fn purge_that_fails_halfway_is_uncertain() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static SYNCS: AtomicUsize = AtomicUsize::new(0);
    let (disk, store) = disk_with(600);
    disk.state().failing =
        Some(|access| (access == Access::Sync && SYNCS.fetch_add(1, Ordering::Relaxed) == 1).then_some(StorageFull));
    assert!(matches!(block_on(store.purge(at(10), 600)), Err(StoreError::Uncertain(_))));
    disk.state().failing = None;
    let left = eventually(|| block_on(store.purge(at(10), 1000)));
    assert!(left == 600 - 256 || left == 600 - 512, "{left}");
    assert_eq!(keys(&store, Select::All, 10), []);
}

#[test]
fn malformed_row_fails_only_its_own_operations() {
    let (_dir, path) = temporary();
    drop(RedbStore::open(&path).unwrap());
    rows::tests::plant_row(&engine::open_file(&path).unwrap(), key(1), b"too short");
    let store = RedbStore::open(&path).unwrap();
    let records = (100..120).flat_map(|n| [record(1, 1, 10), record(n, 1, 10)]);
    for (i, outcome) in join_all(records.map(|record| store.commit(record))).into_iter().enumerate() {
        match outcome {
            Err(StoreError::Unavailable(source)) if i % 2 == 0 => {
                assert_eq!(source.to_string(), "a row is malformed: it is too short");
            }
            outcome => assert_eq!((i % 2, outcome.unwrap()), (1, Commit::Applied)),
        }
    }
    assert!(matches!(block_on(store.get(key(1))), Err(StoreError::Unavailable(_))));
    assert!(matches!(block_on(store.list(Select::All, None, 100)), Err(StoreError::Unavailable(_))));
    assert_eq!(get(&store, 100), Some(record(100, 1, 10)));
}

#[test]
fn more_than_can_wait_are_turned_away() {
    let (disk, store) = disk_with(0);
    let mut commits: Vec<_> = (0..4 * QUEUE as u64).map(|n| Box::pin(store.commit(record(n, 1, 10)))).collect();
    let mut refused = 0;
    // Nothing is written before all have come.
    let held = disk.state();
    commits.retain_mut(|commit| match commit.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Pending => true,
        Poll::Ready(Err(StoreError::Unavailable(_))) => {
            refused += 1;
            false
        }
        Poll::Ready(other) => panic!("{other:?}"),
    });
    drop(held);
    let written = commits.len();
    assert!(join_all(commits).into_iter().all(|outcome| matches!(outcome, Ok(Commit::Applied))));
    assert_eq!(keys(&store, Select::All, 256).len(), written);
    assert!(written >= QUEUE && refused > 0, "{written} written, {refused} refused");
}
