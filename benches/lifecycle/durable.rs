//! Measures durable rotations on `RedbStore` against a bare group commit of the same bytes.

use std::path::Path;
use std::time::Instant;

use futures_executor::block_on;
use futures_util::future::join_all;
use mcp_token_lifecycle::{Answer, Client, RedbStore, RefreshRequest, TokenIssuer, TokenStore};
use redb::{Database, Durability, ReadableDatabase, ReadableTableMetadata, TableDefinition};
use tempfile::TempDir;

use crate::fixture::Deployment;
use crate::measure::median;
use crate::primitives::Primitives;
use crate::store;
use crate::table::{Table, Target};

const CONCURRENT: usize = 64;
const FAMILIES: usize = 10_000;

/// Returns a directory on a disk. The system's temporary directory may be in memory.
pub fn scratch() -> TempDir {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .unwrap_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/../target").into());
    std::fs::create_dir_all(&target).unwrap();
    TempDir::new_in(target).unwrap()
}

pub fn open(path: &Path) -> RedbStore {
    RedbStore::open(path).unwrap()
}

pub fn run(table: &mut Table, quick: bool) {
    rotations(table, if quick { 10 } else { 40 });
    let directory = scratch();
    let living = if quick { 100_000 } else { 1_000_000 };
    let small = store::filled(open(&directory.path().join("small.redb")), 10_000);
    let large = store::filled(open(&directory.path().join("large.redb")), living);
    store::purge(table, "RedbStore", small, large, living);
}

fn rotations(table: &mut Table, rounds: usize) {
    let directory = scratch();
    let Deployment { issuer, client, mut tokens, .. } =
        Deployment::new(open(&directory.path().join("ours.redb")), FAMILIES);
    let bare = Bare::new(&directory.path().join("bare.redb"));
    let (mut ours, mut group, mut single) = (Vec::new(), Vec::new(), Vec::new());
    let mut at = 0;
    for _ in 0..rounds {
        let begun = Instant::now();
        let mut done = 0;
        while begun.elapsed().as_millis() < 200 {
            let some = &mut tokens[at..at + CONCURRENT];
            rotate_concurrently(&issuer, &client, some, 8);
            (at, done) = ((at + CONCURRENT) % (FAMILIES - CONCURRENT), done + 8 * CONCURRENT);
        }
        ours.push(done as f64 / begun.elapsed().as_secs_f64());
        group.push(bare.rate(CONCURRENT, 200));
        single.push(bare.rate(1, 100));
    }
    let ratio = |base: &[f64]| median(ours.iter().zip(base).map(|(ours, base)| ours / base).collect());
    let (versus_group, versus_single) = (ratio(&group), ratio(&single));
    let figure = format!("{:.0} rotations/s", median(ours.clone()));
    let case = format!("durable rotations at {CONCURRENT} concurrent ÷ bare redb group commit of the same bytes");
    table.figure("bare redb, groups of 64", format!("{:.0} writes/s", median(group)));
    table.ratio(case, figure.clone(), versus_group, Target::AtLeast(0.75));
    table.figure("bare redb, one transaction each", format!("{:.0} writes/s", median(single)));
    let case = format!("durable rotations at {CONCURRENT} concurrent ÷ one transaction each");
    table.ratio(case, figure, versus_single, Target::AtLeast(3.0));
}

/// Rotates each of `tokens` the given number of times. The tokens are rotated concurrently; the rotations of one token are
/// sequential.
pub fn rotate_concurrently<S: TokenStore>(
    issuer: &TokenIssuer<S>,
    client: &Client,
    tokens: &mut [String],
    times: usize,
) {
    block_on(join_all(tokens.iter_mut().map(async |token| {
        for _ in 0..times {
            let answer = issuer.refresh(&RefreshRequest::new(client, token)).await;
            let Ok(Answer::Issue(response)) = answer else { panic!("a current token is rotated") };
            *token = response.refresh_token.expose().to_owned();
        }
    })));
}

/// Returns the bytes that redb reports for all tables of the file.
pub fn stored_bytes(path: &Path) -> u64 {
    let database = Database::open(path).unwrap();
    let transaction = database.begin_read().unwrap();
    let tables = transaction.list_tables().unwrap();
    tables.map(|table| transaction.open_untyped_table(table).unwrap().stats().unwrap().stored_bytes()).sum()
}

/// Bare redb, which replaces rows of the same size as those of the store.
struct Bare(Database);

const TABLE: TableDefinition<'_, &[u8; 16], &[u8]> = TableDefinition::new("bare");
/// The bytes before the payload: the shape of the row, version, expiry and two index keys.
const HEAD: usize = 1 + 2 + 4 + 2 * 16;

impl Bare {
    fn new(path: &Path) -> Self {
        let bare = Self(Database::create(path).unwrap());
        (0..FAMILIES).step_by(500).for_each(|first| bare.write(first..first + 500));
        bare
    }

    /// Returns the writes per second in groups of `size`, measured over about `millis` milliseconds.
    fn rate(&self, size: usize, millis: u128) -> f64 {
        let (begun, mut at, mut done) = (Instant::now(), 0, 0);
        while begun.elapsed().as_millis() < millis {
            self.write(at..at + size);
            (at, done) = ((at + size) % (FAMILIES - size), done + size);
        }
        done as f64 / begun.elapsed().as_secs_f64()
    }

    /// Writes the rows in one durable transaction.
    fn write(&self, numbers: std::ops::Range<usize>) {
        let row = vec![7; HEAD + Primitives::payload_len()];
        let mut transaction = self.0.begin_write().unwrap();
        transaction.set_durability(Durability::Immediate).unwrap();
        let mut table = transaction.open_table(TABLE).unwrap();
        for number in numbers {
            let key = (number as u128).wrapping_mul(0x2d35_8dcc_aa6c_78a5_0d39_7c4d_2f6b_1a35).to_le_bytes();
            table.insert(&key, row.as_slice()).unwrap();
        }
        drop(table);
        transaction.commit().unwrap();
    }
}
