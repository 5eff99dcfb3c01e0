//! Checks that every thread sees what has been acknowledged.

use std::sync::atomic::{AtomicBool, Ordering};

use super::lab::{Checked, FAR, Lab, index, key, next, record};
use crate::store::{Record, Select};
use crate::time::Timestamp;

pub(super) fn read_your_writes(lab: &Lab) -> Checked {
    const ROUNDS: u64 = 200;
    let mut current = Record { indexes: vec![index(0)], ..record(1) };
    lab.apply(&current)?;
    for round in 1..=ROUNDS {
        let seen = lab.elsewhere(|| {
            lab.holds(&current)?;
            let there = Select::Index(index((round - 1) % 2));
            lab.lists(there, 10, std::slice::from_ref(&current))?;
            lab.lists(Select::Index(index(round % 2)), 10, &[])
        });
        seen.map_err(|error| format!("after the acknowledgement of version {}: {error}", current.version))?;
        current = Record { indexes: vec![index(round % 2)], ..next(&current) };
        // In every second round another thread writes next.
        if round % 2 == 0 {
            lab.apply(&current)?
        } else {
            lab.elsewhere(|| lab.apply(&current))?
        }
        lab.apply(&record(1 + round))?;
        lab.elsewhere(|| lab.holds(&record(1 + round)))?;
    }
    Ok(())
}

pub(super) fn never_absent(lab: &Lab) -> Checked {
    const REPLACEMENTS: u64 = 300;
    const READERS: usize = 2;
    // Each version changes every part that may change, except index 0.
    let version = |version: u64| {
        let expires_at = Timestamp::from_unix(FAR.as_unix() - version % 2);
        let indexes = vec![index(1 + version % 2), index(0)];
        Record { version, expires_at, indexes, ..record(1) }
    };
    lab.apply(&version(1))?;
    let done = AtomicBool::new(false);
    let look = || {
        while !done.load(Ordering::Relaxed) {
            ensure!(lab.get(key(1))?.is_some(), "while it was replaced, a record could not be found");
            for select in [Select::All, Select::Index(index(0))] {
                let listed = lab.list(select, 10)?;
                ensure!(listed.contains_key(&key(1)), "while it was replaced, a record was not listed by {select:?}");
            }
            lab.refuse(&version(1))
                .map_err(|error| format!("while it was replaced, a record could be inserted: {error}"))?;
        }
        Ok(())
    };
    let replace = || {
        let replaced = (2..=REPLACEMENTS).try_for_each(|n| lab.apply(&version(n)));
        done.store(true, Ordering::Relaxed);
        replaced
    };
    lab.race(1 + READERS, |thread| if thread == 0 { replace() } else { look() })?;
    lab.holds(&version(REPLACEMENTS))
}
