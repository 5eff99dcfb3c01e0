//! Tables under docs/ whose rows name the tests that hold them.

use std::fs;
use std::path::{Path, PathBuf};

/// What holds a row.
pub enum Held {
    By(Vec<String>),
    NotApplicable(String),
}

impl Held {
    /// The last cell of a row: names of tests, or a reason why there are none.
    pub fn parse(cell: &str) -> Self {
        match cell.strip_prefix("not applicable here:") {
            Some(reason) => Self::NotApplicable(reason.trim().to_owned()),
            None => Self::By(cell.split(',').map(|name| name.trim().trim_matches('`').to_owned()).collect()),
        }
    }
}

/// Where this path is, counted from the folder of the package or from one above.
pub fn here(path: &str) -> PathBuf {
    let folders = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    folders.map(|folder| folder.join(path)).find(|path| path.exists()).unwrap_or_else(|| path.into())
}

/// The cells of all rows of the tables in `file`, but for heads and rules.
pub fn rows(file: &str) -> Vec<Vec<String>> {
    let text = fs::read_to_string(here(file)).unwrap();
    let lines: Vec<_> = text.lines().collect();
    let is_head = |at: usize| lines.get(at + 1).is_some_and(|next| next.starts_with("|---"));
    let is_row = |at: &usize| lines[*at].starts_with("| ") && !is_head(*at);
    let cells = |at: usize| lines[at].trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    (0..lines.len()).filter(is_row).map(cells).collect()
}

/// The names of the test functions in all files under `folder`.
pub fn tests(folder: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut paths = vec![here(folder)];
    while let Some(path) = paths.pop() {
        if path.is_dir() {
            paths.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            names.extend(tests_in(&fs::read_to_string(path).unwrap()));
        }
    }
    names
}

fn tests_in(source: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut marked = false;
    for line in source.lines().map(str::trim) {
        if line == "#[test]" || line.starts_with("#[tokio::test") {
            marked = true;
        } else if marked && !line.starts_with("#[") {
            marked = false;
            let name =
                line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ").and_then(|rest| rest.split('(').next());
            names.extend(name.map(str::to_owned));
        }
    }
    names
}
