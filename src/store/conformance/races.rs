//! Checks with many concurrent writers on real threads.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use super::lab::{Checked, FAR, Lab, index, key, next, record};
use crate::store::{Commit, Record, Select};
use crate::time::Timestamp;

/// Returns the one thread whose commit was applied.
fn winner(commits: &[Commit]) -> Checked<usize> {
    let mut winners = commits.iter().enumerate().filter(|(_, commit)| **commit == Commit::Applied).map(|(at, _)| at);
    let (first, others) = (winners.next(), winners.count());
    let first = first.ok_or_else(|| format!("none of {} commits at once was applied", commits.len()))?;
    ensure!(others == 0, "{} of {} commits at once were applied", others + 1, commits.len());
    Ok(first)
}

/// Returns `record` as written by `thread`.
fn signed(record: Record, thread: usize) -> Record {
    Record { payload: format!("by thread {thread}").into_bytes(), ..record }
}

pub(super) fn insert_race(lab: &Lab) -> Checked {
    for n in 0..40 {
        let commits = lab.race(16, |thread| lab.commit(&signed(record(n), thread)))?;
        lab.holds(&signed(record(n), winner(&commits)?))?;
    }
    Ok(())
}

pub(super) fn replace_race(lab: &Lab) -> Checked {
    const THREADS: usize = 64;
    let mut current = record(1);
    lab.apply(&current)?;
    while current.version <= 50 {
        current = next(&current);
        let commits = lab.race(THREADS, |thread| lab.commit(&signed(current.clone(), thread)))?;
        current = signed(current, winner(&commits).map_err(|error| format!("to the same version {error}"))?);
        lab.holds(&current)?;
    }
    Ok(())
}

pub(super) fn increment_race(lab: &Lab) -> Checked {
    const THREADS: usize = 16;
    const INCREMENTS: usize = 20;
    /// More conflicts than all other threads together can cause.
    const ATTEMPTS: usize = 2 * THREADS * INCREMENTS;
    let counter = |record: &Record| -> Checked<u64> {
        let bytes =
            record.payload.as_slice().try_into().map_err(|_| format!("a payload that no writer wrote: {record:?}"))?;
        Ok(u64::from_be_bytes(bytes))
    };
    lab.apply(&Record { payload: vec![0; 8], ..record(1) })?;
    let increment = || {
        for _ in 0..ATTEMPTS {
            let found = lab.get(key(1))?.ok_or("the counter is gone")?;
            // A pause, so that other threads write in between.
            thread::sleep(Duration::from_micros(100));
            let payload = (counter(&found)? + 1).to_be_bytes().to_vec();
            if lab.commit(&Record { payload, ..next(&found) })? == Commit::Applied {
                return Ok(());
            }
        }
        Err(format!("{ATTEMPTS} conflicts in a row, more than there were writes"))
    };
    lab.race(THREADS, |_| (0..INCREMENTS).try_for_each(|_| increment()))?;
    let end = lab.get(key(1))?.ok_or("the counter is gone")?;
    let (count, writes) = (counter(&end)?, (THREADS * INCREMENTS) as u64);
    ensure!(count == writes, "the counter is at {count} after {writes} increments");
    ensure!(end.version == writes + 1, "version {} after {writes} replacements", end.version);
    Ok(())
}

pub(super) fn index_race(lab: &Lab) -> Checked {
    const THREADS: usize = 8;
    const NOW: u64 = 100;
    for n in 0..30 {
        let first = Record { indexes: vec![index(1000 + n)], ..record(n) };
        lab.apply(&first)?;
        // Every second version expires at once.
        let version = |thread: usize| {
            let expires_at = if thread % 2 == 1 { Timestamp::from_unix(NOW) } else { first.expires_at };
            Record { indexes: vec![index(thread as u64), index(50)], expires_at, ..next(&first) }
        };
        let commits = lab.race(THREADS, |thread| lab.commit(&version(thread)))?;
        let winner = winner(&commits)?;
        lab.holds(&version(winner))?;
        lab.lists(Select::Index(index(1000 + n)), 10, &[])?;
        for thread in 0..THREADS {
            let listed = lab.list(Select::Index(index(thread as u64)), 10)?.contains_key(&first.key);
            ensure!(listed == (thread == winner), "thread {winner} won; index of thread {thread}: listed = {listed}");
        }
        let purged = lab.purge(NOW, 10)?;
        ensure!(purged == winner % 2, "thread {winner} won, and a purge by its expiry deleted {purged}");
    }
    Ok(())
}

pub(super) fn purge_race(lab: &Lab) -> Checked {
    const NOW: u64 = 100;
    const RENEWERS: usize = 4;
    const PURGERS: usize = 2;
    const RECORDS: u64 = 32;
    let renewed = |expired: &Record| Record { expires_at: FAR, ..next(expired) };
    for round in 0..40 {
        let expires_at = Timestamp::from_unix(NOW);
        let numbers = round * RECORDS..(round + 1) * RECORDS;
        let mut expired: Vec<_> =
            numbers.map(|n| Record { expires_at, indexes: vec![index(1)], ..record(n) }).collect();
        expired.iter().try_for_each(|record| lab.apply(record))?;
        // A purge is likely to delete by rising keys, so this order meets it halfway.
        expired.sort_by_key(|record| Reverse(record.key));
        let results = lab.race(RENEWERS + PURGERS, |thread| {
            // The thread that is started last often runs first, so each role is the last in turn.
            let role = (thread + round as usize) % (RENEWERS + PURGERS);
            if role >= RENEWERS {
                return Ok((Vec::new(), lab.purge(NOW, expired.len())?));
            }
            let mut kept = Vec::new();
            for record in expired.iter().skip(role).step_by(RENEWERS) {
                if lab.commit(&renewed(record))? == Commit::Applied {
                    kept.push(record.key);
                }
            }
            Ok((kept, 0))
        })?;
        let purged: usize = results.iter().map(|(_, purged)| purged).sum();
        let kept: BTreeSet<_> = results.into_iter().flat_map(|(kept, _)| kept).collect();
        let listed = lab.list(Select::Index(index(1)), 100)?;
        for record in &expired {
            let in_listing = listed.contains_key(&record.key);
            if kept.contains(&record.key) {
                lab.holds(&renewed(record)).map_err(|error| format!("replaced during a purge: {error}"))?;
                ensure!(in_listing, "replaced during a purge and not listed: {record:?}");
            } else {
                lab.lacks(record.key).map_err(|error| format!("a conflict during a purge: {error}"))?;
                ensure!(!in_listing, "purged and still listed: {record:?}");
            }
        }
        ensure!(kept.len() + purged == expired.len(), "{purged} purged, {} replaced of {RECORDS} records", kept.len());
        let left = lab.purge(NOW, 1)?;
        ensure!(left == 0, "a purge that deleted fewer than it might has left some");
    }
    Ok(())
}
