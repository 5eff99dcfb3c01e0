//! Checks of purges: they delete all expired records, and no others.

use super::lab::{Checked, FAR, Lab, index, key, next, record};
use crate::store::{Record, Select};
use crate::time::Timestamp;

/// Returns the `n`th record with the expiry `expires_at`.
fn until(expires_at: u64, n: u64) -> Record {
    Record { expires_at: Timestamp::from_unix(expires_at), ..record(n) }
}

fn purges(lab: &Lab, now: u64, limit: usize, expected: usize) -> Checked {
    let purged = lab.purge(now, limit)?;
    ensure!(purged == expected, "a purge at {now} with a limit of {limit} deleted {purged} instead of {expected}");
    Ok(())
}

pub(super) fn purge_boundary(lab: &Lab) -> Checked {
    const NOW: u64 = 1_800_000_000;
    let zero = until(0, 1);
    let expired = [until(1, 2), until(NOW - 1, 3), until(NOW, 4)];
    let live = [
        Record { indexes: vec![index(1)], ..until(NOW + 1, 5) },
        Record { indexes: vec![index(2), index(1)], ..until(1 << 40, 6) },
        Record { expires_at: FAR, ..record(7) },
    ];
    [&zero].into_iter().chain(&expired).chain(&live).try_for_each(|record| lab.apply(record))?;
    purges(lab, 0, 10, 1)?;
    lab.lacks(zero.key)?;
    expired.iter().chain(&live).try_for_each(|record| lab.holds(record))?;
    purges(lab, NOW, 10, expired.len())?;
    expired.iter().try_for_each(|record| lab.lacks(record.key))?;
    live.iter().try_for_each(|record| lab.holds(record))?;
    lab.lists(Select::All, 10, &live)?;
    lab.lists(Select::Index(index(1)), 10, &live[..2])?;
    purges(lab, NOW, 10, 0)?;
    purges(lab, FAR.as_unix(), 10, live.len())
}

pub(super) fn purge_limit(lab: &Lab) -> Checked {
    (0..10).try_for_each(|n| lab.apply(&until(n % 3, n)))?;
    lab.apply(&record(10))?;
    for (deleted, left) in [(3, 7), (3, 4), (3, 1), (1, 0), (0, 0)] {
        purges(lab, 2, 3, deleted)?;
        let there = lab.list(Select::All, 100)?.len();
        ensure!(there == left + 1, "{there} records are left instead of {}", left + 1);
    }
    lab.holds(&record(10))
}

pub(super) fn purge_indexes(lab: &Lab) -> Checked {
    let purged = Record { indexes: vec![index(1), index(2)], ..until(5, 1) };
    let live = Record { indexes: vec![index(1)], ..record(2) };
    lab.apply(&purged)?;
    lab.apply(&live)?;
    purges(lab, 5, 10, 1)?;
    let without = |lab: &Lab| {
        lab.lists(Select::Index(index(1)), 10, std::slice::from_ref(&live))?;
        lab.lists(Select::Index(index(2)), 10, &[])
    };
    without(lab)?;
    // A leftover entry would show with the next record under that key.
    lab.apply(&record(1))?;
    without(lab)
}

pub(super) fn purged_key(lab: &Lab) -> Checked {
    let old = next(&until(5, 1));
    lab.apply(&until(5, 1))?;
    lab.apply(&old)?;
    purges(lab, 5, 10, 1)?;
    lab.refuse(&next(&old))?;
    lab.refuse(&old)?;
    lab.lacks(key(1))?;
    lab.apply(&record(1))?;
    lab.holds(&record(1))?;
    lab.apply(&next(&record(1)))?;
    purges(lab, 5, 10, 0)?;
    lab.holds(&next(&record(1)))
}

pub(super) fn expiry_moves(lab: &Lab) -> Checked {
    let moved = |from: u64, to: u64, n: u64| -> Checked<Record> {
        let first = Record { indexes: vec![index(1)], ..until(from, n) };
        let second = Record { expires_at: Timestamp::from_unix(to), ..next(&first) };
        lab.apply(&first)?;
        lab.apply(&second)?;
        Ok(second)
    };
    let later = moved(10, 30, 1)?;
    let earlier = moved(30, 10, 2)?;
    let kept = moved(20, 20, 3)?;
    purges(lab, 10, 10, 1)?;
    lab.lacks(earlier.key)?;
    lab.holds(&later)?;
    purges(lab, 20, 10, 1)?;
    lab.lacks(kept.key)?;
    lab.holds(&later)?;
    purges(lab, 29, 10, 0)?;
    purges(lab, 30, 10, 1)?;
    lab.lacks(later.key)
}
