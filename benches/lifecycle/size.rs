//! Measures the bytes per family after one rotation and after a thousand.

use allocation_counter::measure;
use mcp_token_lifecycle::MemoryStore;

use crate::fixture::Deployment;
use crate::rivals::oauth_as::OauthAs;
use crate::table::{Table, Target};

const FAMILIES: usize = 100;

pub fn run(table: &mut Table, quick: bool) {
    let more = if quick { 99 } else { 999 };
    memory(table, more);
    redb(table, more);
}

/// Measures with the allocator. The tokens of the client are constant in number and size, so they are not counted.
fn memory(table: &mut Table, more: usize) {
    let mut ours = None;
    let store = measure(|| ours = Some(Deployment::new(MemoryStore::new(), FAMILIES)));
    let mut ours = ours.unwrap();
    let tokens: usize = ours.tokens.iter().map(String::capacity).sum();
    let mut rotate = |rounds: usize| measure(|| (0..rounds * FAMILIES).for_each(|_| ours.rotate())).bytes_current;
    let first = store.bytes_current - tokens as i64 + rotate(1);
    let growth = rotate(more);
    let per_family = |bytes: i64| bytes as f64 / FAMILIES as f64;
    let figure = format!("{:.0} bytes per family, store and issuer", per_family(first));
    let case = format!("growth in memory from 1 to {} rotations, bytes per rotation", more + 1);
    table.ratio(case, figure, per_family(growth) / more as f64, Target::AtMost(0.0));

    let mut theirs = OauthAs::new(FAMILIES);
    (0..FAMILIES).for_each(|_| theirs.rotate());
    let rounds = more.min(99);
    let growth = measure(|| (0..rounds * FAMILIES).for_each(|_| theirs.rotate())).bytes_current;
    table.figure("the same of oauth-as 1.0", format!("{:.0} bytes per rotation", per_family(growth) / rounds as f64));
}

/// Measures with redb's count of the bytes in its tables, including keys.
fn redb(table: &mut Table, more: usize) {
    use crate::durable::{open, rotate_concurrently, scratch, stored_bytes};

    let directory = scratch();
    let path = directory.path().join("size.redb");
    let mut ours = Deployment::new(open(&path), FAMILIES);
    let mut sizes = Vec::new();
    for rotations in [1, more] {
        rotate_concurrently(&ours.issuer, &ours.client, &mut ours.tokens, rotations);
        let tokens = ours.tokens;
        drop(ours.issuer);
        sizes.push(stored_bytes(&path) / FAMILIES as u64);
        ours = Deployment::new(open(&path), 0);
        ours.tokens = tokens;
    }
    let (first, last) = (sizes[0], sizes[1]);
    let figure = format!("{first} and {last}");
    table.ratio(
        "bytes per family in redb, after the first rotation",
        figure.clone(),
        first as f64,
        Target::AtMost(400.0),
    );
    let case = format!("growth in redb from 1 to {} rotations, bytes per family", more + 1);
    table.ratio(case, figure, last as f64 - first as f64, Target::AtMost(0.0));
}
