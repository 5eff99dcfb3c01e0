//! Checks of a commit whose caller goes away.

use std::future::poll_fn;
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use super::lab::{Checked, Lab, index, next, record, same};
use crate::store::{Commit, Record, Select};

/// Long enough for a write that was in progress when its future was dropped, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn dropped_commit(lab: &Lab) -> Checked {
    for n in 0..40 {
        let first = Record { indexes: vec![index(1)], ..record(n) };
        poll_and_drop(lab, &first, n % 4 + 1)?;
        settle(lab, None, &first)?;
        if lab.get(first.key)?.is_none() {
            // The commit may have been in progress until now.
            let _either = lab.commit(&first)?;
        }
        lab.holds(&first)?;
        let second = Record { indexes: vec![index(2)], ..next(&first) };
        poll_and_drop(lab, &second, n % 4 + 1)?;
        settle(lab, Some(&first), &second)?;
        // The successor replaces either version, and the dropped commit does not take effect later.
        let found = lab.get(first.key)?.ok_or("a dropped commit has removed the record")?;
        let mut third = Record { indexes: vec![index(3)], payload: b"the end".to_vec(), ..next(&found) };
        if lab.commit(&third)? == Commit::Conflict {
            third.version += 1;
            lab.apply(&third)?;
        }
        lab.holds(&third)?;
        let listed = |number| Ok::<_, String>(lab.list(Select::Index(index(number)), 100)?.contains_key(&third.key));
        ensure!(!listed(1)? && !listed(2)? && listed(3)?, "a dropped commit has left index entries behind");
    }
    Ok(())
}

/// Begins to commit `record`, polls that `polls` times, and drops it.
fn poll_and_drop(lab: &Lab, record: &Record, polls: u64) -> Checked {
    lab.wait(async {
        let mut commit = lab.commit_future(record);
        for _ in 0..polls {
            let done = poll_fn(|cx| Poll::Ready(commit.as_mut().poll(cx).is_ready())).await;
            if done {
                break;
            }
            thread::yield_now();
        }
    })
}

/// Waits until the record and both listings agree that the record is `old`, or that it is `new`.
fn settle(lab: &Lab, old: Option<&Record>, new: &Record) -> Checked {
    let begin = Instant::now();
    loop {
        let found = lab.get(new.key)?;
        let applied = found.as_ref().is_some_and(|found| found.version == new.version);
        match (&found, if applied { Some(new) } else { old }) {
            (None, None) => {}
            (Some(found), Some(expected)) => same(found, expected)?,
            (found, _) => return Err(format!("a dropped commit has left {found:?}")),
        }
        let mut agree = true;
        for number in [1, 2] {
            let listed = lab.list(Select::Index(index(number)), 100)?.contains_key(&new.key);
            agree &= listed == found.as_ref().is_some_and(|found| found.indexes.contains(&index(number)));
        }
        if agree {
            return Ok(());
        }
        ensure!(begin.elapsed() < PATIENCE, "a dropped commit has left {found:?} and index entries that do not fit it");
        thread::sleep(Duration::from_millis(1));
    }
}
