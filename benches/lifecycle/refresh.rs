//! Measures a refresh on `MemoryStore` against its primitives, with many families, and against other crates.

use std::time::Duration;

use allocation_counter::measure;
use futures_executor::block_on;
use mcp_token_lifecycle::{MemoryStore, RecordKey, Select, TokenStore};

use crate::fixture::Deployment;
use crate::measure::Race;
use crate::primitives::Primitives;
use crate::rivals::oauth_as::OauthAs;
use crate::rivals::oxide::Oxide;
use crate::table::{Table, Target};

pub fn run(table: &mut Table, quick: bool) {
    let turn = Duration::from_micros(400);
    let small = 10_000;
    let mut ours = Deployment::new(MemoryStore::new(), small);
    let rotations = 100;
    ours.rotate();
    let info = measure(|| (0..rotations).for_each(|_| ours.rotate()));
    compare(table, &mut ours, if quick { 300 } else { 2000 }, turn);
    table.figure("allocations in one `refresh`", format!("{}", info.count_total / rotations));
    if quick {
        return;
    }
    let mut many = Deployment::new(MemoryStore::new(), 1_000_000);
    compare(table, &mut many, 2000, turn);
    let mut race = Race::default();
    race.add("small", || ours.rotate());
    race.add("large", || many.rotate());
    let times = race.run(2000, turn);
    let case = "`refresh` among 10⁶ families ÷ among 10⁴";
    table.ratio(case, times.shown("large"), times.ratio("large", "small"), Target::AtMost(1.5));
}

/// Compares a refresh with its primitives and with other crates, each with the same number of families.
fn compare(table: &mut Table, ours: &mut Deployment<MemoryStore>, rounds: usize, turn: Duration) {
    let families = ours.tokens.len();
    let among = if families == 10_000 { "among 10⁴" } else { "among 10⁶" };
    let mut primitives = Primitives::new(ours.issuer.store(), keys(ours.issuer.store()));
    let mut oauth_as = OauthAs::new(families);
    let mut oxide = Oxide::new(families);
    let mut race = Race::default();
    race.add("refresh", || ours.rotate());
    race.add("primitives", || primitives.all());
    race.add("oauth-as", || oauth_as.rotate());
    race.add("oxide-auth", || oxide.rotate());
    let times = race.run(rounds, turn);
    table.figure(format!("the primitives of one refresh, {among}"), times.shown("primitives"));
    let versus = |base| times.ratio("refresh", base);
    let case = format!("`refresh` ÷ the sum of its primitives, {among}");
    table.ratio(case, times.shown("refresh"), versus("primitives"), Target::AtMost(1.4));
    let fast = cfg!(feature = "ring");
    let most = if fast { 1.0 } else { 1.6 };
    let case = format!("`refresh` ÷ oauth-as 1.0, {among}");
    table.ratio(case, times.shown("oauth-as"), versus("oauth-as"), Target::AtMost(most));
    let case = format!("`refresh` ÷ oxide-auth 0.6, {among}");
    table.ratio(case, times.shown("oxide-auth"), versus("oxide-auth"), Target::None);
}

/// Returns the keys of all records. Also checks that the records of the primitives have the same size.
fn keys(store: &MemoryStore) -> Vec<RecordKey> {
    let mut keys = Vec::new();
    let mut after = None;
    loop {
        let page = block_on(store.list(Select::All, after, 10_000)).unwrap();
        page.records.iter().for_each(|record| assert_eq!(record.payload.len(), Primitives::payload_len()));
        keys.extend(page.records.iter().map(|record| record.key));
        match page.next {
            Some(next) => after = Some(next),
            None => return keys,
        }
    }
}
