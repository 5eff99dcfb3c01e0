//! The one thread that writes. All waiting commits go into one transaction and share one sync.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::engine::Engine;
use super::reply::Reply;
use super::rows;
use crate::store::batch::{Consumer, Pace};
use crate::store::{Commit, Record, StoreError};
use crate::time::Timestamp;

/// The most commits in one transaction. It bounds the memory of a batch, and how long the commits behind it wait.
const BATCH: usize = 1024;

/// How many commits the thread waits for at once while it gathers. Waking it for each one takes the caller about as long
/// as its commit; waking it for all at the end leaves the other processor idle until then.
const AT_ONCE: usize = 16;

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
    queue: &'e Consumer<Write>,
    /// The jobs that were taken from the queue and not yet begun.
    taken: VecDeque<Write>,
    purges: VecDeque<Purge>,
    pace: Pace,
}

/// Works until the queue is closed and empty.
pub(super) fn run(engine: &Engine, queue: &Consumer<Write>) {
    let (taken, purges) = (VecDeque::new(), VecDeque::new());
    let mut writer = Writer { engine, queue, taken, purges, pace: Pace::default() };
    loop {
        if writer.taken.is_empty() {
            // Sleeps only if there is nothing to do.
            let jobs = if writer.purges.is_empty() {
                writer.queue.next(BATCH)
            } else {
                writer.queue.next_within(Duration::ZERO, 1, BATCH)
            };
            writer.taken.extend(jobs);
        }
        match writer.taken.pop_front() {
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
        let engine = self.engine;
        let outcome =
            engine.run(|database| rows::swap_all(database, engine.recent(), self.batch(first, &mut replies, begun)));
        match outcome {
            Ok(outcomes) => {
                self.pace.learn(replies.len(), begun.elapsed(), Duration::MAX);
                for (reply, outcome) in replies.into_iter().zip(outcomes) {
                    let _ = reply.send(outcome.map_err(StoreError::from));
                }
            }
            Err(fault) => {
                self.pace.forget();
                for reply in replies {
                    let _ = reply.send(Err(fault.clone().into()));
                }
            }
        }
    }

    /// Yields `first` and the commits that arrive in time; the transaction takes them as they arrive.
    fn batch(
        &mut self,
        first: Record,
        replies: &mut Vec<Reply<Commit>>,
        begun: Instant,
    ) -> impl Iterator<Item = Record> {
        let more = std::iter::from_fn(move || {
            while replies.len() < BATCH {
                if self.taken.is_empty() {
                    let missing = self.pace.missing(replies.len(), begun.elapsed());
                    let (wanted, patience) = missing.unwrap_or((0, Duration::ZERO));
                    let jobs = self.queue.next_within(patience, wanted.min(AT_ONCE), BATCH - replies.len());
                    self.taken.extend(jobs);
                }
                match self.taken.pop_front()? {
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
        match self.engine.run(|database| rows::purge(database, self.engine.recent(), purge.now, step)) {
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
