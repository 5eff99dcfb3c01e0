//! The conformance kit: the stores of this crate pass, and stores with a fault fail where they should.

#[path = "support/broken.rs"]
mod broken;
#[cfg(feature = "redb")]
#[path = "support/in_file.rs"]
mod in_file;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use broken::{Broken, Fault};
use mcp_token_lifecycle::conformance::{Report, Suite};
use mcp_token_lifecycle::{DynTokenStore, MemoryStore};

#[test]
fn memory_store_conforms() {
    let report = Suite::new(|| async { MemoryStore::new() }).run();
    println!("{report}");
    report.assert_ok();
}

#[test]
fn dyn_store_conforms() {
    Suite::new(|| async { Arc::new(MemoryStore::new()) as Arc<dyn DynTokenStore> }).run().assert_ok();
}

#[cfg(feature = "redb")]
#[test]
fn redb_store_conforms() {
    // On a busy machine every write takes its time.
    let suite = Suite::new(|| async { in_file::InFile::new() }).with_time_limit(Duration::from_secs(600));
    let report = suite.run();
    println!("{report}");
    report.assert_ok();
}

fn run(fault: Fault) -> Report {
    Suite::new(move || async move { Broken::new(fault) }).run()
}

#[test]
fn test_store_without_fault_conforms() {
    run(Fault::None).assert_ok();
}

/// A store with `fault` fails these checks, at least.
fn fails(fault: Fault, checks: &[&str]) {
    let report = run(fault);
    println!("{fault:?}\n{report}");
    assert!(!report.is_ok());
    for name in checks {
        assert!(report.failures().any(|outcome| outcome.name == *name), "{fault:?} passed {name}");
    }
}

macro_rules! broken_stores {
    ($($name:ident: $fault:ident fails $($check:ident),+;)+) => {
        $(#[test]
        fn $name() {
            fails(Fault::$fault, &[$(stringify!($check)),+]);
        })+
    };
}

broken_stores! {
    check_then_write: CheckThenWrite fails insert_race, replace_race, increment_race;
    lost_update: LostUpdate fails insert_once, replace_previous_only, replace_race, increment_race;
    delete_as_revocation: DeleteAsRevocation fails never_absent, expiry_moves, parts_replaced;
    delete_then_insert: DeleteThenInsert fails never_absent;
    upsert: Upsert fails replace_absent, purged_key, purge_race;
    stale_read: StaleRead fails read_your_writes;
    acknowledges_before_it_writes: AckFirst fails read_your_writes, parts_kept;
    purge_ignores_expiry_changes: FirstExpiry fails expiry_moves, purge_race;
    purge_in_two_steps: PurgeInTwoSteps fails purge_race;
    list_forgets_index_moves: FirstIndexes fails index_moves, index_race;
    sorts_the_indexes: SortedIndexes fails parts_kept;
    truncates_the_payload: Truncate fails parts_kept, parts_replaced;
    pages_by_offset: OffsetPaging fails list_across_changes;
    half_a_commit: HalfCommit fails dropped_commit;
    conflict_as_error: ErrorOnConflict fails insert_once, replace_previous_only, replace_race;
    panics: Panic fails replace_previous_only;
}

#[test]
fn suite_reports_panic() {
    let report = run(Fault::Panic);
    let failure = report.failures().next().and_then(|outcome| outcome.failure.as_deref());
    assert_eq!(failure, Some("panicked: attempt to subtract with overflow"));
}

#[test]
fn suite_reports_panic_in_a_race() {
    let calls = AtomicUsize::new(0);
    let suite = Suite::new(|| async { MemoryStore::new() }).with_block_on(move |mut future| {
        // The first call makes the store; those after it come from the threads of the race.
        assert_eq!(calls.fetch_add(1, Ordering::Relaxed), 0, "in a race");
        assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
    });
    let report = suite.only(["insert_race"]).run();
    assert!(report.failures().any(|outcome| outcome.failure.as_ref().unwrap().contains("in a race")), "{report}");
}

#[test]
fn suite_reports_driver_that_drops_its_future() {
    let report =
        Suite::new(|| async { MemoryStore::new() }).with_block_on(|future| drop(future)).only(["list_all"]).run();
    assert!(report.to_string().contains("the driver returned before the future was done"), "{report}");
}

#[test]
fn suite_reports_store_that_hangs() {
    let suite = Suite::new(|| async { Broken::new(Fault::Hang) });
    let report = suite.with_time_limit(Duration::from_millis(200)).only(["list_all"]).run();
    assert!(report.to_string().contains("not done after 200ms"), "{report}");
}

#[test]
fn suite_runs_every_future_through_given_driver() {
    let driven = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&driven);
    let suite = Suite::new(|| async { MemoryStore::new() }).with_block_on(move |mut future| {
        count.fetch_add(1, Ordering::Relaxed);
        assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
    });
    suite.only(["version_chain"]).run().assert_ok();
    // One for the store; insert, then a refusal, a commit and a read for each of the other 299 versions.
    assert_eq!(driven.load(Ordering::Relaxed), 1 + 1 + 3 * 299);
}

#[test]
fn suite_fails_for_unknown_check_name() {
    let report = Suite::new(|| async { MemoryStore::new() }).only(["list_al"]).run();
    assert!(!report.is_ok());
    assert!(report.to_string().contains("there is no such check"), "{report}");
}

#[test]
#[should_panic(expected = "contract: All five parts of a record come back exactly as given.")]
fn assert_ok_says_what_the_contract_is() {
    run(Fault::Truncate).assert_ok();
}
