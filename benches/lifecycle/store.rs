//! Measures the stores alone: two threads against one, and the purge.

use std::thread;
use std::time::{Duration, Instant};

use futures_executor::block_on;
use futures_util::{StreamExt, stream};
use mcp_token_lifecycle::{
    Answer, Commit, IndexKey, MemoryStore, Record, RecordKey, RefreshRequest, Timestamp, TokenStore,
};

use crate::fixture::{Deployment, scattered};
use crate::measure::median;
use crate::table::{Table, Target};

/// The time of the purge. The expired records expire before it, and the living ones after it.
const NOW: u64 = 2_000_000_000;
const EXPIRED: usize = 1_000;

pub fn run(table: &mut Table, quick: bool) {
    two_threads(table, if quick { 20 } else { 60 });
    let living = if quick { 100_000 } else { 1_000_000 };
    let (small, large) = (filled(MemoryStore::new(), 10_000), filled(MemoryStore::new(), living));
    purge(table, "MemoryStore", small, large, living);
}

fn two_threads(table: &mut Table, rounds: usize) {
    let Deployment { issuer, client, tokens, .. } = &mut Deployment::new(MemoryStore::new(), 20_000);
    let (issuer, client) = (&*issuer, &*client);
    // Returns the rotations per second of one thread on its own families.
    let work = |tokens: &mut [String]| {
        let (begun, mut done, mut at) = (Instant::now(), 0, 0);
        while begun.elapsed() < Duration::from_millis(20) {
            at = scattered(at, tokens.len());
            let answer = block_on(issuer.refresh(&RefreshRequest::new(client, &tokens[at])));
            let Ok(Answer::Issue(response)) = answer else { panic!("a current token is rotated") };
            tokens[at] = response.refresh_token.expose().to_owned();
            done += 1;
        }
        f64::from(done) / begun.elapsed().as_secs_f64()
    };
    let (left, right) = tokens.split_at_mut(10_000);
    let (mut one, mut two) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        one.push(work(left));
        two.push(thread::scope(|scope| {
            let other = scope.spawn(|| work(right));
            work(left) + other.join().unwrap()
        }));
    }
    let ratio = median(two.iter().zip(&one).map(|(two, one)| two / one).collect());
    let figure = format!("{:.0} and {:.0} rotations/s", median(one), median(two));
    table.ratio("two threads ÷ one thread, `MemoryStore`", figure, ratio, Target::AtLeast(1.5));
}

/// Compares a purge among many living records with a purge among few.
pub fn purge(table: &mut Table, name: &str, small: impl TokenStore, large: impl TokenStore, living: usize) {
    let (mut among_few, mut among_many) = (Vec::new(), Vec::new());
    for round in 0..21 {
        among_few.push(purge_once(&small, round));
        among_many.push(purge_once(&large, round));
    }
    let ratio = median(among_many.iter().zip(&among_few).map(|(many, few)| many / few).collect());
    let case = format!("purge of {EXPIRED} among {living} ÷ among 10000, `{name}`");
    table.ratio(case, format!("{:.0} µs", median(among_many) * 1e6), ratio, Target::AtMost(2.0));
}

fn purge_once(store: &impl TokenStore, round: usize) -> f64 {
    insert(store, (0..EXPIRED).map(|n| record(usize::MAX - round * EXPIRED - n, NOW - 1 - n as u64 % 7)));
    let begun = Instant::now();
    let purged = block_on(store.purge(Timestamp::from_unix(NOW), EXPIRED)).unwrap();
    let spent = begun.elapsed().as_secs_f64();
    assert_eq!(purged, EXPIRED);
    spent
}

/// Fills `store` with `living` records that do not expire before the purge.
pub fn filled<S: TokenStore>(store: S, living: usize) -> S {
    // The expiry times are spread, as those of real sessions are.
    insert(&store, (0..living).map(|n| record(n, NOW + 1 + n as u64 * 7919 % 1_000_000)));
    store
}

/// Inserts the records concurrently, so that a store with group commit can batch them.
fn insert(store: &impl TokenStore, records: impl Iterator<Item = Record>) {
    let commits = stream::iter(records.map(|record| store.commit(record)));
    block_on(commits.buffer_unordered(1024).for_each(|commit| {
        assert_eq!(commit.unwrap(), Commit::Applied);
        std::future::ready(())
    }));
}

/// Builds a record with the size of a typical family and a key that looks random.
fn record(number: usize, expires_at: u64) -> Record {
    let mixed = (number as u128 ^ 0x5bd1_e995).wrapping_mul(0x2d35_8dcc_aa6c_78a5_0d39_7c4d_2f6b_1a35).swap_bytes();
    let key = mixed.to_le_bytes();
    let subject = IndexKey::from_bytes((mixed.rotate_left(40) ^ 1).to_le_bytes());
    let client = IndexKey::from_bytes([number as u8 % 16; 16]);
    Record::new(RecordKey::from_bytes(key), 1, Timestamp::from_unix(expires_at), vec![subject, client], vec![7; 235])
}
