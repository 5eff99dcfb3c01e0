//! The store against its contract, and against crashes, failing disks and damaged files.

mod contract;
mod crash;
mod disk;
mod failure;
mod file;

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use super::*;
use crate::id::IndexKey;
use crate::store::Record;

/// Wait for `future` on this thread.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

/// Wait for all of `futures`, polled in order so that they wait together.
fn join_all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    block_on(std::future::poll_fn(|cx| {
        for (future, output) in &mut futures {
            if output.is_none() {
                *output = match future.as_mut().poll(cx) {
                    Poll::Ready(output) => Some(output),
                    Poll::Pending => None,
                };
            }
        }
        if futures.iter().all(|(_, output)| output.is_some()) { Poll::Ready(()) } else { Poll::Pending }
    }));
    futures.into_iter().filter_map(|(_, output)| output).collect()
}

fn key(n: u64) -> RecordKey {
    let mut bytes = [0; 16];
    // Spread over the key space, as random keys are.
    bytes[..8].copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    bytes[8..].copy_from_slice(&n.to_be_bytes());
    RecordKey::from_bytes(bytes)
}

fn index(n: u64) -> IndexKey {
    IndexKey::from_bytes(*key(!n).as_bytes())
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix(seconds)
}

/// A record of two index keys, one its own and one shared, with a payload that tells key and version.
fn record(n: u64, version: u64, expires_at: u64) -> Record {
    let mut payload = vec![0; 195];
    payload[..8].copy_from_slice(&n.to_le_bytes());
    payload[8..16].copy_from_slice(&version.to_le_bytes());
    Record::new(key(n), version, at(expires_at), vec![index(n), index(1_000_000 + n % 4)], payload)
}

fn temporary() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tokens.redb");
    (dir, path)
}

fn apply(store: &RedbStore, record: Record) {
    assert_eq!(block_on(store.commit(record)).unwrap(), Commit::Applied);
}

fn get(store: &RedbStore, n: u64) -> Option<Record> {
    block_on(store.get(key(n))).unwrap()
}

/// All keys of a listing, in pages of `limit`.
fn keys(store: &RedbStore, select: Select, limit: usize) -> Vec<RecordKey> {
    let (mut keys, mut after) = (Vec::new(), None);
    loop {
        let page = block_on(store.list(select, after, limit)).unwrap();
        assert!(page.records.len() <= limit);
        keys.extend(page.records.iter().map(|record| record.key));
        after = page.next;
        if after.is_none() {
            return keys;
        }
    }
}
