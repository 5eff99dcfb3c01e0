//! Reads that wait for replicas. A read must not return what a failover may still lose, because a request that acts on
//! it would not write it again.

use super::RedisStore;
use super::layout::{Attempt, Row, read};
use crate::id::RecordKey;
use crate::store::StoreError;

impl RedisStore {
    /// Returns the row that was found, or the row that is stored once the replicas have it too.
    pub(super) async fn read_replicated(
        &self,
        key: RecordKey,
        found: Option<Vec<u8>>,
    ) -> Result<Option<Row>, StoreError> {
        let decode = |row: Option<Vec<u8>>| row.map(|row| Row::decode(key, &row)).transpose();
        let (row, wanted) = (decode(found)?, self.replicas.map_or(0, |replicas| replicas.count));
        if row.as_ref().is_none_or(|row| usize::from(row.replicas) >= wanted) {
            return Ok(row);
        }
        let name = self.names.record(key);
        let row = decode(read(self.run(&self.scripts.fence, &[&name], &[]).await?)?)?;
        if let Some(row) = &row {
            self.confirm(key, row.write).await;
        }
        Ok(row)
    }

    /// Notes that the replicas have this write. If that fails, the next reader waits for them again.
    pub(super) async fn confirm(&self, key: RecordKey, write: Attempt) {
        if let Some(replicas) = self.replicas {
            let count = [u8::try_from(replicas.count).unwrap_or(u8::MAX)];
            let name = self.names.record(key);
            let _ = self.reads.run(&self.scripts.confirm, &[&name], &[&write.to_bytes(), &count]).await;
        }
    }
}
