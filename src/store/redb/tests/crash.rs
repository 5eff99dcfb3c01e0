//! Every state a crash can leave: for each prefix of the disk's log, some of the writes since the last sync, some of them torn.

use std::collections::BTreeMap;

use super::disk::{Disk, Op};
use super::*;

const RECORDS: u64 = 40;
const SUBSETS: usize = 8;

/// A change of one record, and where in the log it was begun and acknowledged.
struct Event {
    begun: usize,
    acknowledged: usize,
    /// The version from here on; `None` when purged.
    version: Option<u64>,
}

/// What happened to each record, in order.
type History = BTreeMap<u64, Vec<Event>>;

/// A splitmix64 generator: the same states in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// Inserts, rotations, changes of expiry, purges and a restart, in batches of several sizes.
fn workload(disk: &Disk) -> History {
    let mut random = Random(1);
    let mut history = History::new();
    let mut store = disk.store().unwrap();
    // Version and expiry as last acknowledged.
    let mut live: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
    for round in 0..100_u64 {
        let begun = disk.state().log.len();
        if round % 6 == 5 {
            let expired: Vec<u64> = live.iter().filter(|(_, live)| live.1 <= round).map(|(n, _)| *n).collect();
            assert_eq!(block_on(store.purge(at(round), 1000)).unwrap(), expired.len());
            let acknowledged = disk.state().log.len();
            for n in expired {
                live.remove(&n);
                history.entry(n).or_default().push(Event { begun, acknowledged, version: None });
            }
            continue;
        }
        if round == 45 {
            drop(store);
            store = disk.store().unwrap();
        }
        let start = random.below(RECORDS);
        let batch: Vec<_> = (start..start + 1 + random.below(12)).map(|n| n % RECORDS).collect();
        let records: Vec<_> = batch
            .iter()
            .map(|n| {
                let (version, expires_at) = live.get(n).copied().unwrap_or((0, round + 8));
                let extension = if random.below(3) == 0 { random.below(20) } else { 0 };
                live.insert(*n, (version + 1, expires_at + extension));
                record(*n, version + 1, expires_at + extension)
            })
            .collect();
        let outcomes = join_all(records.into_iter().map(|record| store.commit(record)));
        let acknowledged = disk.state().log.len();
        for (n, outcome) in batch.into_iter().zip(outcomes) {
            assert_eq!(outcome.unwrap(), Commit::Applied);
            history.entry(n).or_default().push(Event { begun, acknowledged, version: Some(live[&n].0) });
        }
    }
    history
}

/// Open what the crash left after `position` operations. The number of acknowledged changes that are not there.
fn lost(image: Vec<u8>, position: usize, history: &History) -> Result<usize, RedbOpenError> {
    let store = Disk::with(image).store()?;
    let page = block_on(store.list(Select::All, None, 2 * RECORDS as usize)).unwrap();
    let found: BTreeMap<_, _> = page.records.into_iter().map(|record| (record.key, record)).collect();
    let mut lost = 0;
    for (n, events) in history {
        let last = events.iter().rposition(|event| event.acknowledged <= position);
        let since = events[last.unwrap_or(0)..].iter().filter(|event| event.begun <= position);
        let possible: Vec<_> = since.map(|event| event.version).chain(last.is_none().then_some(None)).collect();
        let record = found.get(&key(*n));
        lost += usize::from(!possible.contains(&record.map(|record| record.version)));
        assert!(record.is_none_or(|record| record.payload == super::record(*n, record.version, 0).payload), "altered");
    }
    let own = history.keys().map(|n| store.list(Select::Index(index(*n)), None, 2));
    for (n, page) in history.keys().zip(join_all(own)) {
        assert_eq!(page.unwrap().records.first(), found.get(&key(*n)), "the index says otherwise");
    }
    let found = found.len();
    assert_eq!(block_on(store.purge(at(u64::MAX), 1000)).unwrap(), found, "every record expires, and nothing else");
    apply(&store, record(1, 1, 10));
    Ok(lost)
}

/// The states explored, the acknowledged changes lost, and the states that did not open.
fn explore(start: &[u8], log: &[Op], history: &History, (step, phase): (usize, usize), synced: bool) -> [usize; 3] {
    let mut random = Random(2 + phase as u64);
    let (mut states, mut missing, mut unopened) = (0, 0, 0);
    let mut check = |image: Vec<u8>, position| {
        states += 1;
        match lost(image, position, history) {
            Ok(lost) => missing += lost,
            Err(e) => {
                unopened += 1;
                assert!(!synced, "after {position} operations: {e:?}");
            }
        }
    };
    let mut durable = start.to_vec();
    let mut pending: Vec<&Op> = Vec::new();
    for (position, op) in log.iter().enumerate() {
        if matches!(op, Op::Sync) && synced {
            pending.drain(..).for_each(|op| op.apply(&mut durable));
        } else {
            pending.push(op);
        }
        if position % step != phase {
            continue;
        }
        // `position` counts operations from the first of the log.
        let position = position + 1;
        let mut all = durable.clone();
        pending.iter().for_each(|op| op.apply(&mut all));
        check(all, position);
        if pending.is_empty() {
            continue;
        }
        check(durable.clone(), position);
        for subset in 0..SUBSETS {
            let mut some = durable.clone();
            for op in &pending {
                // From nearly all to nearly none, half of the subsets torn.
                let kept = random.below(SUBSETS as u64) >= subset as u64;
                match subset % 2 {
                    0 if kept => op.apply(&mut some),
                    0 => {}
                    _ => op.tear(&mut some, || random.below(SUBSETS as u64) >= subset as u64),
                }
            }
            check(some, position);
        }
    }
    [states, missing, unopened]
}

#[test]
fn crash_loses_nothing_that_was_acknowledged() {
    let disk = Disk::default();
    drop(disk.store().unwrap());
    // A file is linked in place only when it is complete: see `create_missing`.
    let start = disk.state().bytes.clone();
    disk.state().log.clear();
    let history = workload(&disk);
    let log = std::mem::take(&mut disk.state().log);

    let [states, missing, _] = thread::scope(|scope| {
        let halves = [0, 1].map(|phase| {
            let (start, log, history) = (&start, &log, &history);
            scope.spawn(move || explore(start, log, history, (2, phase), true))
        });
        let [a, b] = halves.map(|half| half.join().unwrap());
        [0, 1, 2].map(|i| a[i] + b[i])
    });
    println!("{states} crash states of {} disk operations: {missing} acknowledged changes lost", log.len());
    assert!(states >= 10_000);
    assert_eq!(missing, 0);

    let [states, missing, unopened] = explore(&start, &log, &history, (20, 0), false);
    println!(
        "control, syncs ignored: {missing} acknowledged changes lost in {states} states, {unopened} more not opened"
    );
    assert!(missing > 0, "a disk that ignores syncs must be seen to lose something");
}
