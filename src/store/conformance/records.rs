//! Checks of one record on one thread: it is returned as written, and only the next version replaces it.

use super::lab::{Checked, FAR, Lab, index, key, next, record};
use crate::id::RecordKey;
use crate::store::{Record, Select};
use crate::time::Timestamp;

pub(super) fn empty_store(lab: &Lab) -> Checked {
    lab.lacks(key(1))?;
    lab.lists(Select::All, 10, &[])?;
    lab.lists(Select::Index(index(1)), 10, &[])?;
    let purged = lab.purge(i64::MAX as u64, 10)?;
    ensure!(purged == 0, "purged {purged} records of none");
    lab.apply(&Record { indexes: vec![index(1)], ..record(1) })?;
    lab.lacks(key(2))?;
    lab.lists(Select::Index(index(2)), 10, &[])
}

pub(super) fn parts_kept(lab: &Lab) -> Checked {
    let every_byte: Vec<u8> = (0..=u8::MAX).chain((0..=u8::MAX).rev()).collect();
    let largest: Vec<u8> = every_byte.iter().copied().cycle().take(Record::MAX_PAYLOAD).collect();
    let payloads = [vec![], vec![0], vec![0; 100], vec![0xff; 100], b"'; -- \"\\%_\r\n".to_vec(), every_byte, largest];
    let expiries = [0, 1, 1_800_000_000, u32::MAX.into(), u64::from(u32::MAX) + 1, 1 << 53, (1 << 53) + 1];
    let mut records = Vec::new();
    for payload in payloads {
        records.push(Record { payload, ..record(records.len() as u64) });
    }
    for expires_at in expiries.map(Timestamp::from_unix) {
        records.push(Record { expires_at, ..record(records.len() as u64) });
    }
    // Neither in rising nor in falling order, because a store must not sort them.
    for count in 0..=Record::MAX_INDEXES {
        let indexes = [3, 1, 4, 2].into_iter().map(index).take(count).collect();
        records.push(Record { indexes, ..record(records.len() as u64) });
    }
    for bytes in [[0; 16], [0xff; 16], *b"'; -- \"\\%_ \r\n\t\0 "] {
        records.push(Record { key: RecordKey::from_bytes(bytes), ..record(0) });
    }
    for record in &records {
        lab.apply(record)?;
        lab.holds(record)?;
    }
    for record in &records {
        lab.holds(record)?;
    }
    lab.lists(Select::All, 100, &records)
}

pub(super) fn parts_replaced(lab: &Lab) -> Checked {
    let large = Record {
        payload: vec![0xa5; Record::MAX_PAYLOAD],
        indexes: (1..=4).map(index).collect(),
        expires_at: Timestamp::from_unix(5),
        ..record(1)
    };
    let small = Record { version: 2, payload: vec![], indexes: vec![], expires_at: FAR, ..record(1) };
    let large_again = Record { version: 3, ..large.clone() };
    for record in [large, small, large_again] {
        lab.apply(&record)?;
        lab.holds(&record)?;
        lab.lists(Select::All, 10, &[record])?;
    }
    Ok(())
}

pub(super) fn keys_apart(lab: &Lab) -> Checked {
    // Equal for a store that trims, folds case or truncates.
    let keys = [[0; 16], [b' '; 16], [b'a'; 16], [b'A'; 16]].into_iter().flat_map(|bytes| {
        let (mut first, mut last) = (bytes, bytes);
        first[0] = 1;
        last[15] = 1;
        [bytes, first, last]
    });
    let records: Vec<Record> =
        keys.enumerate().map(|(n, bytes)| Record { key: RecordKey::from_bytes(bytes), ..record(n as u64) }).collect();
    for record in &records {
        lab.lacks(record.key)?;
        lab.apply(record)?;
    }
    let (first, others) = records.split_first().ok_or("no records")?;
    lab.apply(&next(first))?;
    others.iter().try_for_each(|record| lab.holds(record))
}

pub(super) fn insert_once(lab: &Lab) -> Checked {
    let first = Record { indexes: vec![index(1)], ..record(1) };
    lab.apply(&first)?;
    let second =
        Record { indexes: vec![index(2)], expires_at: Timestamp::default(), payload: vec![2], ..first.clone() };
    for again in [&first, &second] {
        lab.refuse(again)?;
        unchanged(lab, &first)?;
    }
    Ok(())
}

pub(super) fn replace_previous_only(lab: &Lab) -> Checked {
    let first = Record { indexes: vec![index(1)], ..record(1) };
    lab.apply(&first)?;
    lab.apply(&next(&first))?;
    let stored = next(&next(&first));
    lab.apply(&stored)?;
    for version in [0, 1, 2, 3, 5, 6, 259, i64::MAX as u64] {
        let expires_at = Timestamp::default();
        lab.refuse(&Record { version, indexes: vec![index(2)], expires_at, payload: vec![2], ..stored.clone() })?;
        unchanged(lab, &stored)?;
    }
    lab.apply(&next(&stored))?;
    lab.holds(&next(&stored))
}

/// Checks that `stored`, the only record, is unchanged, and is listed under index 1 and not under index 2.
fn unchanged(lab: &Lab, stored: &Record) -> Checked {
    lab.holds(stored)?;
    lab.lists(Select::Index(index(1)), 10, std::slice::from_ref(stored))?;
    lab.lists(Select::Index(index(2)), 10, &[])?;
    let purged = lab.purge(1, 10)?;
    ensure!(purged == 0, "a write that met a conflict has moved the expiry");
    Ok(())
}

pub(super) fn replace_absent(lab: &Lab) -> Checked {
    for version in [0, 2, 3, 258, i64::MAX as u64] {
        lab.refuse(&Record { version, indexes: vec![index(1)], ..record(1) })?;
        lab.lacks(key(1))?;
        lab.lists(Select::Index(index(1)), 10, &[])?;
    }
    lab.apply(&record(1))
}

pub(super) fn version_chain(lab: &Lab) -> Checked {
    let mut current = record(1);
    lab.apply(&current)?;
    while current.version < 300 {
        lab.refuse(&current)?;
        current = next(&current);
        lab.apply(&current)?;
        lab.holds(&current)?;
    }
    Ok(())
}
