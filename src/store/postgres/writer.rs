//! Writes: all waiting commits share one statement, one sync and one round trip.

use super::core::{Core, Write};
use super::error::Fault;
use super::reader::record_key;
use super::session::Access;
use super::statements::Swap;
use super::workers::Workers;
use crate::id::RecordKey;
use crate::store::{Commit, Record};
use crate::time::Timestamp;
use std::collections::HashSet;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_postgres::types::Type;

/// The most records that one statement deletes, which bounds how long it holds their locks.
const PURGE: usize = 16;

/// The pause after each statement, in which others may run.
const PAUSE: Duration = Duration::from_millis(1);

/// How long to wait before locked records are tried again.
const LOCKED: Duration = Duration::from_millis(10);

impl Core {
    /// Carries out `jobs` with one statement. Returns whether the server answered.
    pub(super) async fn write(&self, swap: &Swap, queue: &Workers<Write>, mut jobs: Vec<Write>) -> bool {
        jobs.retain(|job| !job.reply.is_canceled());
        // Every statement locks its rows in the same order. It contains each row once, because its order among equal
        // keys is not defined.
        jobs.sort_by_key(|job| (job.record.key, job.record.version));
        let (mut batch, mut beaten, mut later) = (Vec::<Write>::with_capacity(jobs.len()), Vec::new(), Vec::new());
        for job in jobs {
            match batch.last() {
                Some(first) if first.record.key != job.record.key => batch.push(job),
                // Of two commits of the same version, the second meets a conflict even if the first fails.
                Some(first) if first.record.version == job.record.version => beaten.push(job),
                Some(_) => later.push(job),
                None => batch.push(job),
            }
        }
        queue.put_back(later);
        let applied = self.applied(swap, &batch).await;
        let answered = applied.is_ok();
        match applied {
            Ok(applied) => {
                for Write { record, reply } in batch {
                    let outcome = if applied.contains(&record.key) { Commit::Applied } else { Commit::Conflict };
                    let _ = reply.send(Ok(outcome));
                }
                for Write { reply, .. } in beaten {
                    let _ = reply.send(Ok(Commit::Conflict));
                }
            }
            Err(fault) => {
                for Write { reply, .. } in batch.into_iter().chain(beaten) {
                    let _ = reply.send(Err(fault.clone().of_write()));
                }
            }
        }
        answered
    }

    /// Returns the keys of the records in `batch` that were written.
    async fn applied(&self, swap: &Swap, batch: &[Write]) -> Result<HashSet<RecordKey>, Fault> {
        if batch.is_empty() {
            return Ok(HashSet::new());
        }
        let records = || batch.iter().map(|job| &job.record);
        let keys: Vec<&[u8]> = records().map(|record| &record.key.as_bytes()[..]).collect();
        // `commit` has checked that the version does not exceed i64::MAX.
        let versions: Vec<i64> = records().map(|record| record.version as i64).collect();
        let expiries: Vec<i64> = records().map(|record| record.expires_at.as_unix() as i64).collect();
        let indexes: [Vec<Option<&[u8]>>; Record::MAX_INDEXES] = std::array::from_fn(|n| {
            records().map(|record| record.indexes.get(n).map(|index| &index.as_bytes()[..])).collect()
        });
        let payloads: Vec<&[u8]> = records().map(|record| &record.payload[..]).collect();
        let [first, second, third, fourth] = &indexes;
        let parameters = [
            (&keys as _, Type::BYTEA_ARRAY),
            (&versions as _, Type::INT8_ARRAY),
            (&expiries as _, Type::INT8_ARRAY),
            (first as _, Type::BYTEA_ARRAY),
            (second as _, Type::BYTEA_ARRAY),
            (third as _, Type::BYTEA_ARRAY),
            (fourth as _, Type::BYTEA_ARRAY),
            (&payloads as _, Type::BYTEA_ARRAY),
        ];
        let statement = if batch.len() == 1 { &swap.one } else { &swap.many };
        let rows = self.sessions.query(Access::Write, statement, &parameters).await?;
        rows.iter().map(|row| record_key(row.try_get(0)?)).collect()
    }

    /// Deletes in small steps, so that no lock is held for long. Records that others have locked are skipped, and
    /// waited for after the others: the lock may belong to another purge, or to a rotation after which the record no
    /// longer expires.
    pub(super) async fn purge(&self, now: Timestamp, limit: usize, removed: &mut usize) -> Result<(), Fault> {
        let now = i64::try_from(now.as_unix()).unwrap_or(i64::MAX);
        let mut progress = Instant::now();
        while *removed < limit {
            let step = (limit - *removed).min(PURGE);
            let parameters = [(&now as _, Type::INT8), (&(step as i64) as _, Type::INT8)];
            let rows = self.sessions.query(Access::Write, &self.statements.purge, &parameters).await?;
            let count = rows.first().ok_or(Fault::Row)?.try_get::<_, i64>(0)? as usize;
            *removed += count;
            if count > 0 {
                progress = Instant::now();
            }
            if count == step {
                sleep(PAUSE).await;
                continue;
            }
            let expired =
                self.sessions.query(Access::Read, &self.statements.any_expired, &[(&now, Type::INT8)]).await?;
            if expired.is_empty() {
                break;
            }
            if progress.elapsed() >= self.sessions.timeout() {
                return Err(Fault::Locked);
            }
            if count == 0 {
                sleep(LOCKED).await;
            }
        }
        Ok(())
    }
}
