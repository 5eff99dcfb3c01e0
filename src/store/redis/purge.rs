//! The purge: shard by shard, a few records at a time.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::sleep;

use super::RedisStore;
use super::fault::Failure;
use super::layout::{SHARDS, join};
use super::scripts::Purge;
use crate::store::StoreError;
use crate::time::Timestamp;

/// The most records that one run of the script deletes. The server runs nothing else meanwhile.
const BATCH: usize = 4;

/// The pause after each run, in which the server serves others.
const PAUSE: Duration = Duration::from_millis(1);

impl RedisStore {
    /// Purges all shards, beginning with the one where the last purge reached its limit.
    pub(super) async fn delete(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let begin = self.shard.load(Ordering::Relaxed);
        let mut purged = 0;
        for shard in (begin..begin + SHARDS).map(|shard| shard % SHARDS) {
            self.purge_shard(shard, now, limit, &mut purged).await.map_err(|failure| match purged {
                0 => failure.of_write(),
                _ => StoreError::uncertain(failure.fault),
            })?;
            if purged == limit {
                self.shard.store(shard, Ordering::Relaxed);
                break;
            }
        }
        Ok(purged)
    }

    async fn purge_shard(&self, shard: usize, now: Timestamp, limit: usize, purged: &mut usize) -> Result<(), Failure> {
        let (expiries, keys) = (self.names.expiries(shard), self.names.keys(shard));
        let last = join(&[b"[", &now.to_bytes(), &[0xff; 16]]);
        while *purged < limit {
            let batch = BATCH.min(limit - *purged);
            let (records, most) = (self.names.records(shard), batch.to_string());
            let arguments: [&[u8]; 3] = [&records, &last, most.as_bytes()];
            let answer = self.reads.run(&self.scripts.purge, &[&expiries, &keys], &arguments).await?;
            let Purge { seen, deleted } = Purge::read(answer).map_err(Failure::after_sending)?;
            *purged += deleted.len();
            self.delist(deleted).await;
            if seen < batch {
                break;
            }
            sleep(PAUSE).await;
        }
        Ok(())
    }
}
