//! docs/scenarios.md and the tests hold each other to account.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

enum Held {
    By(Vec<String>),
    NotApplicable(String),
}

/// The rows `| S-nn | behaviour | tests or reason |`.
fn table() -> BTreeMap<u32, Held> {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/scenarios.md")).unwrap();
    let mut rows = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("| S-")) {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [id, behaviour, held] = cells[..] else { panic!("three columns: {line}") };
        let number = id.strip_prefix("S-").and_then(|number| number.parse().ok()).expect(line);
        assert!(!behaviour.is_empty(), "a behaviour: {line}");
        let held = match held.strip_prefix("not applicable here:") {
            Some(reason) => Held::NotApplicable(reason.trim().to_owned()),
            None => Held::By(held.split(',').map(|name| name.trim().trim_matches('`').to_owned()).collect()),
        };
        assert!(rows.insert(number, held).is_none(), "{id} is there twice");
    }
    rows
}

/// The names of the test functions beside this file that are called by an id.
fn tests() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let source = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let lines: Vec<_> = source.lines().map(str::trim).collect();
        for pair in lines.windows(2) {
            let name = pair[1].strip_prefix("fn ").and_then(|rest| rest.split('(').next());
            if let (Some(name), "#[test]") = (name, pair[0])
                && id(name).is_some()
            {
                assert!(names.insert(name.to_owned()), "{name} is there twice");
            }
        }
    }
    names
}

/// The id that a test is called by: `s14_…`.
fn id(name: &str) -> Option<u32> {
    let (id, behaviour) = name.strip_prefix('s')?.split_once('_')?;
    if behaviour.is_empty() { None } else { id.parse().ok() }
}

#[test]
fn every_scenario_is_listed_and_held_by_a_test_or_has_a_reason() {
    let (table, tests) = (table(), tests());
    assert_eq!(table.keys().copied().collect::<Vec<_>>(), (1..=65).collect::<Vec<_>>());
    for (number, held) in &table {
        match held {
            Held::By(names) => {
                for name in names {
                    assert!(tests.contains(name), "S-{number:02} names the test {name}, which does not exist");
                }
                assert!(names.iter().any(|name| id(name) == Some(*number)), "S-{number:02} has no test of its own");
            }
            Held::NotApplicable(reason) => assert!(reason.len() > 20, "S-{number:02} needs a reason"),
        }
    }
}

#[test]
fn every_test_with_an_id_is_listed() {
    let listed: BTreeSet<String> = table()
        .into_values()
        .flat_map(|held| match held {
            Held::By(names) => names,
            Held::NotApplicable(_) => Vec::new(),
        })
        .collect();
    let missing: Vec<_> = tests().into_iter().filter(|name| !listed.contains(name)).collect();
    assert_eq!(missing, Vec::<String>::new());
}
