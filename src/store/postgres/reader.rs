//! Reads: one statement looks up all waiting keys. Also how a row is decoded.

use super::core::{Core, Read};
use super::error::Fault;
use super::session::Access;
use crate::id::{IndexKey, RecordKey};
use crate::store::{Cursor, Page, Record, Select, StoreError};
use crate::time::Timestamp;
use std::collections::HashMap;

use tokio_postgres::Row;
use tokio_postgres::types::Type;

/// The most records in a page, which bounds the memory that a page takes.
const PAGE: usize = 1024;

impl Core {
    /// Answers `jobs` with one statement. It begins after they arrived, so it sees all that was acknowledged before.
    /// Returns whether the server answered.
    pub(super) async fn look_up(&self, mut jobs: Vec<Read>) -> bool {
        jobs.retain(|job| !job.reply.is_canceled());
        let found = self.records(&jobs).await;
        let answered = found.is_ok();
        match found {
            Ok(records) => {
                for Read { key, reply } in jobs {
                    let _ = reply.send(Ok(records.get(&key).cloned()));
                }
            }
            Err(fault) => {
                for Read { reply, .. } in jobs {
                    let _ = reply.send(Err(StoreError::unavailable(fault.clone())));
                }
            }
        }
        answered
    }

    async fn records(&self, jobs: &[Read]) -> Result<HashMap<RecordKey, Record>, Fault> {
        if jobs.is_empty() {
            return Ok(HashMap::new());
        }
        let keys: Vec<&[u8]> = jobs.iter().map(|job| &job.key.as_bytes()[..]).collect();
        let rows = self.sessions.query(Access::Read, &self.statements.get, &[(&keys, Type::BYTEA_ARRAY)]).await?;
        rows.iter().map(|row| record(row).map(|record| (record.key, record))).collect()
    }

    /// The cursor is the key of the last record.
    pub(super) async fn page(&self, select: Select, after: Option<Cursor>, limit: usize) -> Result<Page, Fault> {
        let limit = limit.clamp(1, PAGE);
        let after = after.as_ref().map_or(&[][..], Cursor::as_bytes);
        let count = limit as i64;
        let (after, count) = ((&after as _, Type::BYTEA), (&count as _, Type::INT8));
        let rows = match select {
            Select::All => self.sessions.query(Access::Read, &self.statements.list_all, &[after, count]).await?,
            Select::Index(index) => {
                let index = &index.as_bytes()[..];
                let parameters = [after, count, (&index as _, Type::BYTEA)];
                self.sessions.query(Access::Read, &self.statements.list_index, &parameters).await?
            }
        };
        let records = rows.iter().map(record).collect::<Result<Vec<_>, _>>()?;
        let next = records.last().filter(|_| records.len() == limit).map(|record| Cursor::new(*record.key.as_bytes()));
        Ok(Page::new(records, next))
    }
}

/// Decodes the record in `row`.
fn record(row: &Row) -> Result<Record, Fault> {
    let number = |column| u64::try_from(row.try_get::<_, i64>(column)?).map_err(|_| Fault::Row);
    let mut indexes = Vec::new();
    for column in 3..3 + Record::MAX_INDEXES {
        if let Some(index) = row.try_get::<_, Option<&[u8]>>(column)? {
            indexes.push(IndexKey::from_bytes(index.try_into().map_err(|_| Fault::Row)?));
        }
    }
    let (key, expires_at) = (record_key(row.try_get(0)?)?, Timestamp::from_unix(number(2)?));
    Ok(Record::new(key, number(1)?, expires_at, indexes, row.try_get(3 + Record::MAX_INDEXES)?))
}

pub(super) fn record_key(bytes: &[u8]) -> Result<RecordKey, Fault> {
    bytes.try_into().map(RecordKey::from_bytes).map_err(|_| Fault::Row)
}
