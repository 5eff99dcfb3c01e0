//! Measures `PostgresStore` and `RedisStore` on real servers and prints one table.
//!
//! Run it with `.ci/postgres .ci/redis cargo bench -p benches --features engines --bench engines`. The two scripts start the
//! servers.
//!
//! Arguments after `--` select groups: postgres, redis, soak-postgres, soak-redis. `--quick` shortens the long measurements. A
//! soak takes ten minutes, or four with `--quick`, and runs only if its group is selected.

#[path = "../lifecycle/fixture.rs"]
#[allow(dead_code, reason = "the other benchmark uses the rest")]
mod fixture;
mod load;
#[path = "../lifecycle/measure.rs"]
#[allow(dead_code, reason = "the other benchmark uses the rest")]
mod measure;
mod postgres;
mod redis;
mod soak;
#[path = "../lifecycle/table.rs"]
#[allow(dead_code, reason = "the other benchmark uses the rest")]
mod table;

use table::Table;

type Group = (&'static str, fn(&mut Table, bool));

const GROUPS: &[Group] = &[
    ("postgres", postgres::run),
    ("redis", redis::run),
    ("soak-postgres", postgres::soak),
    ("soak-redis", redis::soak),
];

fn main() {
    // Cargo passes `--bench`. This program ignores it.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let chosen: Vec<&str> = arguments.iter().map(String::as_str).filter(|argument| *argument != "--quick").collect();
    if let Some(unknown) = chosen.iter().find(|name| !GROUPS.iter().any(|(group, _)| group == *name)) {
        eprintln!(
            "unknown group {unknown}; the groups are {:?}",
            GROUPS.iter().map(|(name, _)| name).collect::<Vec<_>>()
        );
        std::process::exit(2);
    }
    let mut table = Table::default();
    for &(name, run) in GROUPS {
        if chosen.contains(&name) || chosen.is_empty() && !name.starts_with("soak") {
            eprintln!("measuring: {name}");
            run(&mut table, quick);
        }
    }
    println!("{} mode\n\n{table}", if quick { "quick" } else { "full" });
}
