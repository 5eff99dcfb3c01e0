//! Measures `RedisStore` against the bare driver on the same server.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{Cmd, Script};
use mcp_token_lifecycle::{
    Commit, IndexKey, Record, RecordKey, RedisStore, RotationPolicy, Timestamp, TokenIssuer, TokenStore,
};
use tokio::runtime::Runtime;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::fixture::{grant, keyring};
use crate::load::{self, rate, rotate};
use crate::measure::median;
use crate::soak::{self, Sample};
use crate::table::{Table, Target};

/// The largest number of concurrent clients.
const MOST: usize = 64;
/// The number of families or rows of each client. The client visits them in turn.
const EACH: usize = 16;
/// The size in bytes of the sealed record of a fixture family.
const PAYLOAD: usize = 235;
/// The smallest script that compares the version at the start of a row and replaces the row.
const SWAP: &str = "
    if redis.call('GETRANGE', KEYS[1], 0, 7) ~= ARGV[1] then return 0 end
    redis.call('SET', KEYS[1], ARGV[2])
    return 1
";
/// The bytes that the store keeps in addition to the payload: 41 bytes, the expiry, and two index keys with their count.
const HEAD: usize = 41 + 8 + 1 + 2 * 16;

pub fn run(table: &mut Table, quick: bool) {
    Runtime::new().unwrap().block_on(async {
        let lab = Lab::new().await;
        throughput(table, &lab, if quick { 4 } else { 20 }).await;
        size(table, &lab).await;
        purge(table, &lab, if quick { (10_000, 50_000) } else { (100_000, 1_000_000) }).await;
    });
}

/// Runs logins, rotations, revocations and purges for ten minutes, or four in quick mode.
pub fn soak(_: &mut Table, quick: bool) {
    Runtime::new().unwrap().block_on(async {
        let lab = Lab::new().await;
        let length = Duration::from_secs(if quick { 240 } else { 600 });
        let sample = async || {
            let [stored, memory] = ["used_memory_dataset:", "used_memory_rss:"].map(async |field| {
                let info: String = lab.ask("INFO memory").await;
                info.lines().find_map(|line| line.strip_prefix(field)?.parse().ok()).unwrap()
            });
            Sample { stored: stored.await, memory: memory.await }
        };
        soak::run("redis", lab.store("soaked").await, length, sample).await;
    });
}

/// The server under test, with a connection of the bare driver.
struct Lab {
    url: String,
    bare: MultiplexedConnection,
}

impl Lab {
    async fn new() -> Self {
        let Ok(url) = std::env::var("REDIS_URL") else {
            panic!("REDIS_URL is not set: run this benchmark with .ci/redis")
        };
        let client = ::redis::Client::open(url.as_str()).unwrap();
        let mut bare = client.get_multiplexed_async_connection().await.unwrap();
        bare.set_response_timeout(Duration::from_secs(20));
        let lab = Self { url, bare };
        lab.ask::<()>("FLUSHALL").await;
        // The baseline is PING, which needs no disk sync. Writes must not need one either, or the comparison is unfair.
        lab.ask::<()>("CONFIG SET appendonly no").await;
        lab
    }

    async fn store(&self, prefix: &str) -> RedisStore {
        RedisStore::connect(&self.url).await.unwrap().with_prefix(prefix).with_timeout(Duration::from_secs(20))
    }

    async fn ask<T: ::redis::FromRedisValue>(&self, words: &str) -> T {
        let mut words = words.split(' ');
        let mut cmd = ::redis::cmd(words.next().unwrap());
        words.for_each(|word| {
            cmd.arg(word);
        });
        cmd.query_async(&mut self.bare.clone()).await.unwrap()
    }
}

fn key(number: usize) -> RecordKey {
    RecordKey::from_bytes((number as u128).wrapping_mul(0x2d35_8dcc_aa6c_78a5_0d39_7c4d_2f6b_1a35).to_le_bytes())
}

fn record(number: usize, version: u64, expires_at: u64) -> Record {
    let indexes = vec![IndexKey::from_bytes(*key(number).as_bytes()), IndexKey::from_bytes([number as u8 % 16; 16])];
    Record::new(key(number), version, Timestamp::from_unix(expires_at), indexes, vec![7; PAYLOAD])
}

async fn fill(store: &Arc<RedisStore>, numbers: std::ops::Range<usize>, expires_at: u64) {
    let mut tasks = JoinSet::new();
    for client in 0..MOST {
        let (store, mine) = (Arc::clone(store), numbers.clone().skip(client).step_by(MOST));
        tasks.spawn(async move {
            for number in mine {
                assert_eq!(store.commit(record(number, 1, expires_at)).await.unwrap(), Commit::Applied);
            }
        });
    }
    tasks.join_all().await;
}

fn row_name(number: usize) -> Vec<u8> {
    [b"bare:".as_slice(), key(number).as_bytes()].concat()
}

fn row(version: u64) -> Vec<u8> {
    let mut row = version.to_be_bytes().to_vec();
    row.resize(HEAD + PAYLOAD, 7);
    row
}

fn swap(script: &Script, number: usize, version: u64) -> Cmd {
    let mut cmd = ::redis::cmd("EVALSHA");
    cmd.arg(script.get_hash()).arg(1).arg(row_name(number)).arg(&(version - 1).to_be_bytes()).arg(row(version));
    cmd
}

async fn throughput(table: &mut Table, lab: &Lab, rounds: usize) {
    let issuer = Arc::new(TokenIssuer::new(lab.store("ours").await, keyring()).with_policies(RotationPolicy::strict()));
    let mut tokens = Vec::new();
    for client in 0..MOST {
        let mut mine = Vec::new();
        for turn in 0..EACH {
            let response = issuer.issue(grant(client * EACH + turn), None).await.unwrap();
            mine.push(response.refresh_token.expose().to_owned());
        }
        tokens.push(Mutex::new(mine));
    }
    let tokens = Arc::new(tokens);
    let rows = Arc::new(lab.store("rows").await);
    fill(&rows, 0..MOST * EACH, 2_000_000_000).await;
    let versions: Arc<Vec<_>> = Arc::new((0..MOST * EACH).map(|_| AtomicU64::new(1)).collect());

    let refresh = move |client: usize, turn: usize| {
        let (issuer, tokens) = (issuer.clone(), tokens.clone());
        async move {
            let mut mine = tokens[client].lock().await;
            rotate(&issuer, &mut mine[turn % EACH]).await;
        }
    };
    let commit = {
        let (rows, versions) = (rows.clone(), versions.clone());
        move |client: usize, turn: usize| {
            let (rows, number) = (rows.clone(), client * EACH + turn % EACH);
            let version = versions[number].fetch_add(1, Ordering::Relaxed) + 1;
            async move {
                let commit = rows.commit(record(number, version, 2_000_000_000)).await;
                assert_eq!(commit.unwrap(), Commit::Applied);
            }
        }
    };
    let script = Arc::new(Script::new(SWAP));
    script.prepare_invoke().load_async(&mut lab.bare.clone()).await.unwrap();
    for number in 0..MOST * EACH {
        ::redis::cmd("SET").arg(row_name(number)).arg(row(1)).exec_async(&mut lab.bare.clone()).await.unwrap();
    }
    let bare_versions: Arc<Vec<_>> = Arc::new((0..MOST * EACH).map(|_| AtomicU64::new(1)).collect());
    let bare_swap = |read: bool| {
        let (bare, versions, script) = (lab.bare.clone(), bare_versions.clone(), script.clone());
        move |client: usize, turn: usize| {
            let (mut bare, number, script) = (bare.clone(), client * EACH + turn % EACH, script.clone());
            let version = versions[number].fetch_add(1, Ordering::Relaxed) + 1;
            async move {
                let cmd = swap(&script, number, version);
                if read {
                    let _: Vec<u8> = ::redis::cmd("GET").arg(row_name(number)).query_async(&mut bare).await.unwrap();
                }
                let done: i64 = cmd.query_async(&mut bare).await.unwrap();
                assert_eq!(done, 1);
            }
        }
    };
    let ping = {
        let bare = lab.bare.clone();
        move |_: usize, _: usize| {
            let mut bare = bare.clone();
            async move { ::redis::cmd("PING").query_async(&mut bare).await.unwrap() }
        }
    };
    // Like `redis-benchmark`: each client has its own connection, so no two commands share a packet.
    let client = ::redis::Client::open(lab.url.as_str()).unwrap();
    let mut connections = Vec::new();
    for _ in 0..MOST {
        connections.push(client.get_multiplexed_async_connection().await.unwrap());
    }
    let ping_alone = move |client: usize, _: usize| {
        let mut connection = connections[client].clone();
        async move { ::redis::cmd("PING").query_async(&mut connection).await.unwrap() }
    };
    for clients in [1, 16, 64] {
        let (mut ours, mut commits, mut swaps, mut pairs) = (vec![], vec![], vec![], vec![]);
        let (mut pings, mut pings_alone) = (vec![], vec![]);
        for _ in 0..rounds {
            ours.push(rate(clients, refresh.clone()).await);
            commits.push(rate(clients, commit.clone()).await);
            swaps.push(rate(clients, bare_swap(false)).await);
            pairs.push(rate(clients, bare_swap(true)).await);
            pings.push(rate(clients, ping.clone()).await);
            pings_alone.push(rate(clients, ping_alone.clone()).await);
        }
        let ratio = |a: &[f64], b: &[f64]| median(a.iter().zip(b).map(|(a, b)| a / b).collect());
        let shown = |rates: &[f64], what: &str| format!("{:.0} {what}/s", median(rates.to_vec()));
        table.figure(format!("PING, {clients} concurrent on one connection"), shown(&pings, "answers"));
        table.figure(format!("PING, {clients} concurrent on a connection each"), shown(&pings_alone, "answers"));
        table.figure(format!("bare compare-and-swap, {clients} concurrent"), shown(&swaps, "writes"));
        let case = format!("commits at {clients} concurrent ÷ bare compare-and-swap of the same bytes");
        table.ratio(case, shown(&commits, "commits"), ratio(&commits, &swaps), Target::None);
        let case = format!("rotations at {clients} concurrent ÷ bare compare-and-swap of the same bytes");
        table.ratio(case, shown(&ours, "rotations"), ratio(&ours, &swaps), Target::AtLeast(0.9));
        let case = format!("rotations at {clients} concurrent ÷ bare read and compare-and-swap");
        table.ratio(case, shown(&ours, "rotations"), ratio(&ours, &pairs), Target::None);
        let target = if clients == MOST { Target::AtLeast(0.55) } else { Target::None };
        let case = format!("commits at {clients} concurrent ÷ PING on a connection each");
        table.ratio(case, shown(&commits, "commits"), ratio(&commits, &pings_alone), target);
        let case = format!("commits at {clients} concurrent ÷ PING on one connection");
        table.ratio(case, shown(&commits, "commits"), ratio(&commits, &pings), Target::None);
    }
}

/// Returns the bytes that the server reports for all keys of a store.
async fn bytes(lab: &Lab, prefix: &str) -> usize {
    let names: Vec<Vec<u8>> = lab.ask(&format!("KEYS {prefix}:*")).await;
    let mut sum = 0;
    for name in names {
        let mut bare = lab.bare.clone();
        sum += ::redis::cmd("MEMORY").arg("USAGE").arg(name).query_async::<usize>(&mut bare).await.unwrap();
    }
    sum
}

async fn size(table: &mut Table, lab: &Lab) {
    let issuer = TokenIssuer::new(lab.store("size").await, keyring()).with_policies(RotationPolicy::strict());
    let mut tokens = Vec::new();
    for user in 0..100 {
        tokens.push(issuer.issue(grant(user), None).await.unwrap().refresh_token.expose().to_owned());
    }
    for token in &mut tokens {
        rotate(&issuer, token).await;
    }
    let one = bytes(lab, "size").await;
    for token in &mut tokens {
        for _ in 1..1000 {
            rotate(&issuer, token).await;
        }
    }
    let thousand = bytes(lab, "size").await;
    table.figure("bytes per family after 1 rotation", format!("{}", one / 100));
    let case = "bytes per family after 1,000 rotations ÷ after 1";
    table.ratio(case, format!("{}", thousand / 100), thousand as f64 / one as f64, Target::AtMost(1.0));
}

async fn purge(table: &mut Table, lab: &Lab, (expired, living): (usize, usize)) {
    const NOW: u64 = 1_900_000_000;
    let store = Arc::new(lab.store("purge").await);
    fill(&store, 0..living, 2_000_000_000).await;
    fill(&store, living..living + expired, NOW).await;
    let issuer =
        TokenIssuer::new(Arc::new(lab.store("purge-ours").await), keyring()).with_policies(RotationPolicy::strict());
    let mut token = [issuer.issue(grant(0), None).await.unwrap().refresh_token.expose().to_owned()];
    load::purge_beside(table, (store, Timestamp::from_unix(NOW)), (&issuer, &mut token), (expired, living)).await;
}
