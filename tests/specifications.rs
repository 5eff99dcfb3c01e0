//! docs/specifications.md names no file and no test that does not exist.

#[path = "support/rows.rs"]
mod rows;

use std::collections::BTreeSet;

use rows::{Held, here, rows, tests};

const TABLE: &str = "docs/specifications.md";

#[test]
fn every_requirement_names_where_it_is_met_and_a_test_that_exists_or_a_reason() {
    let tests: BTreeSet<String> = ["src", "tests", "examples"].into_iter().flat_map(tests).collect();
    let rows = rows(TABLE);
    assert!(rows.len() > 100, "{} rows", rows.len());
    for row in rows {
        let [section, asks, place, held] = &row[..] else { panic!("four columns: {row:?}") };
        assert!(!section.is_empty() && !asks.is_empty(), "{row:?}");
        let file = place.trim_matches('`');
        assert!(file.starts_with("src/") && here(file).is_file(), "§{section} names {file}, which does not exist");
        match Held::parse(held) {
            Held::By(names) => {
                for name in names {
                    assert!(tests.contains(&name), "§{section} names the test {name}, which does not exist");
                }
            }
            Held::NotApplicable(reason) => assert!(reason.len() > 20, "§{section} needs a reason"),
        }
    }
}

#[test]
fn every_specification_has_a_table() {
    let text = std::fs::read_to_string(here(TABLE)).unwrap();
    for source in [
        "MCP authorization, revision 2026-07-28",
        "OAuth 2.1",
        "RFC 9700",
        "RFC 6750",
        "RFC 7009",
        "RFC 7662",
        "RFC 8414",
        "RFC 8707",
        "RFC 9207",
        "RFC 9728",
    ] {
        let section = text.split(&format!("\n## {source}")).nth(1).and_then(|rest| rest.split("\n## ").next());
        assert!(section.is_some_and(|section| section.contains("\n| § | asks | where | test |\n")), "{source}");
    }
}
