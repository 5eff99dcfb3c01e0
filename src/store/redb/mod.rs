//! Records in one file, with the embedded engine redb: durable, pure Rust, without a server.
//!
//! | file | concept |
//! |---|---|
//! | `engine` | the open file, and reopening it after a failure |
//! | `rows` | the layout of the tables, and every change to them |
//! | `writer` | one thread: many commits, one sync |
//! | `reader` | a few threads: many reads, one snapshot |
//! | `recent` | the records that were written last, which are read without the file |

mod engine;
mod error;
mod reader;
mod recent;
mod reply;
mod rows;
#[cfg(test)]
mod tests;
mod writer;

use std::fmt;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use futures_channel::oneshot;

use self::engine::Engine;
pub use self::error::RedbOpenError;
use self::error::{Fault, OpenFault, QUEUE};
use self::reader::Read;
use self::reply::Reply;
use self::writer::Write;
use super::batch::{Batcher, Consumer, Refused};
use super::{Commit, Cursor, Page, Record, Select, StoreError, TokenStore};
use crate::id::RecordKey;
use crate::time::Timestamp;

/// A durable [`TokenStore`] in one file.
///
/// ```no_run
/// # fn main() -> Result<(), mcp_token_lifecycle::RedbOpenError> {
/// let store = mcp_token_lifecycle::RedbStore::open("/var/lib/my-server/tokens.redb")?;
/// # Ok(()) }
/// ```
///
/// # Durability
///
/// [`Commit::Applied`] is returned after the write was synced to the disk. It survives a crash of the process or the
/// system and a loss of power, provided that the disk keeps what it reports as synced. A file that a crash leaves
/// behind is repaired when it is opened. Commits that arrive together share one sync, so the throughput grows with the
/// number of callers.
///
/// # Blocking
///
/// The futures never block and need no particular runtime: the store has its own threads for the file, one that writes
/// and a few that read. [`open`](Self::open) and dropping the store do block. Dropping waits for the accepted work;
/// afterwards the file may be opened again. When more than 8,192 reads or writes wait, further ones return
/// [`StoreError::Unavailable`].
///
/// The records that were written last, up to 16 MiB of them, also stay in memory. Reading one of those needs no thread:
/// a family that was refreshed lately is checked at the speed of a [`MemoryStore`](crate::MemoryStore).
///
/// # Failures
///
/// The store returns [`StoreError::Unavailable`] if nothing was written, and [`StoreError::Uncertain`] if a commit
/// failed, a purge failed halfway or the engine panicked during a write. After a failure of the engine or the disk, the
/// next operation closes and reopens the file, so a store whose disk was full recovers by itself.
///
/// The exception is a commit that failed with an I/O error other than a lack of space. After a failed sync the
/// operating system may show data that never reached the disk, so no later write could be trusted. The store then stays
/// unavailable until the disk was checked and the process was restarted.
///
/// # Security
///
/// One process at a time can open the file. A new file is readable and writable by its owner alone (mode 0600 on Unix);
/// the mode of an existing file is left unchanged. Keys, index keys, versions and expiries are in the clear; payloads
/// are stored as given, and the issuer seals them. The engine copies on write and does not overwrite what it frees, so
/// bytes of purged and replaced records stay in free pages for a while. To make them unreadable, rotate the key that
/// sealed them, re-key, and drop the old key.
pub struct RedbStore {
    path: PathBuf,
    engine: Arc<Engine>,
    writes: Arc<Batcher<Write>>,
    reads: Arc<Batcher<Read>>,
    threads: Vec<JoinHandle<()>>,
}

impl RedbStore {
    /// Opens the store in the file `path`, and creates the file if it is missing.
    ///
    /// It blocks: it reads the whole file and verifies its checksums, which takes seconds for a million records.
    ///
    /// # Errors
    ///
    /// * [`RedbOpenError::AlreadyOpen`] if this or another process has the file open.
    /// * [`RedbOpenError::NotAStore`] if the file is not a token store of a layout that this version knows.
    /// * [`RedbOpenError::Damaged`] if the file is damaged beyond what redb repairs.
    /// * [`RedbOpenError::Io`] if the operating system refuses.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, RedbOpenError> {
        let path = path.as_ref().to_owned();
        engine::create_missing(&path).map_err(|fault| fault.at(&path))?;
        let file = path.clone();
        Self::start(path, move || engine::open_file(&file))
    }

    /// Starts the threads on the database that `open` opens.
    fn start(path: PathBuf, open: impl Fn() -> engine::Opened + Send + Sync + 'static) -> Result<Self, RedbOpenError> {
        let failed = |fault: OpenFault| fault.at(&path);
        let engine = Arc::new(Engine::open(open).map_err(failed)?);
        let (writes, reads) = (Arc::new(Batcher::new(QUEUE)), Arc::new(Batcher::new(QUEUE)));
        let mut threads = vec![{
            let (engine, queue) = (engine.clone(), Consumer::new(writes.clone()));
            let thread = thread::Builder::new().name("token-writer".into());
            thread.spawn(move || writer::run(&engine, &queue)).map_err(|error| failed(error.into()))?
        }];
        let queue = Arc::new(Consumer::new(reads.clone()));
        for _ in 0..thread::available_parallelism().map_or(2, NonZero::get).clamp(2, 4) {
            let (engine, queue) = (engine.clone(), queue.clone());
            let thread = thread::Builder::new().name("token-reader".into());
            let thread = thread.spawn(move || reader::run(&engine, &queue));
            threads.push(thread.map_err(|error| failed(error.into()))?);
        }
        Ok(Self { path, engine, writes, reads, threads })
    }
}

/// Passes a job to a thread and waits for the answer.
async fn ask<J, T>(queue: &Batcher<J>, job: impl FnOnce(Reply<T>) -> J) -> Result<T, StoreError> {
    let (reply, answer) = oneshot::channel();
    match queue.push(job(reply)) {
        Ok(()) => answer.await.unwrap_or_else(|_| Err(StoreError::uncertain(Fault::Stopped))),
        Err(Refused::Full) => Err(StoreError::unavailable(Fault::Overloaded)),
        Err(Refused::Closed) => Err(StoreError::unavailable(Fault::Stopped)),
    }
}

impl TokenStore for RedbStore {
    async fn get(&self, key: RecordKey) -> Result<Option<Record>, StoreError> {
        match self.engine.recent().get(key) {
            Some(record) => Ok(Some(record)),
            None => ask(&self.reads, |reply| Read::Get { key, reply }).await,
        }
    }

    async fn commit(&self, record: Record) -> Result<Commit, StoreError> {
        if !record.is_within_limits() {
            return Err(StoreError::unavailable(Fault::TooLarge));
        }
        ask(&self.writes, |reply| Write::Commit { record, reply }).await
    }

    async fn list(&self, select: Select, after: Option<Cursor>, limit: usize) -> Result<Page, StoreError> {
        ask(&self.reads, |reply| Read::List { select, after, limit, reply }).await
    }

    async fn purge(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        ask(&self.writes, |reply| Write::Purge { now, limit, reply }).await
    }
}

impl Drop for RedbStore {
    fn drop(&mut self) {
        // The threads finish the waiting jobs and end.
        self.writes.close();
        self.reads.close();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for RedbStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedbStore").field("path", &self.path).finish_non_exhaustive()
    }
}
