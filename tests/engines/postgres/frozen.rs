//! A standby that hangs takes the commits with it, and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use deadpool_postgres::{Manager, Pool};
use mcp_token_lifecycle::{PostgresStore, TokenIssuer};
use tokio::task::JoinSet;
use tokio_postgres::NoTls;

use super::pair::Pair;
use super::support::*;
use super::{Issuer, LONG, RUNTIME, sql, try_refresh, until};

const LIMIT: Duration = Duration::from_secs(1);
const SESSIONS: &str = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'hung'";

/// Two issuers that share no more connections than a store has to have: one with time for a busy machine, and one that soon
/// gives up.
async fn issuers(pair: &Pair) -> [Issuer; 2] {
    let config = format!("{}?application_name=hung&target_session_attrs=read-write", pair.url()).parse().unwrap();
    let pool = Pool::builder(Manager::new(config, NoTls)).max_size(4).build().unwrap();
    let store = PostgresStore::from_pool(pool).with_timeout(LONG);
    store.create_schema().await.unwrap();
    [store.clone(), store.with_timeout(LIMIT)].map(|store| Arc::new(TokenIssuer::new(store, keyring())))
}

#[test]
fn while_commits_hang_reads_go_on_and_the_sessions_stay_few() {
    RUNTIME.block_on(async {
        let pair = Pair::start("hung").await;
        let [patient, issuer] = issuers(&pair).await;
        let mut families = Vec::new();
        for _ in 0..8 {
            families.push(patient.issue(grant(), None).await.unwrap());
        }
        let idle = patient.issue(grant(), None).await.unwrap();

        pair.freeze_standby();
        let (stop, faults, mut clients) =
            (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)), JoinSet::new());
        for family in families {
            let (issuer, stop, faults) = (issuer.clone(), stop.clone(), faults.clone());
            clients.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let (login, refresh) = tokio::join!(issuer.issue(grant(), None), try_refresh(&issuer, rt(&family)));
                    faults.fetch_add(usize::from(login.is_err()) + usize::from(refresh.is_err()), Ordering::Relaxed);
                }
                family
            });
        }
        let (mut reads, mut sessions) = (0, 0);
        until("many commits that fail", async || {
            let answer = patient.introspect(idle.access_token.expose()).await;
            assert!(answer.expect("reads go on").is_active());
            let count = sql(&pair.url(), SESSIONS).await[0].parse::<usize>().unwrap();
            (reads, sessions) = (reads + 1, sessions.max(count));
            (faults.load(Ordering::Relaxed) >= 32 && reads >= 50).then_some(())
        })
        .await;
        stop.store(true, Ordering::Relaxed);
        let families = clients.join_all().await;
        let faults = faults.load(Ordering::Relaxed);
        println!("standby frozen: {reads} reads, {faults} commits answered 503, {sessions} sessions at most");
        assert!(sessions <= 4, "{sessions} sessions for a pool of 4");

        pair.thaw_standby();
        for family in families {
            until("a refresh", async || try_refresh(&issuer, rt(&family)).await.ok()).await.unwrap();
        }
    });
}
