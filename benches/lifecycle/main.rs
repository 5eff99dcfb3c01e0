//! Measures the performance targets of the crate and prints one table.
//!
//! `cargo bench -p benches` runs all groups. `cargo bench -p benches -- verify size` runs only these groups. `-- --quick`
//! shortens or omits the long measurements, for continuous integration. The groups are verify, refresh, store, size, durable,
//! http and upstream.
//!
//! Compared cases run in alternating turns of a fraction of a millisecond. A ratio is the median of the ratios of neighbouring
//! turns. Load on the machine therefore affects both cases equally, and most turns not at all.

mod aead;
mod durable;
mod fixture;
mod http;
mod measure;
mod primitives;
mod refresh;
mod rivals;
mod size;
mod store;
mod table;
mod upstream;
mod verify;

use table::Table;

type Group = (&'static str, fn(&mut Table, bool));

const GROUPS: &[Group] = &[
    ("verify", verify::run),
    ("refresh", refresh::run),
    ("store", store::run),
    ("size", size::run),
    ("durable", durable::run),
    ("http", http::run),
    ("upstream", upstream::run),
];

fn main() {
    // Cargo passes `--bench`. This program ignores it.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let chosen: Vec<&str> = arguments.iter().map(String::as_str).filter(|argument| *argument != "--quick").collect();
    if let Some(unknown) = chosen.iter().find(|name| !GROUPS.iter().any(|(group, _)| group == *name)) {
        eprintln!("unknown group {unknown}; the groups are verify, refresh, store, size, durable, http, upstream");
        std::process::exit(2);
    }
    let mut table = Table::default();
    for &(name, run) in GROUPS {
        if chosen.is_empty() || chosen.contains(&name) {
            eprintln!("measuring: {name}");
            run(&mut table, quick);
        }
    }
    println!("AEAD: {}; {} mode\n\n{table}", aead::NAME, if quick { "quick" } else { "full" });
}
