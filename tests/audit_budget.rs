//! The limit of what an auditor must read in order to trust rotation and revocation.

use std::fs;
use std::path::{Path, PathBuf};

/// Lines that are neither blank nor comment, without the module of the unit tests, which stands last in its file.
fn code_lines(file: &Path) -> usize {
    let text = fs::read_to_string(file).unwrap();
    let code = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap();
    code.lines().filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with("//")).count()
}

fn rust_files(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { rust_files(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|ext| ext == "rs") && !path.ends_with("tests.rs"))
        .collect()
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The most code lines that the audit set may have.
const LIMIT: usize = 3_640;

/// Everything between a presented token and its answer.
#[test]
fn audit_set_is_within_its_limit() {
    const AUDIT_SET: [&str; 13] = [
        "time.rs",
        "id.rs",
        "crypto",
        "keys",
        "grant",
        "policy",
        "family.rs",
        "token",
        "store/contract.rs",
        "record",
        "decision",
        "issuer",
        "verifier.rs",
    ];
    let files: Vec<_> = AUDIT_SET.iter().flat_map(|part| rust_files(&src().join(part))).collect();
    let lines: usize = files.iter().map(|file| code_lines(file)).sum();
    println!("{lines} code lines in {} files", files.len());
    assert!(lines <= LIMIT, "{lines} lines, at most {LIMIT}");
}

fn lines_of(part: &str) -> usize {
    rust_files(&src().join(part)).iter().map(|file| code_lines(file)).sum()
}

/// What holds the credentials for other services, and what decides about them.
#[test]
fn vault_slot_has_at_most_1700_lines_and_its_decision_500() {
    let (slot, decision) = (lines_of("vault/slot"), lines_of("vault/slot/decision"));
    println!("{slot} code lines, {decision} of them decide");
    assert!(slot <= 1_700 && decision <= 500, "{slot} and {decision} lines");
}

#[test]
fn source_files_are_within_400_lines() {
    for file in rust_files(&src()) {
        let lines = code_lines(&file);
        assert!(lines <= 400, "{} has {lines} lines", file.display());
    }
}
