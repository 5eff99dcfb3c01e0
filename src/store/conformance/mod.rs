//! The checks that any [`TokenStore`](crate::TokenStore) must pass, for authors of a store.
//!
//! One test is enough. Each check gets a fresh store, so the function given to [`Suite::new`] must create an empty one
//! each time. Races run on real threads, which share that store.
//!
//! ```
//! use mcp_token_lifecycle::{MemoryStore, conformance::Suite};
//!
//! # // In a project of one's own this function has the attribute #[test].
//! fn my_store_conforms() {
//!     Suite::new(|| async { MemoryStore::new() }).run().assert_ok();
//! }
//! # my_store_conforms();
//! ```
//!
//! A store that needs a runtime gets it from [`Suite::with_block_on`]. With tokio, that is
//! `.with_block_on(move |future| runtime.block_on(future))`, with a `runtime` that outlives the suite.
//!
//! # The checks
//!
//! | name | rule of the contract |
//! |---|---|
//! | `empty_store` | In an empty store nothing is found, listed or purged. |
//! | `parts_kept` | All five parts of a record come back exactly as given. |
//! | `parts_replaced` | A replacement leaves nothing of the record it replaces. |
//! | `keys_apart` | Records under different keys are independent of each other. |
//! | `insert_once` | An insertion under a key that has a record meets a conflict and changes nothing. |
//! | `replace_previous_only` | Only the version right after the stored one replaces it; any other meets a conflict and changes nothing. |
//! | `replace_absent` | Without a stored record only version 1 is written: no upsert. |
//! | `version_chain` | A record can be replaced any number of times. |
//! | `list_all` | A listing of all records returns each of them, in pages no larger than requested. |
//! | `list_index` | A listing by index returns every record that carries the index key, and no other. |
//! | `index_moves` | A record is listed under the index keys of its current version only. |
//! | `list_across_changes` | A record that is there from the first page to the last is returned, even if others come and go between the pages. |
//! | `list_during_inserts` | A record that is there from the first page to the last is returned, even if others are inserted meanwhile. |
//! | `purge_boundary` | A purge deletes what expires at or before the given time, and nothing else. |
//! | `purge_limit` | A purge deletes as many records as it returns, at most the limit, and fewer only if no expired record is left. |
//! | `purge_indexes` | A purged record is in no listing. |
//! | `purged_key` | After a purge a key accepts version 1 again, and no other version. |
//! | `expiry_moves` | A purge uses the expiry of the current version. |
//! | `read_your_writes` | A read begun after a commit was acknowledged sees that commit, on any thread. |
//! | `never_absent` | A record stays found and listed while it is replaced, and cannot be inserted again. |
//! | `insert_race` | Of several concurrent insertions of one key exactly one is applied. |
//! | `replace_race` | Of several concurrent replacements of one version exactly one is applied. |
//! | `increment_race` | No update is lost among writers that read, change and commit until they succeed. |
//! | `index_race` | After a race the index keys and the expiry are those of the winner. |
//! | `purge_race` | A record that is replaced during a purge by one that expires later survives, or the replacement meets a conflict. |
//! | `dropped_commit` | A commit whose future is dropped leaves its whole effect or none. |

macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err(format!($($message)+));
        }
    };
}

mod cancellation;
mod driver;
mod lab;
mod listing;
mod purging;
mod races;
mod records;
mod report;
mod suite;
mod visibility;

use self::lab::{Checked, Lab};
pub use self::report::{Outcome, Report};
pub use self::suite::Suite;

/// One rule of the contract, and the function that checks it.
struct Check {
    name: &'static str,
    contract: &'static str,
    run: fn(&Lab) -> Checked,
}

macro_rules! checks {
    ($($module:ident :: $name:ident: $contract:literal,)+) => {
        const CHECKS: &[Check] =
            &[$(Check { name: stringify!($name), contract: $contract, run: $module::$name }),+];
    };
}

checks! {
    records::empty_store: "In an empty store nothing is found, listed or purged.",
    records::parts_kept: "All five parts of a record come back exactly as given.",
    records::parts_replaced: "A replacement leaves nothing of the record it replaces.",
    records::keys_apart: "Records under different keys are independent of each other.",
    records::insert_once: "An insertion under a key that has a record meets a conflict and changes nothing.",
    records::replace_previous_only:
        "Only the version right after the stored one replaces it; any other meets a conflict and changes nothing.",
    records::replace_absent: "Without a stored record only version 1 is written: no upsert.",
    records::version_chain: "A record can be replaced any number of times.",
    listing::list_all: "A listing of all records returns each of them, in pages no larger than requested.",
    listing::list_index: "A listing by index returns every record that carries the index key, and no other.",
    listing::index_moves: "A record is listed under the index keys of its current version only.",
    listing::list_across_changes:
        "A record that is there from the first page to the last is returned, even if others come and go between the pages.",
    listing::list_during_inserts:
        "A record that is there from the first page to the last is returned, even if others are inserted meanwhile.",
    purging::purge_boundary: "A purge deletes what expires at or before the given time, and nothing else.",
    purging::purge_limit: "A purge deletes as many records as it returns, at most the limit, and fewer only if no expired record is left.",
    purging::purge_indexes: "A purged record is in no listing.",
    purging::purged_key: "After a purge a key accepts version 1 again, and no other version.",
    purging::expiry_moves: "A purge uses the expiry of the current version.",
    visibility::read_your_writes: "A read begun after a commit was acknowledged sees that commit, on any thread.",
    visibility::never_absent: "A record stays found and listed while it is replaced, and cannot be inserted again.",
    races::insert_race: "Of several concurrent insertions of one key exactly one is applied.",
    races::replace_race: "Of several concurrent replacements of one version exactly one is applied.",
    races::increment_race: "No update is lost among writers that read, change and commit until they succeed.",
    races::index_race: "After a race the index keys and the expiry are those of the winner.",
    races::purge_race:
        "A record that is replaced during a purge by one that expires later survives, or the replacement meets a conflict.",
    cancellation::dropped_commit: "A commit whose future is dropped leaves its whole effect or none.",
}

#[cfg(test)]
mod tests {
    use super::CHECKS;

    #[test]
    fn checks_are_those_the_documentation_lists() {
        let rows: Vec<_> = include_str!("mod.rs")
            .lines()
            .filter_map(|line| line.strip_prefix("//! | `")?.strip_suffix(" |"))
            .collect();
        let checks: Vec<_> = CHECKS.iter().map(|check| format!("{}` | {}", check.name, check.contract)).collect();
        assert_eq!(rows, checks);
    }
}
