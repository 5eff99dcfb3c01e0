//! What [`TokenStore`] asks of every store, and what this one promises besides.

use std::collections::BTreeSet;
use std::sync::Barrier;
use std::task::Poll;

use super::*;

fn open() -> (tempfile::TempDir, RedbStore) {
    let (dir, path) = temporary();
    (dir, RedbStore::open(path).unwrap())
}

fn commit(store: &RedbStore, record: Record) -> Commit {
    block_on(store.commit(record)).unwrap()
}

#[test]
fn commit_applies_only_the_next_version() {
    let (_dir, store) = open();
    assert_eq!(get(&store, 1), None);
    for version in [0, 2, u64::MAX] {
        assert_eq!(commit(&store, record(1, version, 10)), Commit::Conflict);
    }
    apply(&store, record(1, 1, 10));
    for version in [0, 1, 3, u64::MAX] {
        assert_eq!(commit(&store, record(1, version, 20)), Commit::Conflict);
    }
    assert_eq!(get(&store, 1), Some(record(1, 1, 10)));
    apply(&store, record(1, 2, 20));
    assert_eq!(get(&store, 1), Some(record(1, 2, 20)));
}

#[test]
fn commit_conflicts_after_the_last_version() {
    let (_dir, path) = temporary();
    let database = engine::create_missing(&path).and_then(|()| engine::open_file(&path)).unwrap();
    rows::tests::plant(&database, &record(1, u64::MAX, 10));
    drop(database);
    let store = RedbStore::open(path).unwrap();
    assert_eq!(commit(&store, record(1, 0, 10)), Commit::Conflict);
    assert_eq!(commit(&store, record(1, 1, 10)), Commit::Conflict);
}

#[test]
fn empty_and_largest_records_come_back_as_given() {
    let (_dir, store) = open();
    let indexes: Vec<_> = (0..Record::MAX_INDEXES as u64).map(index).collect();
    let largest = Record::new(key(1), 1, at(u64::MAX), indexes.clone(), vec![7; Record::MAX_PAYLOAD]);
    let smallest = Record::new(key(2), 1, at(0), vec![], vec![]);
    for record in [&largest, &smallest] {
        apply(&store, record.clone());
        assert_eq!(block_on(store.get(record.key)).unwrap().as_ref(), Some(record));
    }
    let mut wide = largest.clone();
    wide.indexes.push(index(99));
    let mut long = largest;
    long.payload.push(0);
    for record in [wide, long] {
        let refused = block_on(store.commit(Record { key: key(3), ..record }));
        assert!(matches!(refused, Err(StoreError::Unavailable(_))));
    }
    assert_eq!(get(&store, 3), None);
}

#[test]
fn listings_follow_the_index_keys_in_pages() {
    let (_dir, store) = open();
    for n in 0..100 {
        apply(&store, record(n, 1, 10));
    }
    let sorted = |of: &dyn Fn(u64) -> bool| (0..100).filter(|n| of(*n)).map(key).collect::<BTreeSet<_>>();
    for limit in [1, 7, 25, 100, 1000] {
        assert!(keys(&store, Select::All, limit).into_iter().eq(sorted(&|_| true)));
        let shared = keys(&store, Select::Index(index(1_000_003)), limit);
        assert!(shared.into_iter().eq(sorted(&|n| n % 4 == 3)));
    }
    assert_eq!(keys(&store, Select::Index(index(55)), 10), [key(55)]);
    assert_eq!(keys(&store, Select::Index(index(12345)), 10), []);

    let mut moved = record(55, 2, 10);
    moved.indexes = vec![index(12345)];
    apply(&store, moved);
    assert_eq!(keys(&store, Select::Index(index(55)), 10), []);
    assert_eq!(keys(&store, Select::Index(index(12345)), 10), [key(55)]);
    assert!(!keys(&store, Select::Index(index(1_000_003)), 10).contains(&key(55)));
}

#[test]
fn listing_passes_over_index_keys_with_the_same_beginning() {
    let (_dir, store) = open();
    let similar = |last| {
        let mut bytes = [7; 16];
        bytes[15] = last;
        IndexKey::from_bytes(bytes)
    };
    for n in 0..40 {
        let indexes = vec![similar(n as u8 % 4), similar(4)];
        apply(&store, Record { indexes, ..record(n, 1, 10) });
    }
    for limit in [1, 3, 10, 100] {
        let third: BTreeSet<_> = (0..40).filter(|n| n % 4 == 2).map(key).collect();
        assert!(keys(&store, Select::Index(similar(2)), limit).into_iter().eq(third));
        assert_eq!(keys(&store, Select::Index(similar(4)), limit).len(), 40);
        assert_eq!(keys(&store, Select::Index(similar(5)), limit), []);
    }
    apply(&store, Record { indexes: vec![similar(4)], ..record(2, 2, 10) });
    assert!(!keys(&store, Select::Index(similar(2)), 10).contains(&key(2)));
    assert!(keys(&store, Select::Index(similar(4)), 10).contains(&key(2)));
}

#[test]
fn purge_of_far_expiries_deletes_only_what_expired() {
    let (_dir, store) = open();
    let far = [1 << 39, (1 << 40) - 1, 1 << 40, 1 << 50, u64::MAX];
    for (n, expires_at) in (0..).zip(far) {
        apply(&store, record(n, 1, expires_at));
        assert_eq!(get(&store, n), Some(record(n, 1, expires_at)));
    }
    let purge = |now, limit| block_on(store.purge(at(now), limit)).unwrap();
    assert_eq!(purge((1 << 39) - 1, 9), 0);
    assert_eq!(purge(1 << 39, 9), 1);
    assert_eq!((purge(1 << 45, 1), purge(1 << 45, 1), purge(1 << 45, 1)), (1, 1, 0));
    assert_eq!(keys(&store, Select::All, 9).len(), 2);
    assert_eq!((purge(u64::MAX, 1), purge(u64::MAX, 9)), (1, 1));
}

#[test]
fn record_written_last_is_read_at_once_until_it_is_purged() {
    let (_dir, store) = open();
    apply(&store, record(1, 1, 10));
    let mut waker = Context::from_waker(Waker::noop());
    let mut read = Box::pin(store.get(key(1)));
    let Poll::Ready(Ok(found)) = read.as_mut().poll(&mut waker) else { panic!("no thread is needed") };
    assert_eq!(found, Some(record(1, 1, 10)));
    assert_eq!(commit(&store, record(1, 3, 10)), Commit::Conflict);
    assert_eq!(get(&store, 1), Some(record(1, 1, 10)));
    assert_eq!(block_on(store.purge(at(10), 9)).unwrap(), 1);
    assert_eq!(get(&store, 1), None);
    apply(&store, record(1, 1, 20));
    assert_eq!(get(&store, 1), Some(record(1, 1, 20)));
}

#[test]
fn purge_deletes_what_expired_and_nothing_else() {
    let (_dir, store) = open();
    for n in 0..1000 {
        apply(&store, record(n, 1, n));
    }
    apply(&store, record(3, 2, 5000));
    apply(&store, record(900, 2, 4));
    let purge = |now, limit| block_on(store.purge(at(now), limit)).unwrap();
    assert_eq!(purge(4, 2), 2);
    assert_eq!(purge(4, 100), 3, "0, 1, 2, 4 and 900 had expired");
    assert_eq!(purge(4, 100), 0);
    assert_eq!(get(&store, 900), None);
    assert_eq!(get(&store, 5).unwrap().version, 1);
    assert_eq!(purge(799, usize::MAX), 795, "more than one transaction's worth");
    let left: BTreeSet<_> = (800..1000).filter(|n| *n != 900).chain([3]).map(key).collect();
    assert!(keys(&store, Select::All, 64).into_iter().eq(left));
    assert_eq!(keys(&store, Select::Index(index(1_000_003)), 64).len(), 51);
    assert_eq!(keys(&store, Select::Index(index(900)), 64), []);
    apply(&store, record(900, 1, 10_000));
}

#[test]
fn commit_of_one_version_by_64_threads_applies_once() {
    let (_dir, store) = open();
    for version in 1..=20 {
        let start = Barrier::new(64);
        let wins: usize = thread::scope(|scope| {
            let threads: Vec<_> = (0..64)
                .map(|n| {
                    let (start, store) = (&start, &store);
                    scope.spawn(move || {
                        let mut record = record(1, version, 10);
                        record.payload[100] = n;
                        start.wait();
                        usize::from(commit(store, record) == Commit::Applied)
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(wins, 1);
        assert_eq!(get(&store, 1).unwrap().version, version);
    }
}

#[test]
fn get_sees_what_was_acknowledged_before_it() {
    let (_dir, store) = open();
    thread::scope(|scope| {
        for n in 0..8 {
            let store = &store;
            scope.spawn(move || {
                for version in 1..=50 {
                    apply(store, record(n, version, 10));
                    assert_eq!(get(store, n), Some(record(n, version, 10)));
                }
            });
        }
    });
}

#[test]
fn commit_that_is_dropped_leaves_all_or_nothing() {
    let (_dir, store) = open();
    let (mut written, mut waker) = (0, Context::from_waker(Waker::noop()));
    for n in 0..200 {
        let mut commit = Box::pin(store.commit(record(n, 1, 10)));
        if n % 2 == 0 {
            assert!(matches!(commit.as_mut().poll(&mut waker), Poll::Pending | Poll::Ready(Ok(Commit::Applied))));
        }
        drop(commit);
    }
    // Behind the others in the queue.
    apply(&store, record(1000, 1, 10));
    for n in 0..200 {
        match get(&store, n) {
            None => assert_eq!(keys(&store, Select::Index(index(n)), 10), []),
            Some(found) => {
                assert_eq!((n % 2, &found), (0, &record(n, 1, 10)), "never polled, never written");
                assert_eq!(keys(&store, Select::Index(index(n)), 10), [key(n)]);
                written += 1;
            }
        }
    }
    assert_eq!(written, 100);
    assert_eq!(block_on(store.purge(at(10), 1000)).unwrap(), 101);
}

#[test]
fn dropping_the_store_finishes_accepted_work() {
    let (_dir, path) = temporary();
    let store = RedbStore::open(&path).unwrap();
    let mut waker = Context::from_waker(Waker::noop());
    for n in 0..500 {
        let _ = Box::pin(store.commit(record(n, 1, 10))).as_mut().poll(&mut waker);
    }
    drop(store);
    let store = RedbStore::open(&path).unwrap();
    assert_eq!(keys(&store, Select::All, 100).len(), 500);
    assert_eq!(get(&store, 499), Some(record(499, 1, 10)));
}
