//! Checks of listings: they are complete, in pages, and under the right index.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use super::lab::{Checked, Lab, index, key, next, record};
use crate::id::{IndexKey, RecordKey};
use crate::store::{Record, Select};
use crate::time::Timestamp;

const LIMITS: [usize; 5] = [1, 2, 7, 40, 1000];

pub(super) fn list_all(lab: &Lab) -> Checked {
    // Includes the smallest and the largest key, and a number of records that some limits divide and others do not.
    let edges = [[0; 16], [0xff; 16]].map(|bytes| Record { key: RecordKey::from_bytes(bytes), ..record(0) });
    let records: Vec<Record> = edges.into_iter().chain((1..=38).map(record)).collect();
    records.iter().try_for_each(|record| lab.apply(record))?;
    LIMITS.into_iter().try_for_each(|limit| lab.lists(Select::All, limit, &records))
}

pub(super) fn list_index(lab: &Lab) -> Checked {
    let member =
        |n: u64| -> Vec<IndexKey> { [2, 3, 5].into_iter().filter(|d| n.is_multiple_of(*d)).map(index).collect() };
    let records: Vec<Record> = (0..42).map(|n| Record { indexes: member(n), ..record(n) }).collect();
    records.iter().try_for_each(|record| lab.apply(record))?;
    for divisor in [2, 3, 5, 7].map(index) {
        let members: Vec<_> = records.iter().filter(|record| record.indexes.contains(&divisor)).cloned().collect();
        for limit in LIMITS {
            lab.lists(Select::Index(divisor), limit, &members)?;
        }
    }
    Ok(())
}

pub(super) fn index_moves(lab: &Lab) -> Checked {
    let bystander = Record { indexes: vec![index(1), index(2)], ..record(2) };
    lab.apply(&bystander)?;
    let mut current: Option<Record> = None;
    for numbers in [&[1][..], &[2], &[], &[3, 2, 1], &[4, 1], &[1, 4], &[4, 3, 2, 1]] {
        let indexes = numbers.iter().copied().map(index).collect();
        let moved = Record { indexes, ..current.as_ref().map_or_else(|| record(1), next) };
        lab.apply(&moved)?;
        for number in 1..=4 {
            let carriers = [&bystander, &moved].into_iter().filter(|record| record.indexes.contains(&index(number)));
            lab.lists(Select::Index(index(number)), 10, &carriers.cloned().collect::<Vec<_>>())?;
        }
        current = Some(moved);
    }
    Ok(())
}

pub(super) fn list_across_changes(lab: &Lab) -> Checked {
    for (round, select) in [Select::All, Select::Index(index(1))].into_iter().enumerate() {
        let first = 1000 * round as u64;
        let (mut steady, mut fleeting): (Vec<Record>, Vec<Record>) = (Vec::new(), Vec::new());
        for n in first..first + 30 {
            steady.push(Record { indexes: vec![index(1)], ..record(n) });
            let expires_at = Timestamp::from_unix(n % 15);
            fleeting.push(Record { expires_at, indexes: vec![index(1)], ..record(n + 100) });
        }
        steady.iter().chain(&fleeting).try_for_each(|record| lab.apply(record))?;
        let (mut found, mut after) = (BTreeSet::new(), None);
        for turn in 0..Lab::MAX_PAGES as u64 {
            let page = lab.page(select, after, 3)?;
            found.extend(page.records.iter().map(|record| record.key));
            after = page.next;
            if after.is_none() {
                break;
            }
            // Between two pages two records are deleted and one is replaced. For a while, every fourth time, one is
            // inserted.
            lab.purge(turn, 2)?;
            if let Some(record) = steady.get_mut(turn as usize) {
                *record = next(record);
                lab.apply(record)?;
            }
            if turn < 60 && turn % 4 == 0 {
                lab.apply(&Record { indexes: vec![index(1)], ..record(first + 200 + turn) })?;
            }
        }
        ensure!(after.is_none(), "a listing of {select:?} has no end");
        all_found(select, &steady, &found)?;
    }
    Ok(())
}

pub(super) fn list_during_inserts(lab: &Lab) -> Checked {
    const STEADY: u64 = 40;
    const WRITERS: usize = 2;
    const INSERTS: u64 = 200;
    let member = |n| Record { indexes: vec![index(1)], ..record(n) };
    let steady: Vec<Record> = (0..STEADY).map(member).collect();
    steady.iter().try_for_each(|record| lab.apply(record))?;
    let done = AtomicBool::new(false);
    let listings = || {
        for select in [Select::All, Select::Index(index(1))].into_iter().cycle().take(6) {
            let found = lab.list(select, 3)?.into_keys().collect();
            all_found(select, &steady, &found)?;
        }
        Ok(())
    };
    lab.race(WRITERS + 1, |thread| {
        if thread == WRITERS {
            let result = listings();
            done.store(true, Ordering::Relaxed);
            return result;
        }
        let first = STEADY + INSERTS * thread as u64;
        (first..first + INSERTS).take_while(|_| !done.load(Ordering::Relaxed)).try_for_each(|n| lab.apply(&member(n)))
    })?;
    // Afterwards each inserted record is listed.
    let there = (0..STEADY + INSERTS * WRITERS as u64).map(key);
    let listed = lab.list(Select::All, 50)?;
    for key in there {
        ensure!(lab.get(key)?.is_some() == listed.contains_key(&key), "get and list disagree about {key:?}");
    }
    Ok(())
}

fn all_found(select: Select, steady: &[Record], found: &BTreeSet<RecordKey>) -> Checked {
    match steady.iter().find(|record| !found.contains(&record.key)) {
        Some(missing) => Err(format!("{select:?} does not list {missing:?}, which was there all the time")),
        None => Ok(()),
    }
}
