//! Measures the stores on engines of their own, and prints one table.
//!
//! The servers are started by `.ci/redis`: `.ci/redis run cargo bench --bench engines_redis --features redis`. `-- --quick`
//! scales down what takes long.

#[path = "../lifecycle/fixture.rs"]
#[allow(dead_code, reason = "the other benchmark uses the rest")]
mod fixture;
#[path = "../lifecycle/measure.rs"]
#[allow(dead_code, reason = "the other benchmark uses the rest")]
mod measure;
mod redis;
#[path = "../lifecycle/table.rs"]
#[allow(dead_code, reason = "the other benchmark uses the rest")]
mod table;

use table::Table;

type Group = (&'static str, fn(&mut Table, bool));

const GROUPS: [Group; 1] = [("redis", redis::run)];

fn main() {
    // Cargo passes `--bench`, which means nothing here.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let chosen: Vec<&str> = arguments.iter().map(String::as_str).filter(|argument| *argument != "--quick").collect();
    let mut table = Table::default();
    for (name, run) in GROUPS {
        if chosen.is_empty() || chosen.contains(&name) {
            eprintln!("measuring: {name}");
            run(&mut table, quick);
        }
    }
    println!("{} mode\n\n{table}", if quick { "quick" } else { "full" });
}
