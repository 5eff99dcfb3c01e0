//! The one thread that writes. All waiting commits go into one transaction and share one sync.

use std::collections::VecDeque;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use super::engine::Engine;
use super::reply::Reply;
use super::rows;
use crate::store::{Commit, Record, StoreError};
use crate::time::Timestamp;

/// The most commits in one transaction. It bounds the memory of a batch, and how long the commits behind it wait.
const BATCH: usize = 1024;

/// The most records deleted in one transaction, which bounds how long commits wait for it.
const PURGE: usize = 256;

/// The jobs of the writing thread.
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
    purges: VecDeque<Purge>,
    /// How many commits shared the last transaction, and how long to wait for as many again.
    last_batch_len: usize,
    patience: Duration,
}

/// Works until the queue is closed and empty.
pub(super) fn run(engine: &Engine, queue: Receiver<Write>) {
    let mut writer = Writer { engine, queue, purges: VecDeque::new(), last_batch_len: 0, patience: Duration::ZERO };
    loop {
        // Sleeps only if there is nothing to do.
        let job = if writer.purges.is_empty() { writer.queue.recv().ok() } else { writer.queue.try_recv().ok() };
        match job {
            Some(Write::Commit { record, reply }) => writer.commit(record, reply),
            Some(Write::Purge { now, limit, reply }) => writer.accept(now, limit, reply),
            None if writer.purges.is_empty() => return,
            None => {}
        }
        writer.purge();
    }
}

impl Writer<'_> {
    fn commit(&mut self, first: Record, reply: Reply<Commit>) {
        let begun = Instant::now();
        let mut replies = vec![reply];
        let outcome = self.engine.run(|database| rows::swap_all(database, self.batch(first, &mut replies)));
        (self.last_batch_len, self.patience) = (replies.len(), begun.elapsed() / 8);
        match outcome {
            Ok(outcomes) => {
                for (reply, outcome) in replies.into_iter().zip(outcomes) {
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

    /// Yields `first` and the commits that arrive in time; the transaction takes them as they arrive.
    fn batch(&mut self, first: Record, replies: &mut Vec<Reply<Commit>>) -> impl Iterator<Item = Record> {
        // The callers that were just answered return within a moment. A sync without them would make them wait for two
        // syncs.
        let patient_until = Instant::now() + self.patience;
        let more = std::iter::from_fn(move || {
            while replies.len() < BATCH {
                let wait = match replies.len() < self.last_batch_len {
                    true => patient_until.saturating_duration_since(Instant::now()),
                    false => Duration::ZERO,
                };
                match self.queue.recv_timeout(wait).ok()? {
                    Write::Commit { record, reply } => {
                        replies.push(reply);
                        return Some(record);
                    }
                    Write::Purge { now, limit, reply } => self.accept(now, limit, reply),
                }
            }
            None
        });
        std::iter::once(first).chain(more)
    }

    fn accept(&mut self, now: Timestamp, limit: usize, reply: Reply<usize>) {
        self.purges.push_back(Purge { now, limit: limit.max(1), removed: 0, reply });
    }

    /// Does one step of the first purge, so that commits get their turn before the next step.
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
