//! Whether a write that failed may have happened, and what becomes of the retry.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mcp_token_lifecycle::{
    Commit, ErrorKind, PostgresError, PostgresStore, Record, RecordKey, StoreError, Timestamp, TokenIssuer, TokenStore,
};
use tokio::task::JoinHandle;

use super::lock::{Lock, until_blocked, until_running};
use super::proxy::{Cut, Proxy};
use super::support::*;
use super::{Issuer, RUNTIME, connected, direct, fresh, refresh, sql, store, table, try_refresh, until};

fn record(version: u64) -> Record {
    record_of(1, version)
}

fn record_of(key: u8, version: u64) -> Record {
    Record::new(RecordKey::from_bytes([key; 16]), version, Timestamp::from_unix(9), vec![], vec![version as u8])
}

/// The server behind a proxy.
async fn behind_a_proxy() -> (Proxy, String) {
    let url = direct();
    let server = url.split(['@', '/']).nth(3).unwrap().to_owned();
    let proxy = Proxy::start(server.clone()).await;
    let url = url.replace(&server, &format!("127.0.0.1:{}", proxy.port));
    (proxy, url)
}

async fn a_cut(cut: Cut, happened: bool) {
    let (proxy, url) = behind_a_proxy().await;
    let table = table();
    let issuer: Issuer = Arc::new(TokenIssuer::new(store(&url, &table).await, keyring()));
    let first = issuer.issue(grant(), None).await.unwrap();
    proxy.cut_once(cut);
    let fault = try_refresh(&issuer, rt(&first)).await.unwrap_err();
    assert_eq!(fault.kind(), ErrorKind::StoreUncertain, "{fault:?}");
    assert_eq!(sql(&direct(), &format!("SELECT version FROM {table}")).await, [if happened { "2" } else { "1" }]);
    let second = refresh(&issuer, rt(&first)).await.unwrap();
    assert_eq!(second.retry, happened);
    let again = refresh(&issuer, rt(&first)).await.unwrap();
    assert_eq!(rt(&again), rt(&second), "the same successor");
    assert_eq!(sql(&direct(), &format!("SELECT version FROM {table}")).await, ["2"]);
}

#[test]
fn cut_after_commit_is_uncertain_and_retry_gets_successor() {
    RUNTIME.block_on(a_cut(Cut::After, true));
}

#[test]
fn cut_before_commit_is_uncertain_and_retry_rotates() {
    RUNTIME.block_on(a_cut(Cut::Before, false));
}

#[test]
fn operations_without_server_are_unavailable() {
    RUNTIME.block_on(async {
        let (proxy, url) = behind_a_proxy().await;
        let store = store(&url, &table()).await;
        assert_eq!(store.commit(record(1)).await.unwrap(), Commit::Applied);
        proxy.close().await;
        // The first may find out by its broken connection.
        let _ = store.commit(record(2)).await;
        assert!(matches!(store.commit(record(2)).await, Err(StoreError::Unavailable(_))));
        assert!(matches!(store.get(record(1).key).await, Err(StoreError::Unavailable(_))));
        assert!(matches!(PostgresStore::connect(&url).await, Err(PostgresError::Connect { .. })));
    });
}

/// Waits for half a second at most, for what another has locked. It shares the connections of `store`, so it has one.
fn hasty(store: &PostgresStore) -> PostgresStore {
    store.clone().with_timeout(Duration::from_millis(500))
}

#[test]
fn commit_client_timeout_is_uncertain() {
    RUNTIME.block_on(async {
        let table = table();
        let store = store(&direct(), &table).await;
        assert_eq!(store.commit(record(1)).await.unwrap(), Commit::Applied);
        let lock = Lock::take(&format!("SELECT * FROM {table} FOR UPDATE")).await;
        let outcome = hasty(&store).commit(record(2)).await;
        assert!(matches!(outcome, Err(StoreError::Uncertain(_))), "{outcome:?}");
        lock.release().await;
        // The server goes on with it or not; whichever it was, there is one version after this one.
        let _either = store.commit(record(2)).await.unwrap();
        assert_eq!(store.get(record(1).key).await.unwrap(), Some(record(2)));
    });
}

#[test]
fn commit_statement_timeout_is_unavailable_and_unwritten() {
    RUNTIME.block_on(async {
        let table = table();
        let store = store(&direct(), &table).await;
        assert_eq!(store.commit(record(1)).await.unwrap(), Commit::Applied);
        let limited = format!("{}?options=-c%20statement_timeout%3D500", direct());
        let limited = connected(&limited).await.with_table(&table).unwrap();
        let lock = Lock::take(&format!("SELECT * FROM {table} FOR UPDATE")).await;
        let outcome = limited.commit(record(2)).await;
        assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "{outcome:?}");
        lock.release().await;
        assert_eq!(store.get(record(1).key).await.unwrap(), Some(record(1)));
        // On a busy machine it may run out again.
        let outcome = until("the commit", async || limited.commit(record(2)).await.ok()).await;
        assert_eq!(outcome, Commit::Applied);
    });
}

#[test]
fn commit_whose_session_is_terminated_is_uncertain() {
    RUNTIME.block_on(async {
        let table = table();
        let store = store(&direct(), &table).await;
        assert_eq!(store.commit(record(1)).await.unwrap(), Commit::Applied);
        let lock = Lock::take(&format!("SELECT * FROM {table} FOR UPDATE")).await;
        let commit = tokio::spawn({
            let store = store.clone();
            async move { store.commit(record(2)).await }
        });
        let end = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'UPDATE \"{table}%'"
        );
        until("the end", async || (!sql(&direct(), &end).await.is_empty()).then_some(())).await;
        let outcome = commit.await.unwrap();
        assert!(matches!(outcome, Err(StoreError::Uncertain(_))), "{outcome:?}");
        lock.release().await;
        assert_eq!(store.commit(record(2)).await.unwrap(), Commit::Applied);
    });
}

#[test]
fn commit_serialization_failure_is_retried() {
    RUNTIME.block_on(async {
        // Under this isolation a statement that waited for another writer fails with SQLSTATE 40001.
        let url = format!("{}?options=-c%20default_transaction_isolation%3Dserializable", direct());
        let table = table();
        let store = store(&url, &table).await;
        assert_eq!(store.commit(record(1)).await.unwrap(), Commit::Applied);
        let lock = Lock::take(&format!("UPDATE {table} SET expires_at = 8")).await;
        let commit = tokio::spawn({
            let store = store.clone();
            async move { store.commit(record(2)).await }
        });
        until_blocked(&format!("UPDATE \"{table}")).await;
        lock.release().await;
        assert_eq!(commit.await.unwrap().unwrap(), Commit::Applied);
        assert_eq!(store.get(record(1).key).await.unwrap(), Some(record(2)));
    });
}

/// The condition for a row of this key.
fn has_key(key: u8) -> String {
    format!("key = '\\x{}'", format!("{key:02x}").repeat(16))
}

/// Wait until a purge has deleted so many rows that these are left.
async fn until_left(table: &str, count: usize) {
    let left = format!("SELECT count(*) FROM {table}");
    until("the purge", async || (sql(&direct(), &left).await == [count.to_string()]).then_some(())).await;
}

/// Purge everything that `record_of` has made.
fn purge(store: &PostgresStore) -> JoinHandle<Result<usize, StoreError>> {
    let store = store.clone();
    tokio::spawn(async move { store.purge(Timestamp::from_unix(10), 10).await })
}

#[test]
fn purge_waits_for_locked_rows_and_spares_renewed_ones() {
    RUNTIME.block_on(async {
        let table = table();
        let store = store(&direct(), &table).await;
        for key in [1, 2, 3] {
            assert_eq!(store.commit(record_of(key, 1)).await.unwrap(), Commit::Applied);
        }
        let lock = Lock::take(&format!("SELECT * FROM {table} WHERE {} FOR UPDATE", has_key(2))).await;
        lock.and(&format!("UPDATE {table} SET expires_at = 11 WHERE {}", has_key(3))).await;
        let purge = purge(&store);
        until_left(&table, 2).await;
        lock.release().await;
        assert_eq!(purge.await.unwrap().unwrap(), 2);
        assert!(store.get(record_of(2, 1).key).await.unwrap().is_none());
        assert!(store.get(record_of(3, 1).key).await.unwrap().is_some());
    });
}

/// Its rows are released one after the other: it takes longer than the limit in all, though never as long for one of them.
#[test]
fn purge_with_progress_may_exceed_the_time_limit() {
    const LIMIT: Duration = Duration::from_secs(14);
    const ROWS: u8 = 4;
    RUNTIME.block_on(async {
        let table = table();
        let store = store(&direct(), &table).await;
        let mut locks = Vec::new();
        for key in 1..=ROWS {
            assert_eq!(store.commit(record_of(key, 1)).await.unwrap(), Commit::Applied);
            locks.push(Lock::take(&format!("SELECT * FROM {table} WHERE {} FOR UPDATE", has_key(key))).await);
        }
        let (begun, purge) = (Instant::now(), purge(&store.clone().with_timeout(LIMIT)));
        for (lock, left) in locks.into_iter().zip((0..usize::from(ROWS)).rev()) {
            tokio::time::sleep(LIMIT * 2 / 7).await;
            lock.release().await;
            if left > 0 {
                until_left(&table, left).await;
            }
        }
        assert_eq!(purge.await.unwrap().unwrap(), usize::from(ROWS));
        assert!(begun.elapsed() > LIMIT);
    });
}

/// The limit is that of each statement too.
#[test]
fn purge_without_progress_ends_unavailable() {
    RUNTIME.block_on(async {
        let table = table();
        let store = store(&direct(), &table).await;
        assert_eq!(store.commit(record(1)).await.unwrap(), Commit::Applied);
        let lock = Lock::take(&format!("SELECT * FROM {table} FOR UPDATE")).await;
        let outcome = purge(&store.clone().with_timeout(Duration::from_secs(10))).await.unwrap();
        assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "{outcome:?}");
        lock.release().await;
        assert_eq!(purge(&store).await.unwrap().unwrap(), 1);
    });
}

/// The commit of another row comes so much later than the one that waits for a locked row, and after it no other.
async fn past_a_locked_row(later: impl AsyncFnOnce(&str)) {
    let table = table();
    let store = store(&direct(), &table).await;
    for key in [1, 2] {
        assert_eq!(store.commit(record_of(key, 1)).await.unwrap(), Commit::Applied);
    }
    let lock = Lock::take(&format!("SELECT * FROM {table} WHERE {} FOR UPDATE", has_key(1))).await;
    let held_up = tokio::spawn({
        let store = store.clone();
        async move { store.commit(record(2)).await }
    });
    later(&table).await;
    assert_eq!(store.commit(record_of(2, 2)).await.unwrap(), Commit::Applied);
    assert!(!held_up.is_finished(), "the other waits for the lock");
    lock.release().await;
    assert_eq!(held_up.await.unwrap().unwrap(), Commit::Applied);
}

#[test]
fn commit_is_not_blocked_by_locked_row_of_another() {
    RUNTIME.block_on(past_a_locked_row(async |table: &str| {
        until_blocked(&format!("UPDATE \"{table}")).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }));
}

#[test]
fn commit_is_not_blocked_before_the_lock_is_noticed() {
    RUNTIME.block_on(past_a_locked_row(async |table: &str| until_running(&format!("UPDATE \"{table}")).await));
}

#[test]
fn operation_without_runtime_is_unavailable() {
    let store = RUNTIME.block_on(fresh(&direct()));
    assert!(matches!(block_on(store.commit(record(1))), Err(StoreError::Unavailable(_))));
    assert!(matches!(block_on(store.get(record(1).key)), Err(StoreError::Unavailable(_))));
}

#[test]
fn commit_of_record_beyond_limits_is_unavailable() {
    RUNTIME.block_on(async {
        let store = fresh(&direct()).await;
        let (mut large, mut late) = (record(1), record(1));
        large.payload = vec![0; Record::MAX_PAYLOAD + 1];
        late.expires_at = Timestamp::from_unix(1 << 63);
        let beyond = [large, late, record(1 << 63)];
        for record in beyond {
            assert!(matches!(store.commit(record).await, Err(StoreError::Unavailable(_))));
        }
    });
}
