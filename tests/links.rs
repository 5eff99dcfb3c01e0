//! The links between the pages of the repository, there and on docs.rs.

use std::fs;
use std::path::{Path, PathBuf};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A link to a file. `label` is the label of a reference definition: `[label]: target`.
struct Link {
    label: Option<String>,
    target: String,
}

/// The links in `text` that lead neither to an address of the web nor to a heading of the same page.
fn relative_links(text: &str) -> Vec<Link> {
    let mut links = Vec::new();
    // Every second part is a block of code.
    for text in text.split("```").step_by(2) {
        for (at, _) in text.match_indices("](") {
            let target = text[at + 2..].split(')').next().unwrap().to_owned();
            links.push(Link { label: None, target });
        }
        links.extend(text.lines().filter_map(definition));
    }
    links.retain(|link| !link.target.contains("://") && !link.target.starts_with('#'));
    links
}

fn definition(line: &str) -> Option<Link> {
    let (label, target) = line.strip_prefix('[')?.split_once("]: ")?;
    Some(Link { label: Some(label.to_owned()), target: target.to_owned() })
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(Path::new(ROOT).join(path)).unwrap()
}

fn pages() -> Vec<PathBuf> {
    let folders = ["", "docs"].map(|folder| Path::new(ROOT).join(folder));
    let files = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap());
    files.map(|file| file.unwrap().path()).filter(|path| path.extension().is_some_and(|kind| kind == "md")).collect()
}

#[test]
fn relative_links_lead_to_files() {
    let mut count = 0;
    for page in pages() {
        for Link { target, .. } in relative_links(&read(&page)) {
            let file = target.split('#').next().unwrap();
            assert!(page.parent().unwrap().join(file).exists(), "{}: there is no {target}", page.display());
            count += 1;
        }
    }
    assert!(count > 20, "{count} links were found");
}

/// rustdoc resolves what the definitions of a guide name. A link that has none would lead nowhere on docs.rs.
#[test]
fn guides_define_each_relative_link_of_their_page() {
    let guide = read("src/guide.rs");
    // Each part ends with the documentation of a guide, up to its page; the next begins with the name of that page.
    let parts: Vec<&str> = guide.split("include_str!(\"../docs/").collect();
    assert!(parts.len() > 5, "the guides were found");
    for pair in parts.windows(2) {
        let page = pair[1].split('"').next().unwrap();
        let (_, above) = pair[0].rsplit_once("\n\n").unwrap();
        let defined: Vec<Link> = above.lines().filter_map(|line| definition(line.strip_prefix("/// ")?)).collect();
        let links = relative_links(&read(Path::new("docs").join(page)));
        for link in &links {
            let is_defined = defined.iter().any(|definition| definition.label == link.label);
            assert!(link.label.is_some() && is_defined, "docs/{page}: src/guide.rs does not redirect {}", link.target);
        }
        for Link { label, target } in &defined {
            assert!(links.iter().any(|link| link.label == *label), "docs/{page}: no link to {target}");
        }
    }
}
