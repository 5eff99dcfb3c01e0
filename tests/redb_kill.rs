//! A process that is killed at any moment loses nothing that it acknowledged.

#![cfg(feature = "redb")]

mod hammer;

use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use hammer::{Acknowledged, Hammer, hammer, lost};

const VARIABLE: &str = "REDB_KILL_CHILD";
const CYCLES: u64 = 120;

/// Not a test: what the child runs.
#[test]
fn child() {
    if let Some(path) = std::env::var_os(VARIABLE) {
        hammer(Path::new(&path));
    }
}

#[test]
fn redb_kill_loses_no_acknowledged_commit() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tokens.redb");
    let mut acknowledged = Acknowledged::new();
    let mut idle = 0;
    for cycle in 0..CYCLES {
        let mut child = Hammer::start("child", VARIABLE, &path);
        // From before the file is there until well into the work.
        child.wait(10 * (cycle as usize % 4));
        sleep(Duration::from_micros(cycle * 7919 % 60_000));
        let heard = child.kill();
        idle += usize::from(heard.is_empty());
        acknowledged.extend(heard);
        if path.exists() {
            assert_eq!(lost(&path, &acknowledged), 0, "in cycle {cycle}");
        } else {
            assert!(acknowledged.is_empty());
        }
    }
    let commits: u64 = acknowledged.values().sum();
    println!("{CYCLES} kills, {idle} of them before the first commit; {commits} acknowledged commits, none lost");
    assert!(commits > 10 * CYCLES);
}
