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
