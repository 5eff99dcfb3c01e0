//! The threads that read. Each answers all waiting reads from one snapshot.

use super::engine::Engine;
use super::error::Fault;
use super::reply::Reply;
use super::rows::Snapshot;
use crate::id::RecordKey;
use crate::store::batch::Consumer;
use crate::store::{Cursor, Page, Record, Select, StoreError};

/// The most reads that one thread takes at once; it leaves the rest to the other threads.
const BATCH: usize = 64;

/// The jobs of the reading threads.
pub(super) enum Read {
    Get { key: RecordKey, reply: Reply<Option<Record>> },
    List { select: Select, after: Option<Cursor>, limit: usize, reply: Reply<Page> },
}

/// Works until the queue is closed and empty.
pub(super) fn run(engine: &Engine, queue: &Consumer<Read>) {
    loop {
        let jobs = queue.next(BATCH);
        if jobs.is_empty() {
            return;
        }
        // The snapshot begins after the jobs were taken, so it contains everything that was acknowledged before they
        // arrived.
        let mut waiting = jobs.into_iter();
        let outcome = engine.run(|database| {
            let snapshot = Snapshot::of(database)?;
            for job in waiting.by_ref() {
                job.answer(&snapshot)?;
            }
            Ok(())
        });
        if let Err(fault) = outcome {
            waiting.for_each(|job| job.refuse(fault.clone()));
        }
    }
}

impl Read {
    /// Returns an error only if the engine failed.
    fn answer(self, snapshot: &Snapshot) -> Result<(), Fault> {
        match self {
            Self::Get { key, reply } => send(reply, snapshot.get(key)),
            Self::List { select, after, limit, reply } => send(reply, snapshot.list(select, after.as_ref(), limit)),
        }
    }

    fn refuse(self, fault: Fault) {
        match self {
            Self::Get { reply, .. } => drop(reply.send(Err(StoreError::unavailable(fault)))),
            Self::List { reply, .. } => drop(reply.send(Err(StoreError::unavailable(fault)))),
        }
    }
}

fn send<T>(reply: Reply<T>, result: Result<T, Fault>) -> Result<(), Fault> {
    let failed = result.as_ref().err().filter(|fault| fault.is_of_engine()).cloned();
    let _ = reply.send(result.map_err(StoreError::unavailable));
    failed.map_or(Ok(()), Err)
}
