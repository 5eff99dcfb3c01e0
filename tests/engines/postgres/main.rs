//! `PostgresStore` on real servers. `.ci/postgres` starts them; without them these tests fail.

mod conformance;
mod failover;
mod frozen;
mod lock;
mod outage;
mod pair;
mod processes;
mod proxy;
mod races;
mod schema;
mod secrets;
mod silent;
#[path = "../../support/mod.rs"]
mod support;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use mcp_token_lifecycle::{Error, ErrorCode, PostgresError, PostgresStore, RefreshRequest, TokenIssuer, TokenResponse};
use tokio::runtime::{Builder, Runtime};

use self::support::refresh;

/// One runtime for all tests: a connection belongs to the one it was opened on.
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap());

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run these tests with .ci/postgres"))
}

/// PostgreSQL itself.
fn direct() -> String {
    variable("POSTGRES_URL")
}

/// The same server through PgBouncer in transaction mode.
fn pooled() -> String {
    variable("PGBOUNCER_URL")
}

/// A name that no other test has.
fn table() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// What is well may take this long on a busy machine.
const LONG: Duration = Duration::from_secs(60);

/// A store on a server that is well, which gives it time: tried until there is a connection.
async fn connected(url: &str) -> PostgresStore {
    let begun = Instant::now();
    loop {
        match PostgresStore::connect(url).await {
            Ok(store) => return store.with_timeout(LONG),
            Err(error @ PostgresError::Connect { .. }) => {
                assert!(begun.elapsed() < LONG, "no connection after a minute: {error:?}");
            }
            Err(error) => panic!("{error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A store in the table of this name, created if need be.
async fn store(url: &str, table: &str) -> PostgresStore {
    let store = connected(url).await.with_table(table).unwrap();
    store.create_schema().await.unwrap();
    store
}

/// A store in an empty table of its own.
async fn fresh(url: &str) -> PostgresStore {
    store(url, &table()).await
}

/// Statements of the test's own, on a connection of its own. The first column of the last rows, as text.
async fn sql(url: &str, script: &str) -> Vec<String> {
    use tokio_postgres::SimpleQueryMessage::Row;
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    let messages = client.simple_query(script).await.unwrap();
    connection.abort();
    messages.iter().filter_map(|m| if let Row(row) = m { row.get(0).map(str::to_owned) } else { None }).collect()
}

type Issuer = Arc<TokenIssuer<PostgresStore>>;

/// A refresh on a server that may be at fault.
async fn try_refresh(issuer: &Issuer, token: &str) -> Result<Result<TokenResponse, ErrorCode>, Error> {
    let answer = issuer.refresh(&RefreshRequest::new(&support::client(), token)).await;
    answer.map(|answer| answer.into_result().map_err(|response| response.error))
}

/// Ask again until something is there.
async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    while begun.elapsed() < LONG {
        if let Some(found) = look().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("waited in vain for a minute: {what}")
}
