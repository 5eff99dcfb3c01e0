//! The table: how it comes to be, and what a rotation costs it.

use std::sync::Arc;
use std::time::Duration;

use mcp_token_lifecycle::{
    Commit, PostgresError, PostgresStore, Record, RecordKey, RotationPolicy, Timestamp, TokenIssuer, TokenStore,
};
use tokio::task::JoinSet;

use super::lock::Lock;
use super::support::*;
use super::{Issuer, RUNTIME, connected, direct, refresh, sql, store, table, until};

async fn at(name: &str) -> PostgresStore {
    connected(&direct()).await.with_table(name).unwrap()
}

fn record() -> Record {
    Record::new(RecordKey::from_bytes([1; 16]), 1, Timestamp::from_unix(9), vec![], vec![7])
}

#[test]
fn create_schema_from_eight_tasks_at_once_succeeds() {
    RUNTIME.block_on(async {
        let name = format!("schema_{0}.{0}", table());
        let mut tasks = JoinSet::new();
        for _ in 0..8 {
            let store = at(&name).await;
            tasks.spawn(async move { store.create_schema().await.unwrap() });
        }
        tasks.join_all().await;
        assert_eq!(at(&name).await.commit(record()).await.unwrap(), Commit::Applied);
        at(&name).await.create_schema().await.unwrap();
        assert_eq!(at(&name).await.get(record().key).await.unwrap(), Some(record()));
    });
}

#[test]
fn create_schema_gives_up_on_a_lock_that_hangs() {
    RUNTIME.block_on(async {
        let name = table();
        let store = at(&name).await;
        let hung = Lock::take("SELECT pg_advisory_xact_lock(7021865330)").await;
        let outcome = store.clone().with_timeout(Duration::from_millis(500)).create_schema().await;
        assert!(matches!(outcome, Err(PostgresError::Schema { .. })), "{outcome:?}");
        hung.release().await;
        store.create_schema().await.unwrap();
    });
}

#[test]
fn schema_sql_by_hand_works_without_create_right() {
    RUNTIME.block_on(async {
        let name = table();
        sql(&direct(), &at(&name).await.schema_sql()).await;
        sql(
            &direct(),
            &format!(
                "CREATE ROLE {name} LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC; \
                 GRANT SELECT, INSERT, UPDATE, DELETE ON {name} TO {name}"
            ),
        )
        .await;
        let limited = store(&direct().replace("postgres@", &format!("{name}@")), &name).await;
        assert_eq!(limited.commit(record()).await.unwrap(), Commit::Applied);
        assert_eq!(limited.purge(Timestamp::from_unix(9), 10).await.unwrap(), 1);
        let elsewhere = limited.with_table(&table()).unwrap().create_schema().await;
        assert!(matches!(elsewhere, Err(PostgresError::Schema { .. })), "{elsewhere:?}");
    });
}

#[test]
fn create_schema_refuses_a_foreign_table() {
    RUNTIME.block_on(async {
        let name = table();
        sql(&direct(), &format!("CREATE TABLE {name} (key bytea)")).await;
        assert!(matches!(at(&name).await.create_schema().await, Err(PostgresError::UnknownLayout { .. })));
    });
}

#[test]
fn connect_with_malformed_string_is_refused_and_not_echoed() {
    let error = RUNTIME.block_on(PostgresStore::connect("postgres://user:hunter2@host:port/db?hunter2=1")).unwrap_err();
    assert!(matches!(error, PostgresError::ConnectionString { .. }));
    assert!(!format!("{error:?} {error}").contains("hunter2"));
}

#[test]
fn rotation_is_hot_update_and_table_does_not_grow() {
    const FAMILIES: usize = 200;
    RUNTIME.block_on(async {
        let name = table();
        // In a database of its own: the transactions that other tests leave open would keep every old version alive.
        sql(&direct(), &format!("CREATE DATABASE {name}")).await;
        let url = direct().strip_suffix("postgres").unwrap().to_owned() + &name;
        let issuer: Issuer =
            Arc::new(TokenIssuer::new(store(&url, &name).await, keyring()).with_policies(RotationPolicy::strict()));
        let mut tokens = Vec::new();
        for _ in 0..FAMILIES {
            tokens.push(rt(&issuer.issue(grant(), None).await.unwrap()).to_owned());
        }
        let mut rotate = async |rounds| {
            for _ in 0..rounds {
                let mut tasks = JoinSet::new();
                for token in tokens.drain(..) {
                    let issuer = issuer.clone();
                    tasks.spawn(async move { rt(&refresh(&issuer, &token).await.unwrap()).to_owned() });
                }
                tokens = tasks.join_all().await;
            }
            sql(&url, &format!("VACUUM {name}")).await;
            let size = format!("SELECT pg_total_relation_size('{name}')");
            sql(&url, &size).await[0].parse::<usize>().unwrap() / FAMILIES
        };
        let (few, many) = (rotate(2).await, rotate(50).await);
        // A session reports its statistics at the latest when it ends.
        drop(issuer);
        let counted = |column| format!("SELECT {column} FROM pg_stat_user_tables WHERE relname = '{name}'");
        let (updates, hot) = (counted("n_tup_upd"), counted("n_tup_hot_upd"));
        until("every rotation is counted", async || {
            (sql(&url, &updates).await[0].parse() == Ok(FAMILIES * 52)).then_some(())
        })
        .await;
        let hot: usize = sql(&url, &hot).await[0].parse().unwrap();
        println!("{few} bytes a family after 2 rotations, {many} after 52; {hot} updates were HOT");
        assert!(hot * 10 >= FAMILIES * 52 * 9);
        assert!(many <= few * 3 / 2);
    });
}
