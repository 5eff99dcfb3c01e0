//! docs/scenarios.md and the tests hold each other to account.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::rows::{self, Held};

/// The rows `| S-nn | behaviour | tests or reason |`.
fn table() -> BTreeMap<u32, Held> {
    let mut table = BTreeMap::new();
    for row in rows::rows("docs/scenarios.md") {
        let [id, behaviour, held] = &row[..] else { panic!("three columns: {row:?}") };
        let number = id.strip_prefix("S-").and_then(|number| number.parse().ok()).expect(id);
        assert!(!behaviour.is_empty(), "a behaviour: {row:?}");
        assert!(table.insert(number, Held::parse(held)).is_none(), "{id} is there twice");
    }
    table
}

/// The names of the test functions beside this file that are called by an id.
fn tests() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for name in rows::tests("tests/scenarios").into_iter().filter(|name| id(name).is_some()) {
        assert!(names.insert(name.clone()), "{name} is there twice");
    }
    names
}

/// The id that a test is called by: `s14_…`.
fn id(name: &str) -> Option<u32> {
    let (id, behaviour) = name.strip_prefix('s')?.split_once('_')?;
    if behaviour.is_empty() { None } else { id.parse().ok() }
}

#[test]
fn scenarios_are_all_listed_with_a_test_or_a_reason() {
    let table = table();
    let elsewhere: BTreeSet<String> = ["tests", "examples"].into_iter().flat_map(rows::tests).collect();
    assert_eq!(table.keys().copied().collect::<Vec<_>>(), (1..=84).collect::<Vec<_>>());
    for (number, held) in &table {
        match held {
            Held::By(names) => {
                for name in names {
                    assert!(elsewhere.contains(name), "S-{number:02} names the test {name}, which does not exist");
                }
                // From here on a scenario may be about another area than the core, whose tests have names of their own.
                assert!(
                    *number > 65 || names.iter().any(|name| id(name) == Some(*number)),
                    "S-{number:02} has no test of its own"
                );
            }
            Held::NotApplicable(reason) => assert!(reason.len() > 20, "S-{number:02} needs a reason"),
        }
    }
}

#[test]
fn tests_with_a_scenario_id_are_all_listed() {
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
