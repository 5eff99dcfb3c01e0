//! Listings, in the order of the members of a sorted set.

use super::RedisStore;
use super::fault::Fault;
use super::layout::{Entry, Row, SHARDS, join, read, shard};
use crate::id::{IndexKey, RecordKey};
use crate::store::{Cursor, Page, StoreError};

impl RedisStore {
    /// Returns the members of a sorted set from `start` on.
    async fn members(&self, name: &[u8], start: &[u8], limit: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut cmd = redis::cmd("ZRANGEBYLEX");
        cmd.arg(name).arg(start).arg("+").arg("LIMIT").arg(0).arg(limit);
        read(self.reads.ask(&cmd).await?)
    }

    /// Returns the rows under `keys`, in that order.
    async fn rows(&self, keys: &[RecordKey]) -> Result<Vec<Option<Row>>, StoreError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut cmd = redis::cmd("MGET");
        for key in keys {
            cmd.arg(self.names.record(*key));
        }
        let found: Vec<Option<Vec<u8>>> = read(self.reads.ask(&cmd).await?)?;
        let mut rows = Vec::with_capacity(keys.len());
        for (key, row) in keys.iter().zip(found) {
            rows.push(self.read_replicated(*key, row).await?);
        }
        Ok(rows)
    }

    /// The cursor is the key of the last record.
    pub(super) async fn list_all(&self, after: Option<Cursor>, limit: usize) -> Result<Page, StoreError> {
        let after = after.and_then(|cursor| cursor.as_bytes().try_into().ok()).map(RecordKey::from_bytes);
        let mut start = after.map_or(b"-".to_vec(), |key| join(&[b"(", key.as_bytes()]));
        let mut keys = Vec::new();
        for shard in after.map_or(0, shard)..SHARDS {
            for key in self.members(&self.names.keys(shard), &start, limit - keys.len()).await? {
                keys.push(RecordKey::from_bytes(key.try_into().map_err(|_| Fault::Row)?));
            }
            if keys.len() == limit {
                break;
            }
            start = b"-".to_vec();
        }
        let next = keys.last().filter(|_| keys.len() == limit).map(|key| Cursor::new(*key.as_bytes()));
        let records = self.rows(&keys).await?.into_iter().flatten().map(|row| row.record).collect();
        Ok(Page::new(records, next))
    }

    /// The cursor is the last entry.
    pub(super) async fn list_index(
        &self,
        index: IndexKey,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        let start = after.map_or(b"-".to_vec(), |cursor| join(&[b"(", cursor.as_bytes()]));
        let members = self.members(&self.names.index(index), &start, limit).await?;
        let entries = members.iter().map(|member| Entry::decode(member)).collect::<Result<Vec<_>, _>>()?;
        let keys: Vec<_> = entries.iter().map(|entry| entry.key).collect();
        let next = members.last().filter(|_| members.len() == limit).cloned().map(Cursor::new);
        let (mut records, mut stale) = (Vec::new(), Vec::new());
        for ((entry, member), row) in entries.iter().zip(members).zip(self.rows(&keys).await?) {
            if entry.is_stale(row.as_ref()) {
                stale.push(member);
            }
            // An entry may be out of date, and its record may be listed under the same index key by another entry.
            records.extend(row.map(|row| row.record).filter(|record| record.indexes.contains(&index)));
        }
        if !stale.is_empty() {
            let _ = self.reads.ask(redis::cmd("ZREM").arg(self.names.index(index)).arg(stale)).await;
        }
        Ok(Page::new(records, next))
    }
}
