//! docs/specifications.md is made of tests/sections.md and of the `/// spec:` lines on the tests.

#[path = "support/rows.rs"]
#[allow(dead_code, reason = "another test uses the rest")]
mod rows;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use rows::here;

const SECTIONS: &str = "tests/sections.md";
const DOCUMENT: &str = "docs/specifications.md";

/// The names of the tests by what their `/// spec:` lines say: `RFC 9700 §4.14.2`.
fn specs() -> BTreeMap<String, Vec<String>> {
    let mut specs = BTreeMap::<String, Vec<String>>::new();
    for folder in ["src", "tests", "examples"] {
        collect(&here(folder), &mut specs);
    }
    specs.values_mut().for_each(|names| names.sort_unstable());
    specs
}

fn collect(path: &Path, specs: &mut BTreeMap<String, Vec<String>>) {
    if path.is_dir() {
        fs::read_dir(path).unwrap().for_each(|entry| collect(&entry.unwrap().path(), specs));
    } else if path.extension().is_some_and(|extension| extension == "rs") {
        let mut pending = Vec::new();
        for line in fs::read_to_string(path).unwrap().lines().map(str::trim) {
            if let Some(section) = line.strip_prefix("/// spec: ") {
                pending.push(section.to_owned());
            } else if let Some(name) = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ") {
                let name = name.split('(').next().unwrap();
                pending.drain(..).for_each(|section| specs.entry(section).or_default().push(name.to_owned()));
            } else {
                let is_between = line.is_empty() || line.starts_with("///") || line.starts_with("#[");
                assert!(is_between || pending.is_empty(), "{}: no test follows {pending:?}", path.display());
            }
        }
    }
}

/// The document, and what is wrong with the table that it is made of.
fn document() -> (String, Vec<String>) {
    let (mut specs, mut faults) = (specs(), Vec::new());
    let mut document = "# Specifications\n\n\
        What the specifications require of a server that issues, stores and checks tokens: each MUST and SHOULD in our words, where\n\
        the crate meets it, and the tests that show it. Requirements on clients are left out. This page is generated: edit\n\
        `tests/sections.md` and the `/// spec:` lines on the tests.\n"
        .to_owned();
    let sections = fs::read_to_string(here(SECTIONS)).unwrap();
    let (_, sections) = sections.split_once("\n## ").unwrap();
    let mut source = "";
    for line in format!("## {sections}").lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            source = heading.split([',', ':', '(']).next().unwrap().trim();
            write!(document, "\n{line}\n").unwrap();
        } else if line.starts_with("| §") {
            document.push_str("| § | asks | where | test |\n");
        } else if line.starts_with("| ") {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            let [section, asks, place, reason] = cells[..] else { panic!("four columns: {line}") };
            let names = specs.remove(&format!("{source} §{section}")).unwrap_or_default();
            if !here(place.trim_matches('`')).is_file() {
                faults.push(format!("{source} §{section} names {place}, which does not exist"));
            }
            if names.is_empty() == reason.is_empty() {
                faults.push(format!("{source} §{section} needs a test or a reason, and not both"));
            }
            let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
            let held = if reason.is_empty() { names.join(", ") } else { format!("not applicable here: {reason}") };
            writeln!(document, "| {section} | {asks} | {place} | {held} |").unwrap();
        } else if !(line.is_empty() && document.ends_with("\n\n")) {
            writeln!(document, "{line}").unwrap();
        }
    }
    document.push_str("\n## Other sections that tests hold\n\n| specification | test |\n|---|---|\n");
    for (section, names) in specs {
        let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
        writeln!(document, "| {section} | {} |", names.join(", ")).unwrap();
    }
    (document, faults)
}

#[test]
fn requirements_all_have_a_test_or_a_reason() {
    let (document, faults) = document();
    assert!(faults.is_empty(), "{faults:#?}");
    assert!(document.matches("\n| ").count() > 150);
}

#[test]
fn specifications_document_is_up_to_date() {
    let (document, _) = document();
    if std::env::var_os("UPDATE_SPECIFICATIONS").is_some() {
        fs::write(here(DOCUMENT), &document).unwrap();
    }
    let is_current = fs::read_to_string(here(DOCUMENT)).unwrap() == document;
    assert!(is_current, "{DOCUMENT} is stale: UPDATE_SPECIFICATIONS=1 cargo test --test specifications");
}
