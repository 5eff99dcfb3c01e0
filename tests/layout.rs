//! The order of the source tree: a file imports from folders above its own, and no two files import each other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The folders and files at the root of `src/`, from the first to the last. Each imports from those before it alone.
const ORDER: [&str; 25] = [
    "pointers",
    "shown",
    "time",
    "id",
    "net",
    "crypto",
    "grant",
    "store",
    "keys",
    "key_text",
    "policy",
    "error",
    "audit",
    "family",
    "token",
    "messages",
    "record",
    "decision",
    "verifier",
    "issuer",
    "maintenance",
    "vault",
    "http",
    "client",
    "guide",
];

/// A module as its path from the root of the crate: `["store", "redb", "rows"]`.
type Module = Vec<String>;

/// A source file without its comments and its tests.
struct File {
    module: Module,
    is_folder: bool,
    code: String,
}

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

fn files() -> Vec<File> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    rust_files(&src, &mut paths);
    let file = |path: PathBuf| {
        let relative = path.strip_prefix(&src).unwrap().with_extension("");
        let mut module: Module = relative.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
        let is_folder = module.pop_if(|name| matches!(&**name, "mod" | "lib")).is_some();
        let text = fs::read_to_string(path).unwrap();
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
        File { module, is_folder, code: without_tests(&code) }
    };
    let is_test = |file: &File| file.module.iter().any(|part| part == "tests");
    paths.into_iter().map(file).filter(|file| !is_test(file)).collect()
}

/// The code up to the module of its unit tests, which stands last.
fn without_tests(code: &str) -> String {
    let mut lines = code.lines().peekable();
    let mut kept = Vec::new();
    while let Some(line) = lines.next() {
        let next = lines.peek().copied().unwrap_or_default();
        if line == "#[cfg(test)]" && next.contains("mod ") && next.ends_with('{') {
            break;
        }
        kept.push(line);
    }
    kept.join("\n")
}

/// The paths that a `use` tree names.
fn leaves(tree: &str, prefix: &[&str], found: &mut Vec<Vec<String>>) {
    let tree = tree.trim();
    if let Some(open) = tree.find('{') {
        let prefix: Vec<&str> =
            prefix.iter().copied().chain(tree[..open].split("::").filter(|p| !p.is_empty())).collect();
        let (mut depth, mut start) = (0, open + 1);
        let inner = &tree[..tree.rfind('}').unwrap()];
        for (at, character) in inner.char_indices().skip(open + 1) {
            match character {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    leaves(&inner[start..at], &prefix, found);
                    start = at + 1;
                }
                _ => {}
            }
        }
        leaves(&inner[start..], &prefix, found);
    } else if !tree.is_empty() {
        let name = tree.split(" as ").next().unwrap().trim();
        found.push(prefix.iter().copied().chain(name.split("::")).map(str::to_owned).collect());
    }
}

/// The text of every `use` statement of this crate's own items, and whether it re-exports.
fn uses(code: &str) -> Vec<(bool, &str)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("use ") {
        let before = code[..at].rsplit('\n').next().unwrap().trim_start();
        let tree = code[at + 4..].split(';').next().unwrap();
        let is_ours = ["crate", "super", "self"].iter().any(|root| tree.trim_start().starts_with(root));
        if is_ours && (before.is_empty() || before.starts_with("pub")) {
            found.push((before.starts_with("pub"), tree));
        }
    }
    found
}

/// The path from the root of the crate that `path` is from within `here`. `None` for another crate.
fn absolute(path: &[String], here: &[String]) -> Option<Module> {
    let mut base: Vec<String> = match path.first()?.as_str() {
        "crate" => Vec::new(),
        "self" | "super" => here.to_vec(),
        _ => return None,
    };
    let mut rest = path;
    while let Some((first, others)) = rest.split_first() {
        match first.as_str() {
            "super" => drop(base.pop()?),
            "crate" | "self" => {}
            _ => break,
        }
        rest = others;
    }
    base.extend(rest.iter().filter(|part| !matches!(part.as_str(), "self" | "*")).cloned());
    Some(base)
}

/// The paths in code, outside `use` statements.
fn inline_paths(code: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for root in ["crate::", "super::"] {
        for (at, _) in code.match_indices(root) {
            let is_whole = !code[..at].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | ':'));
            let path: String =
                code[at..].chars().take_while(|c| c.is_alphanumeric() || matches!(c, '_' | ':')).collect();
            if is_whole {
                found.push(path.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect());
            }
        }
    }
    found
}

/// Which module each module imports from.
fn imports(files: &[File]) -> BTreeMap<Module, BTreeSet<Module>> {
    let modules: BTreeSet<&Module> = files.iter().map(|file| &file.module).collect();
    // What a folder re-exports, and the file that has it.
    let mut exports = BTreeMap::<(Module, String), Module>::new();
    for file in files.iter().filter(|file| file.is_folder) {
        for (_, tree) in uses(&file.code).into_iter().filter(|(is_export, _)| *is_export) {
            let mut paths = Vec::new();
            leaves(tree, &[], &mut paths);
            for path in paths {
                let (name, from) = path.split_last().unwrap();
                exports.extend(absolute(from, &file.module).map(|from| ((file.module.clone(), name.clone()), from)));
            }
        }
    }
    let resolve = |path: &Module| -> Option<Module> {
        let (mut path, mut steps) = (path.clone(), 0);
        loop {
            // A name at the root of the crate is a re-export of lib.rs: where it comes from counts.
            if let Some(from) = path.first().and_then(|name| exports.get(&(Vec::new(), name.clone())))
                && !modules.contains(&path[..1].to_vec())
            {
                path = from.iter().chain(&path).cloned().collect();
            }
            let length = (1..=path.len()).rev().find(|length| modules.contains(&path[..*length].to_vec()))?;
            let (module, rest) = path.split_at(length);
            let export = rest.first().and_then(|name| exports.get(&(module.to_vec(), name.clone())));
            match export.filter(|_| steps < 8) {
                None => return Some(module.to_vec()),
                Some(from) => path = from.iter().chain(rest).cloned().collect(),
            }
            steps += 1;
        }
    };
    let mut imports = BTreeMap::new();
    for file in files.iter().filter(|file| !file.module.is_empty()) {
        let mut paths = inline_paths(&file.code);
        for (is_export, tree) in uses(&file.code) {
            if !(is_export && file.is_folder) {
                leaves(tree, &[], &mut paths);
            }
        }
        let targets = paths.iter().filter_map(|path| absolute(path, &file.module)).filter_map(|path| resolve(&path));
        imports.insert(file.module.clone(), targets.filter(|target| *target != file.module).collect());
    }
    imports
}

#[test]
fn imports_go_from_later_folders_to_earlier_ones() {
    let place = |module: &Module| {
        let root = &module[0];
        ORDER
            .iter()
            .position(|name| name == root)
            .unwrap_or_else(|| panic!("src/{root} is not in the order of folders"))
    };
    let imports = imports(&files());
    assert!(imports.values().map(BTreeSet::len).sum::<usize>() > 300, "the imports were not read");
    for (module, targets) in imports {
        for target in targets {
            assert!(place(&target) <= place(&module), "src/{} imports {}", module.join("/"), target.join("::"));
        }
    }
}

#[test]
fn imports_between_files_form_no_cycle() {
    let mut imports = imports(&files());
    // What imports nothing that is left is on no circle.
    while let Some(done) = imports.iter().find(|(_, targets)| targets.is_empty()).map(|(module, _)| module.clone()) {
        imports.remove(&done);
        imports.values_mut().for_each(|targets| targets.retain(|target| *target != done));
    }
    assert!(
        imports.is_empty(),
        "on a circle, or behind one: {:?}",
        imports.keys().map(|m| m.join("/")).collect::<Vec<_>>()
    );
}

#[test]
fn lib_re_exports_by_name() {
    let lib = files().into_iter().find(|file| file.module.is_empty()).unwrap();
    assert!(uses(&lib.code).len() > 10);
    assert!(!lib.code.contains("::*"), "a glob in lib.rs");
}
