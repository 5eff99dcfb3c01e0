//! The records that were written last. They are read without a thread and without the file.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::id::RecordKey;
use crate::store::Record;

/// The most bytes of records in one of the two generations.
const GENERATION: usize = 8 << 20;

/// What a record takes besides its payload: the structures, the index keys and the slot in the map.
const OVERHEAD: usize = 192;

/// The records that were written last, as they are on the disk.
///
/// A transaction takes out the records that it changes, and puts them back in their new version once it is durable. So
/// while the file may show the old or the new version, every read goes to the file, and no read sees the old version
/// after another has seen the new one.
#[derive(Default)]
pub(super) struct Recent(Mutex<Generations>);

/// When the younger generation is full, it becomes the older one, and the older one is dropped.
#[derive(Default)]
struct Generations {
    young: HashMap<RecordKey, Record>,
    old: HashMap<RecordKey, Record>,
    /// The bytes of the records in the younger generation.
    size: usize,
}

impl Recent {
    pub(super) fn get(&self, key: RecordKey) -> Option<Record> {
        let generations = self.lock();
        generations.young.get(&key).or_else(|| generations.old.get(&key)).cloned()
    }

    /// Takes out the record under `key`, which is about to be changed or deleted.
    pub(super) fn take(&self, key: RecordKey) -> Option<Record> {
        let generations = &mut *self.lock();
        let (young, old) = (generations.young.remove(&key), generations.old.remove(&key));
        generations.size -= young.as_ref().map_or(0, weight);
        young.or(old)
    }

    /// Puts in `records`, which are durable and were taken out before. Of several with one key the last one counts.
    pub(super) fn put(&self, records: impl IntoIterator<Item = Record>) {
        let mut dropped = Vec::new();
        let mut generations = self.lock();
        for record in records {
            generations.size += weight(&record);
            if let Some(last) = generations.young.insert(record.key, record) {
                generations.size -= weight(&last);
            }
            if generations.size > GENERATION {
                let young = std::mem::take(&mut generations.young);
                dropped.push(std::mem::replace(&mut generations.old, young));
                generations.size = 0;
            }
        }
        // Freeing thousands of records takes a while; readers do not wait for it.
        drop(generations);
    }

    pub(super) fn clear(&self) {
        let cleared = std::mem::take(&mut *self.lock());
        drop(cleared);
    }

    fn lock(&self) -> MutexGuard<'_, Generations> {
        // No thread panics while it holds the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn weight(record: &Record) -> usize {
    OVERHEAD + record.payload.len()
}

#[cfg(test)]
mod tests {
    use crate::time::Timestamp;

    use super::*;

    fn record(n: u8, version: u64, payload: usize) -> Record {
        Record::new(RecordKey::from_bytes([n; 16]), version, Timestamp::from_unix(9), vec![], vec![0; payload])
    }

    fn version(recent: &Recent, n: u8) -> Option<u64> {
        recent.get(RecordKey::from_bytes([n; 16])).map(|record| record.version)
    }

    #[test]
    fn recent_has_the_last_version_of_a_key() {
        let recent = Recent::default();
        recent.put([record(1, 1, 0), record(2, 7, 0), record(1, 2, 0)]);
        assert_eq!((version(&recent, 1), version(&recent, 2), version(&recent, 3)), (Some(2), Some(7), None));
    }

    #[test]
    fn recent_record_that_was_taken_is_gone() {
        let recent = Recent::default();
        recent.put([record(1, 1, 0)]);
        assert_eq!(recent.take(RecordKey::from_bytes([1; 16])), Some(record(1, 1, 0)));
        assert_eq!(version(&recent, 1), None);
        assert_eq!(recent.lock().size, 0);
    }

    #[test]
    fn recent_drops_what_was_written_two_generations_ago() {
        let recent = Recent::default();
        let half = GENERATION / 2;
        recent.put([record(1, 1, half), record(2, 1, half)]);
        assert_eq!((version(&recent, 1), version(&recent, 2)), (Some(1), Some(1)));
        recent.put([record(3, 1, half), record(4, 1, half)]);
        assert_eq!([1, 2, 3, 4].map(|n| version(&recent, n)), [None, None, Some(1), Some(1)]);
    }

    #[test]
    fn recent_record_of_the_older_generation_is_taken_too() {
        let recent = Recent::default();
        recent.put([record(1, 1, GENERATION)]);
        assert!(recent.lock().old.contains_key(&RecordKey::from_bytes([1; 16])));
        assert!(recent.take(RecordKey::from_bytes([1; 16])).is_some());
        assert_eq!(version(&recent, 1), None);
    }

    #[test]
    fn recent_record_in_both_generations_is_taken_from_both() {
        let recent = Recent::default();
        recent.put([record(1, 1, GENERATION), record(1, 2, 0)]);
        assert_eq!(recent.take(RecordKey::from_bytes([1; 16])), Some(record(1, 2, 0)));
        assert_eq!(version(&recent, 1), None);
    }

    #[test]
    fn recent_is_empty_after_clear() {
        let recent = Recent::default();
        recent.put([record(1, 1, 0), record(2, 1, GENERATION)]);
        recent.clear();
        assert_eq!((version(&recent, 1), version(&recent, 2)), (None, None));
    }
}
