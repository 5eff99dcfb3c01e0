//! A standby that hangs takes the commits with it, and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deadpool_postgres::{Manager, Pool};
use mcp_token_lifecycle::{PostgresStore, TokenIssuer};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_postgres::NoTls;

use super::pair::Pair;
use super::support::*;
use super::{Issuer, RUNTIME, sql, try_refresh, until};

const LIMIT: Duration = Duration::from_secs(1);
const SESSIONS: &str = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'hung'";

/// With no more connections than a store has to have.
async fn issuer(pair: &Pair) -> Issuer {
    let config = format!("{}?application_name=hung&target_session_attrs=read-write", pair.url()).parse().unwrap();
    let pool = Pool::builder(Manager::new(config, NoTls)).max_size(4).build().unwrap();
    let store = PostgresStore::from_pool(pool).with_timeout(LIMIT);
    store.create_schema().await.unwrap();
    Arc::new(TokenIssuer::new(store, keyring()))
}

#[test]
fn while_commits_hang_reads_go_on_and_the_sessions_stay_few() {
    RUNTIME.block_on(async {
        let pair = Pair::start("hung");
        let issuer = issuer(&pair).await;
        let mut families = Vec::new();
        for _ in 0..8 {
            families.push(issuer.issue(grant(), None).await.unwrap());
        }
        let idle = issuer.issue(grant(), None).await.unwrap();

        pair.freeze_standby();
        let (stop, mut clients) = (Arc::new(AtomicBool::new(false)), JoinSet::new());
        for family in families {
            let (issuer, stop) = (issuer.clone(), stop.clone());
            clients.spawn(async move {
                let mut faults = 0;
                while !stop.load(Ordering::Relaxed) {
                    let (login, refresh) = tokio::join!(issuer.issue(grant(), None), try_refresh(&issuer, rt(&family)));
                    faults += usize::from(login.is_err()) + usize::from(refresh.is_err());
                }
                (family, faults)
            });
        }
        let (end, mut reads, mut sessions) = (Instant::now() + 5 * LIMIT, 0, 0);
        while Instant::now() < end {
            let answer = issuer.introspect(idle.access_token.expose()).await;
            assert!(answer.expect("reads go on").is_active());
            let count = sql(&pair.url(), SESSIONS).await[0].parse::<usize>().unwrap();
            (reads, sessions) = (reads + 1, sessions.max(count));
            sleep(Duration::from_millis(20)).await;
        }
        stop.store(true, Ordering::Relaxed);
        let clients = clients.join_all().await;
        let faults: usize = clients.iter().map(|(_, faults)| faults).sum();
        println!("standby frozen: {reads} reads, {faults} commits answered 503, {sessions} sessions at most");
        assert!(faults > 0, "nobody noticed");
        assert!(sessions <= 4, "{sessions} sessions for a pool of 4");

        pair.thaw_standby();
        for (family, _) in clients {
            until("a refresh", async || try_refresh(&issuer, rt(&family)).await.ok()).await.unwrap();
        }
    });
}
