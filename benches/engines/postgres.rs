//! Measures `PostgresStore` against the bare driver on the same server.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use deadpool_postgres::{Manager, Pool};
use mcp_token_lifecycle::{
    Commit, IndexKey, PostgresStore, Record, RecordKey, RotationPolicy, Timestamp, TokenIssuer, TokenStore,
};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio_postgres::NoTls;
use tokio_postgres::types::Type;

use crate::fixture::{grant, keyring};
use crate::load::{self, rate, rotate};
use crate::measure::median;
use crate::soak::{self, Sample};
use crate::table::{Table, Target};

/// The number of families or rows of each client. The client visits them in turn.
const EACH: usize = 64;
/// The largest number of concurrent clients.
const MOST: usize = 64;
/// The size in bytes of the sealed record of a fixture family.
const PAYLOAD: usize = 235;

pub fn run(table: &mut Table, quick: bool) {
    Runtime::new().unwrap().block_on(async {
        let lab = Lab::new().await;
        throughput(table, &lab, if quick { 4 } else { 20 }).await;
        round_trips(table, &lab).await;
        size(table, &lab, if quick { 100 } else { 1000 }).await;
        purge(table, &lab, if quick { 100_000 } else { 1_000_000 }).await;
    });
}

/// Runs logins, rotations, revocations and purges for ten minutes, or four in quick mode.
pub fn soak(_: &mut Table, quick: bool) {
    Runtime::new().unwrap().block_on(async {
        let lab = Lab::new().await;
        let length = Duration::from_secs(if quick { 240 } else { 600 });
        let sample = async || {
            let session = lab.bare.get().await.unwrap();
            let rows = session.query_typed("SELECT pid FROM pg_stat_activity", &[]).await.unwrap();
            let memory = rows.iter().map(|row| anonymous_memory(row.get(0))).sum();
            Sample { stored: lab.number("SELECT pg_total_relation_size('soaked')").await as u64, memory }
        };
        soak::run("postgres", lab.store("soaked").await, length, sample).await;
    });
}

/// Returns the private memory of a server process, in bytes.
fn anonymous_memory(process: i32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// The database under test, with a connection pool of the bare driver.
struct Lab {
    url: String,
    bare: Pool,
}

impl Lab {
    async fn new() -> Self {
        let Ok(url) = std::env::var("POSTGRES_URL") else {
            panic!("POSTGRES_URL is not set: run this benchmark with .ci/postgres")
        };
        let manager = Manager::new(url.parse().unwrap(), NoTls);
        let lab = Self { url, bare: Pool::builder(manager).max_size(16).build().unwrap() };
        for name in ["ours", "rows", "bare", "sizes", "purged", "soaked"] {
            lab.sql(&format!("DROP TABLE IF EXISTS {name}")).await;
            lab.sql(&lab.store(name).await.schema_sql()).await;
        }
        lab
    }

    async fn store(&self, name: &str) -> PostgresStore {
        PostgresStore::connect(&self.url).await.unwrap().with_table(name).unwrap()
    }

    async fn issuer(&self, name: &str) -> Arc<TokenIssuer<PostgresStore>> {
        Arc::new(TokenIssuer::new(self.store(name).await, keyring()).with_policies(RotationPolicy::strict()))
    }

    async fn sql(&self, script: &str) {
        self.bare.get().await.unwrap().batch_execute(script).await.unwrap();
    }

    async fn number(&self, query: &str) -> i64 {
        self.bare.get().await.unwrap().query_typed_one(query, &[]).await.unwrap().get(0)
    }
}

fn row(client: usize, turn: usize) -> RecordKey {
    let number = (client * EACH + turn % EACH) as u128;
    RecordKey::from_bytes(number.wrapping_mul(0x2d35_8dcc_aa6c_78a5_0d39_7c4d_2f6b_1a35).to_le_bytes())
}

fn record(key: RecordKey, version: u64) -> Record {
    let indexes = vec![IndexKey::from_bytes(*key.as_bytes()), IndexKey::from_bytes([1; 16])];
    Record::new(key, version, Timestamp::from_unix(2_000_000_000), indexes, vec![7; PAYLOAD])
}

async fn fill(store: &PostgresStore) {
    let mut tasks = JoinSet::new();
    for client in 0..MOST {
        let store = store.clone();
        tasks.spawn(async move {
            for turn in 0..EACH {
                assert_eq!(store.commit(record(row(client, turn), 1)).await.unwrap(), Commit::Applied);
            }
        });
    }
    tasks.join_all().await;
}

type Tokens = Arc<Vec<tokio::sync::Mutex<Vec<String>>>>;

async fn login(issuer: &Arc<TokenIssuer<PostgresStore>>, clients: usize, each: usize) -> Tokens {
    let mut tasks = JoinSet::new();
    for client in 0..clients {
        let issuer = issuer.clone();
        tasks.spawn(async move {
            let mut tokens = Vec::new();
            for n in 0..each {
                let response = issuer.issue(grant(client * each + n), None).await.unwrap();
                tokens.push(response.refresh_token.expose().to_owned());
            }
            tokio::sync::Mutex::new(tokens)
        });
    }
    Arc::new(tasks.join_all().await)
}

async fn throughput(table: &mut Table, lab: &Lab, rounds: usize) {
    let issuer = lab.issuer("ours").await;
    let tokens = login(&issuer, MOST, EACH).await;
    let (rows, bare) = (lab.store("rows").await, lab.bare.clone());
    fill(&rows).await;
    fill(&lab.store("bare").await).await;
    lab.sql("VACUUM ANALYZE").await;

    let refresh = move |client: usize, turn: usize| {
        let (issuer, tokens) = (issuer.clone(), tokens.clone());
        async move {
            let mut mine = tokens[client].lock().await;
            rotate(&issuer, &mut mine[turn % EACH]).await;
        }
    };
    // The value of the version does not matter to the engine. The engine compares it, and it must increase.
    let versions: Arc<Vec<_>> = Arc::new((0..MOST * EACH).map(|_| std::sync::atomic::AtomicU64::new(1)).collect());
    let commit = move |client: usize, turn: usize| {
        let (rows, versions) = (rows.clone(), versions.clone());
        async move {
            let version = versions[client * EACH + turn % EACH].fetch_add(1, Ordering::Relaxed) + 1;
            let commit = rows.commit(record(row(client, turn), version)).await;
            assert_eq!(commit.unwrap(), Commit::Applied);
        }
    };
    let swap = |read: bool| {
        let bare = bare.clone();
        move |client: usize, turn: usize| {
            let bare = bare.clone();
            async move { swap_alone(&bare, row(client, turn), read).await }
        }
    };
    for clients in [1, 16, 64] {
        let (mut ours, mut single, mut pair, mut shared) = (vec![], vec![], vec![], vec![]);
        for _ in 0..rounds {
            ours.push(rate(clients, refresh.clone()).await);
            single.push(rate(clients, swap(false)).await);
            pair.push(rate(clients, swap(true)).await);
            shared.push(rate(clients, commit.clone()).await);
        }
        let ratio = |a: &[f64], b: &[f64]| median(a.iter().zip(b).map(|(a, b)| a / b).collect());
        let rows = |rates: &[f64]| format!("{:.0} rows/s", median(rates.to_vec()));
        table.figure(format!("bare compare-and-swap, {clients} concurrent"), rows(&single));
        table.figure(format!("bare read and compare-and-swap, {clients} concurrent"), rows(&pair));
        let figure = format!("{:.0} rotations/s", median(ours.clone()));
        let case = format!("rotations at {clients} concurrent ÷ bare compare-and-swap of the same bytes");
        table.ratio(case, figure.clone(), ratio(&ours, &single), Target::AtLeast(0.9));
        let case = format!("rotations at {clients} concurrent ÷ bare read and compare-and-swap");
        table.ratio(case, figure, ratio(&ours, &pair), Target::None);
        let target = if clients == 64 { Target::AtLeast(3.0) } else { Target::None };
        table.ratio(
            format!("shared commits at {clients} concurrent ÷ one statement each"),
            rows(&shared),
            ratio(&shared, &single),
            target,
        );
    }
}

/// Writes the same bytes through the same driver, without this crate.
async fn swap_alone(pool: &Pool, key: RecordKey, read: bool) {
    let session = pool.get().await.unwrap();
    let key = &key.as_bytes()[..];
    if read {
        let query = "SELECT key, version, expires_at, index1, index2, payload FROM bare WHERE key = $1";
        session.query_typed_one(query, &[(&key, Type::BYTEA)]).await.unwrap();
    }
    let (payload, other) = ([7_u8; PAYLOAD], [1_u8; 16]);
    let update = "UPDATE bare SET version = version + 1, expires_at = $2, index1 = $1, index2 = $3, payload = $4 \
         WHERE key = $1 AND version >= $5 RETURNING key";
    let parameters = [
        (&key as _, Type::BYTEA),
        (&2_000_000_000_i64 as _, Type::INT8),
        (&&other[..] as _, Type::BYTEA),
        (&&payload[..] as _, Type::BYTEA),
        (&1_i64 as _, Type::INT8),
    ];
    session.query_typed_one(update, &parameters).await.unwrap();
}

/// Counts the round trips of a refresh with the transaction counter of the server. Each statement is one transaction, and the
/// database has no other traffic.
async fn round_trips(table: &mut Table, lab: &Lab) {
    const REFRESHES: usize = 5000;
    lab.sql("DROP DATABASE IF EXISTS trips").await;
    lab.sql("CREATE DATABASE trips").await;
    let (server, _) = lab.url.rsplit_once('/').unwrap();
    let store = PostgresStore::connect(&format!("{server}/trips")).await.unwrap();
    store.create_schema().await.unwrap();
    let issuer = Arc::new(TokenIssuer::new(store, keyring()).with_policies(RotationPolicy::strict()));
    let tokens = login(&issuer, 1, 1).await;
    let mut tokens = tokens[0].lock().await;
    for _ in 0..REFRESHES {
        rotate(&issuer, &mut tokens[0]).await;
    }
    // A server session reports its transactions when it ends.
    drop(issuer);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let count = lab.number("SELECT xact_commit FROM pg_stat_database WHERE datname = 'trips'").await;
    // The count also contains the login and the start of each server session.
    let trips = count as f64 / REFRESHES as f64;
    table.ratio("round trips per refresh", format!("{trips:.3}"), trips, Target::AtMost(2.01));
}

async fn size(table: &mut Table, lab: &Lab, most: usize) {
    const CLIENTS: usize = 50;
    const FAMILIES: usize = 40;
    let issuer = lab.issuer("sizes").await;
    let tokens = login(&issuer, CLIENTS, FAMILIES).await;
    let mut sizes = Vec::new();
    for rotations in [1, most - 1] {
        let mut tasks = JoinSet::new();
        for client in 0..CLIENTS {
            let (issuer, tokens) = (issuer.clone(), tokens.clone());
            tasks.spawn(async move {
                let mut mine = tokens[client].lock().await;
                for round in 0..rotations {
                    for turn in 0..FAMILIES {
                        // The order is scattered, because sessions that start together do not refresh together.
                        let family = (turn + client * 7 + round * 11) % FAMILIES;
                        rotate(&issuer, &mut mine[family]).await;
                    }
                }
            });
        }
        tasks.join_all().await;
        lab.sql("VACUUM sizes").await;
        let bytes = lab.number("SELECT pg_total_relation_size('sizes')").await;
        sizes.push(bytes as f64 / (CLIENTS * FAMILIES) as f64);
    }
    let figure = format!("{:.0} and {:.0} bytes", sizes[0], sizes[1]);
    let case = format!("bytes per family with indexes, after {most} rotations ÷ after 1");
    table.ratio(case, figure, sizes[1] / sizes[0], Target::AtMost(1.1));
}

async fn purge(table: &mut Table, lab: &Lab, living: usize) {
    let expired = living / 10;
    lab.sql(&format!(
        "INSERT INTO purged SELECT decode(md5(n::text), 'hex'), 1, \
         CASE WHEN n <= {expired} THEN n ELSE 4000000000 + n END, decode(md5('s' || n), 'hex'), \
         decode(md5((n % 16)::text), 'hex'), NULL, NULL, decode(repeat(md5(n::text), 15), 'hex') \
         FROM generate_series(1, {}) AS n",
        living + expired
    ))
    .await;
    lab.sql("VACUUM ANALYZE purged").await;
    lab.sql("CHECKPOINT").await;
    let issuer = lab.issuer("purged").await;
    let tokens = login(&issuer, 1, EACH).await;
    let mut tokens = tokens[0].lock().await;
    let (purged, now) = (lab.store("purged").await, Timestamp::from_unix(1_000_000_000));
    load::purge_beside(table, (purged, now), (&issuer, &mut tokens), (expired, living)).await;
}
