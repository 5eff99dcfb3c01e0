//! Records in one file, through the embedded engine redb: durable, pure Rust, no server.
//!
//! | file | concept |
//! |---|---|
//! | `engine` | the open file, and opening it again after a failure |
//! | `rows` | what the tables look like, and every change to them |
//! | `writer` | one thread: many commits, one sync |
//! | `reader` | a few threads: many reads, one snapshot |

mod engine;
mod error;
mod reader;
mod reply;
mod rows;
#[cfg(test)]
mod tests;
mod writer;

use std::fmt;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use futures_channel::oneshot;

use self::engine::Engine;
pub use self::error::RedbOpenError;
use self::error::{Fault, OpenFault};
use self::reader::Read;
use self::reply::Reply;
use self::writer::Write;
use super::{Commit, Cursor, Page, Record, Select, StoreError, TokenStore};
use crate::id::RecordKey;
use crate::time::Timestamp;

/// How many jobs may wait for a thread. Beyond it the store answers [`StoreError::Unavailable`] rather than grow.
const QUEUE: usize = 8192;

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
/// [`Commit::Applied`] is answered after the write has been synced to the disk: it outlives a crash of the process, of the
/// system, and a loss of power, as far as the disk keeps what it says it has synced. A file left behind by a crash is
/// repaired when it is opened. Commits that arrive together share one sync, so throughput grows with the number of callers.
///
/// # Blocking
///
/// The futures never block and need no particular runtime: the store has threads of its own for the file, one that writes and
/// a few that read. [`open`](Self::open) and dropping the store do block. Dropping waits for the work that was accepted; the
/// file may then be opened again. When more than 8,192 reads or writes wait, further ones are [`StoreError::Unavailable`].
///
/// # Failures
///
/// [`StoreError::Unavailable`] when nothing was written, [`StoreError::Uncertain`] when the sync itself failed. After a failure
/// of the engine or the disk the next operation closes the file and opens it again, so that a store whose disk was full
/// recovers by itself. The exception is a commit that failed for any other reason than a lack of space: after a failed sync the
/// operating system may show data that never reached the disk, and nothing more can safely be built on it. The store then
/// stays unavailable until the disk has been seen to and the process started again.
///
/// # Security
///
/// One process at a time opens the file. A new file is readable and writable by its owner alone (mode 0600); the mode of a file
/// that exists is left alone. Keys, index keys, versions and expiries are in the clear; payloads are whatever was given, which
/// the issuer seals. The engine copies on write and does not overwrite what it frees, so bytes of purged and replaced records
/// stay in free pages for a while: to make them unreadable, rotate the key that sealed them, re-key, and drop the old one.
pub struct RedbStore {
    path: PathBuf,
    /// Both `None` only while dropping.
    writes: Option<SyncSender<Write>>,
    reads: Option<SyncSender<Read>>,
    threads: Vec<JoinHandle<()>>,
}

impl RedbStore {
    /// Open the store in the file `path`, creating it if there is none.
    ///
    /// Blocks: the whole file is read and its checksums verified, which takes seconds for a million records. A file that was
    /// altered is refused rather than trusted.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, RedbOpenError> {
        let path = path.as_ref().to_owned();
        engine::create_missing(&path).map_err(|fault| fault.at(&path))?;
        let file = path.clone();
        Self::start(path, move || engine::open_file(&file))
    }

    /// Start the threads over whatever `open` opens.
    fn start(path: PathBuf, open: impl Fn() -> engine::Opened + Send + Sync + 'static) -> Result<Self, RedbOpenError> {
        let failed = |fault: OpenFault| fault.at(&path);
        let engine = Arc::new(Engine::open(open).map_err(failed)?);
        let (writes, queue) = sync_channel(QUEUE);
        let mut threads = vec![{
            let engine = engine.clone();
            let thread = thread::Builder::new().name("token-writer".into());
            thread.spawn(move || writer::run(&engine, queue)).map_err(|error| failed(error.into()))?
        }];
        let (reads, queue) = sync_channel(QUEUE);
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..thread::available_parallelism().map_or(2, NonZero::get).clamp(2, 4) {
            let (engine, queue) = (engine.clone(), queue.clone());
            let thread = thread::Builder::new().name("token-reader".into());
            let thread = thread.spawn(move || reader::run(&engine, &queue));
            threads.push(thread.map_err(|error| failed(error.into()))?);
        }
        Ok(Self { path, writes: Some(writes), reads: Some(reads), threads })
    }
}

/// Hand a job over and wait for the answer.
async fn ask<J, T>(queue: Option<&SyncSender<J>>, job: impl FnOnce(Reply<T>) -> J) -> Result<T, StoreError> {
    let (reply, answer) = oneshot::channel();
    match queue.map(|queue| queue.try_send(job(reply))) {
        Some(Ok(())) => answer.await.unwrap_or_else(|_| Err(StoreError::uncertain(Fault::Stopped))),
        Some(Err(TrySendError::Full(_))) => Err(StoreError::unavailable(Fault::Overloaded)),
        Some(Err(TrySendError::Disconnected(_))) | None => Err(StoreError::unavailable(Fault::Stopped)),
    }
}

impl TokenStore for RedbStore {
    async fn get(&self, key: RecordKey) -> Result<Option<Record>, StoreError> {
        ask(self.reads.as_ref(), |reply| Read::Get { key, reply }).await
    }

    async fn commit(&self, record: Record) -> Result<Commit, StoreError> {
        if !record.is_within_limits() {
            return Err(StoreError::unavailable(Fault::TooLarge));
        }
        ask(self.writes.as_ref(), |reply| Write::Commit { record, reply }).await
    }

    async fn list(&self, select: Select, after: Option<Cursor>, limit: usize) -> Result<Page, StoreError> {
        ask(self.reads.as_ref(), |reply| Read::List { select, after, limit, reply }).await
    }

    async fn purge(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        ask(self.writes.as_ref(), |reply| Write::Purge { now, limit, reply }).await
    }
}

impl Drop for RedbStore {
    fn drop(&mut self) {
        // Without senders the threads finish what waits and end.
        (self.writes, self.reads) = (None, None);
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
