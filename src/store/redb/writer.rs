//! The one thread that writes: whatever waits goes into one transaction and shares one sync.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::engine::Engine;
use super::{Reply, rows};
use crate::store::{Commit, Record, StoreError};
use crate::time::Timestamp;

/// The most commits in one transaction: bounds the memory of a batch and the wait of those behind it.
const BATCH: usize = 1024;

/// The most records deleted in one transaction: commits wait no longer than for this many.
const PURGE: usize = 256;

/// What the thread can be asked to do.
pub(super) enum Write {
    Commit { record: Record, reply: Reply<Commit> },
    Purge { now: Timestamp, limit: usize, reply: Reply<usize> },
}

struct Purge {
    now: Timestamp,
    limit: usize,
    removed: usize,
    reply: Reply<usize>,
}

struct Writer<'e> {
    engine: &'e Engine,
    queue: Receiver<Write>,
    records: Vec<Record>,
    replies: Vec<Reply<Commit>>,
    purges: VecDeque<Purge>,
    /// How many shared the last transaction, and how long to wait for as many again.
    company: usize,
    patience: Duration,
}

/// Work until the queue is closed and empty.
pub(super) fn run(engine: &Engine, queue: Receiver<Write>) {
    let mut writer = Writer {
        engine,
        queue,
        records: Vec::new(),
        replies: Vec::new(),
        purges: VecDeque::new(),
        company: 0,
        patience: Duration::ZERO,
    };
    while writer.gather() {
        writer.commit();
        writer.purge();
    }
}

impl Writer<'_> {
    /// Take what waits; sleep only if there is nothing to do. False at the end.
    fn gather(&mut self) -> bool {
        if self.purges.is_empty() {
            match self.queue.recv() {
                Ok(job) => self.accept(job),
                Err(_) => return false,
            }
        }
        // Those who were just answered come back within a moment; a sync without them would make them wait for two.
        let patient_until = Instant::now() + self.patience;
        while self.records.len() < BATCH {
            let wait = match self.records.len() {
                1.. if self.records.len() < self.company => patient_until.saturating_duration_since(Instant::now()),
                _ => Duration::ZERO,
            };
            match self.queue.recv_timeout(wait) {
                Ok(job) => self.accept(job),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        true
    }

    fn accept(&mut self, job: Write) {
        match job {
            Write::Commit { record, reply } => {
                self.records.push(record);
                self.replies.push(reply);
            }
            Write::Purge { now, limit, reply } => {
                self.purges.push_back(Purge { now, limit: limit.max(1), removed: 0, reply });
            }
        }
    }

    fn commit(&mut self) {
        if self.records.is_empty() {
            return;
        }
        let begun = Instant::now();
        let outcome = self.engine.run(|database| rows::swap_all(database, &self.records));
        (self.company, self.patience) = (self.records.len(), begun.elapsed() / 8);
        self.records.clear();
        let replies = self.replies.drain(..);
        match outcome {
            Ok(outcomes) => {
                for (reply, outcome) in replies.zip(outcomes) {
                    let _ = reply.send(outcome.map_err(StoreError::from));
                }
            }
            Err(fault) => {
                for reply in replies {
                    let _ = reply.send(Err(fault.clone().into()));
                }
            }
        }
    }

    /// One step of the first purge, so that commits get their turn before the next.
    fn purge(&mut self) {
        let Some(mut purge) = self.purges.pop_front() else { return };
        let step = (purge.limit - purge.removed).min(PURGE);
        match self.engine.run(|database| rows::purge(database, purge.now, step)) {
            Ok(removed) => {
                purge.removed += removed;
                if removed < step || purge.removed == purge.limit {
                    let _ = purge.reply.send(Ok(purge.removed));
                } else {
                    self.purges.push_front(purge);
                }
            }
            Err(fault) => {
                let _ = purge.reply.send(Err(match purge.removed {
                    0 => fault.into(),
                    _ => StoreError::uncertain(fault),
                }));
            }
        }
    }
}
