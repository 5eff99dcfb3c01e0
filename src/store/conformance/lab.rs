//! A fresh store and the means to test it: blocking calls, races, sample records.

use std::any::Any;
use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::future::Future;
use std::sync::{Arc, Barrier};
use std::thread;

use crate::id::{IndexKey, RecordKey};
use crate::store::{BoxFuture, Commit, Cursor, DynTokenStore, Page, Record, Select, StoreError};
use crate::time::Timestamp;

/// The result of a check; `Err` describes the failure.
pub(super) type Checked<T = ()> = Result<T, String>;

pub(super) type BlockOn = dyn Fn(BoxFuture<'_, ()>) + Send + Sync;

pub(super) struct Lab {
    store: Arc<dyn DynTokenStore>,
    block_on: Arc<BlockOn>,
}

impl Lab {
    /// More pages than any listing of the checks needs, even with empty ones among them.
    pub(super) const MAX_PAGES: usize = 20_000;

    pub(super) fn open(
        open: &dyn Fn() -> BoxFuture<'static, Arc<dyn DynTokenStore>>,
        block_on: Arc<BlockOn>,
    ) -> Checked<Self> {
        let store = drive(&*block_on, open())?;
        Ok(Self { store, block_on })
    }

    /// Drives a future of the store to its end, on this thread.
    pub(super) fn wait<T: Send>(&self, future: impl Future<Output = T> + Send) -> Checked<T> {
        drive(&*self.block_on, future)
    }

    fn ask<T: Send>(&self, what: &str, future: BoxFuture<'_, Result<T, StoreError>>) -> Checked<T> {
        self.wait(future)?.map_err(|error| match &error {
            StoreError::Unavailable(source) | StoreError::Uncertain(source) => {
                let mut text = format!("{what} failed: {error}");
                let mut cause: Option<&dyn StdError> = Some(&**source);
                while let Some(error) = cause {
                    text.push_str(&format!(": {error}"));
                    cause = error.source();
                }
                text
            }
        })
    }

    pub(super) fn commit_future(&self, record: &Record) -> BoxFuture<'_, Result<Commit, StoreError>> {
        self.store.commit_dyn(record.clone())
    }

    pub(super) fn get(&self, key: RecordKey) -> Checked<Option<Record>> {
        self.ask("get", self.store.get_dyn(key))
    }

    pub(super) fn commit(&self, record: &Record) -> Checked<Commit> {
        self.ask("commit", self.commit_future(record))
    }

    pub(super) fn purge(&self, now: u64, limit: usize) -> Checked<usize> {
        self.ask("purge", self.store.purge_dyn(Timestamp::from_unix(now), limit))
    }

    pub(super) fn page(&self, select: Select, after: Option<Cursor>, limit: usize) -> Checked<Page> {
        let page = self.ask("list", self.store.list_dyn(select, after, limit))?;
        ensure!(page.records.len() <= limit, "list gave {} records for a limit of {limit}", page.records.len());
        Ok(page)
    }

    /// Lists from the first page to the last, by key.
    pub(super) fn list(&self, select: Select, limit: usize) -> Checked<BTreeMap<RecordKey, Record>> {
        let (mut found, mut after) = (BTreeMap::new(), None);
        for _ in 0..Self::MAX_PAGES {
            let page = self.page(select, after, limit)?;
            found.extend(page.records.into_iter().map(|record| (record.key, record)));
            after = page.next;
            if after.is_none() {
                return Ok(found);
            }
        }
        Err(format!("a listing of {select:?} with a limit of {limit} has no end"))
    }

    /// Commits a record that must be accepted.
    pub(super) fn apply(&self, record: &Record) -> Checked {
        let commit = self.commit(record)?;
        ensure!(commit == Commit::Applied, "a conflict for {record:?}, which nothing stands against");
        Ok(())
    }

    /// Commits a record that must meet a conflict.
    pub(super) fn refuse(&self, record: &Record) -> Checked {
        let commit = self.commit(record)?;
        ensure!(commit == Commit::Conflict, "no conflict for {record:?}");
        Ok(())
    }

    /// Checks that `record` is stored with all its parts.
    pub(super) fn holds(&self, record: &Record) -> Checked {
        match self.get(record.key)? {
            Some(found) => same(&found, record),
            None => Err(format!("{record:?} is not there")),
        }
    }

    /// Checks that there is no record under `key`.
    pub(super) fn lacks(&self, key: RecordKey) -> Checked {
        let found = self.get(key)?;
        ensure!(found.is_none(), "{found:?} is there, and should not be");
        Ok(())
    }

    /// Checks that the listing is exactly `records`, with all their parts.
    pub(super) fn lists(&self, select: Select, limit: usize, records: &[Record]) -> Checked {
        let mut found = self.list(select, limit)?;
        for record in records {
            let found = found.remove(&record.key);
            same(
                &found.ok_or_else(|| format!("{select:?} with a limit of {limit} does not list {record:?}"))?,
                record,
            )?;
        }
        match found.into_values().next() {
            Some(record) => Err(format!("{select:?} lists {record:?}, and should not")),
            None => Ok(()),
        }
    }

    /// Runs `work` on so many threads that all begin at the same time, and returns the results.
    pub(super) fn race<T: Send>(&self, threads: usize, work: impl Fn(usize) -> Checked<T> + Sync) -> Checked<Vec<T>> {
        let barrier = Barrier::new(threads);
        thread::scope(|scope| {
            let run = |number| {
                let (barrier, work) = (&barrier, &work);
                move || {
                    barrier.wait();
                    work(number)
                }
            };
            let handles: Vec<_> = (0..threads).map(|number| scope.spawn(run(number))).collect();
            let joined: Vec<_> = handles.into_iter().map(|handle| handle.join()).collect();
            joined.into_iter().map(|result| result.unwrap_or_else(|panic| Err(panic_message(&*panic)))).collect()
        })
    }

    /// Runs `work` on another thread and returns the result.
    pub(super) fn elsewhere<T: Send>(&self, work: impl Fn() -> Checked<T> + Sync) -> Checked<T> {
        self.race(1, |_| work())?.pop().ok_or_else(|| "no result".to_owned())
    }
}

fn drive<T: Send>(block_on: &BlockOn, future: impl Future<Output = T> + Send) -> Checked<T> {
    let mut output = None;
    block_on(Box::pin(async { output = Some(future.await) }));
    output.ok_or_else(|| "the driver returned before the future was done".to_owned())
}

pub(super) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panicked: {}", text.unwrap_or("with a value that is no text"))
}

/// Checks that `found` equals `expected` in all parts. The error names the parts that differ, and shows no payload.
pub(super) fn same(found: &Record, expected: &Record) -> Checked {
    let mut different = Vec::new();
    if found.key != expected.key {
        different.push(format!("its key is {}", found.key));
    }
    if found.version != expected.version {
        different.push(format!("its version is {} instead of {}", found.version, expected.version));
    }
    if found.expires_at != expected.expires_at {
        let (found, expected) = (found.expires_at.as_unix(), expected.expires_at.as_unix());
        different.push(format!("its expiry is {found} instead of {expected}"));
    }
    if found.indexes != expected.indexes {
        different
            .push(format!("its index keys are {:?} instead of {:?}, in this order", found.indexes, expected.indexes));
    }
    if found.payload != expected.payload {
        let pairs = found.payload.iter().zip(&expected.payload);
        let at = pairs.take_while(|(found, expected)| found == expected).count();
        let (found, expected) = (found.payload.len(), expected.payload.len());
        different.push(format!("its payload of {found} bytes differs at byte {at} from the one of {expected} bytes"));
    }
    ensure!(different.is_empty(), "of record {}: {}", expected.key, different.join("; "));
    Ok(())
}

/// The latest time that a signed 64-bit column can hold.
pub(super) const FAR: Timestamp = Timestamp::from_unix(i64::MAX as u64);

/// Returns the `n`th key. The keys of neighbouring numbers are far apart in key order.
pub(super) fn key(n: u64) -> RecordKey {
    RecordKey::from_bytes(spread(n))
}

/// Returns the `n`th index key.
pub(super) fn index(n: u64) -> IndexKey {
    IndexKey::from_bytes(spread(!n))
}

fn spread(n: u64) -> [u8; 16] {
    // The factor is odd, so no two numbers give the same result.
    let n = n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (u128::from(n) << 64 | u128::from(!n)).to_be_bytes()
}

/// Returns the `n`th record: version 1, without index keys, with the latest expiry.
pub(super) fn record(n: u64) -> Record {
    Record::new(key(n), 1, FAR, Vec::new(), format!("record {n}").into_bytes())
}

/// Returns the successor of `record`: the same with the next version and another payload.
pub(super) fn next(record: &Record) -> Record {
    let version = record.version + 1;
    Record { version, payload: format!("version {version}").into_bytes(), ..record.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_names_each_part_that_differs() {
        let expected = Record::new(key(1), 2, FAR, vec![index(1), index(2)], vec![1, 2, 3]);
        assert_eq!(same(&expected, &expected), Ok(()));
        let found = Record::new(key(1), 3, Timestamp::from_unix(5), vec![index(2), index(1)], vec![1, 2, 4, 5]);
        let error = same(&found, &expected).unwrap_err();
        for part in [
            "its version is 3 instead of 2",
            "its expiry is 5 instead of",
            "in this order",
            "of 4 bytes differs at byte 2",
        ] {
            assert!(error.contains(part), "{error}");
        }
        assert!(!error.contains("its key is"), "{error}");
    }
}
