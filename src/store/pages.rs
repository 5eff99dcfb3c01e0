//! The loops over all pages of a store: through a listing, and through what has expired.

use super::contract::{Cursor, Page, Record, Select, StoreError, TokenStore};
use crate::time::Clock;

/// The number of records in a page: enough to make round trips rare, and few enough to hold in memory.
pub(crate) const PAGE: usize = 256;

/// A listing, page by page.
pub(crate) struct Pages<'a, S> {
    store: &'a S,
    select: Select,
    after: Option<Cursor>,
    is_over: bool,
}

impl<'a, S: TokenStore> Pages<'a, S> {
    pub(crate) fn new(store: &'a S, select: Select) -> Self {
        Self { store, select, after: None, is_over: false }
    }

    /// Returns the records of the next page, or `None` after the last page.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<Record>>, StoreError> {
        if self.is_over {
            return Ok(None);
        }
        let Page { records, next } = self.store.list(self.select, self.after.take(), PAGE).await?;
        self.is_over = next.is_none();
        self.after = next;
        Ok(Some(records))
    }
}

/// Deletes all expired records and returns their number.
pub(crate) async fn purge_all<S: TokenStore>(store: &S, clock: &dyn Clock) -> Result<usize, StoreError> {
    let mut count = 0;
    loop {
        let purged = store.purge(clock.now(), PAGE).await?;
        count += purged;
        if purged < PAGE {
            return Ok(count);
        }
    }
}

#[cfg(test)]
mod tests {
    use pollster::block_on;

    use super::*;
    use crate::{MemoryStore, RecordKey, Timestamp, clock_from_fn};

    /// A store with `count` records that expire at 1.
    fn store(count: usize) -> MemoryStore {
        let store = MemoryStore::new();
        for number in 0..count as u128 {
            let key = RecordKey::from_bytes(number.to_be_bytes());
            let record = Record::new(key, 1, Timestamp::from_unix(1), Vec::new(), Vec::new());
            let _applied = block_on(store.commit(record)).unwrap();
        }
        store
    }

    #[test]
    fn pages_return_each_record_once() {
        for count in [0, 1, PAGE, PAGE + 1, 2 * PAGE] {
            let store = store(count);
            let (mut pages, mut keys) = (Pages::new(&store, Select::All), Vec::new());
            while let Some(records) = block_on(pages.next()).unwrap() {
                keys.extend(records.into_iter().map(|record| record.key));
            }
            assert_eq!(keys.len(), count);
            keys.sort();
            keys.dedup();
            assert_eq!(keys.len(), count, "a record was returned twice");
            assert_eq!(block_on(pages.next()).unwrap(), None, "the end stays the end");
        }
    }

    #[test]
    fn purge_all_deletes_every_page() {
        let clock = clock_from_fn(|| Timestamp::from_unix(1));
        for count in [0, PAGE, 2 * PAGE + 1] {
            assert_eq!(block_on(purge_all(&store(count), &clock)).unwrap(), count);
        }
    }
}
