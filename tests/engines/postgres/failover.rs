//! The loss of a server: what was acknowledged stays, and clients see nothing but a 503.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use mcp_token_lifecycle::{ErrorCode, ErrorKind, RotationPolicy, TokenIssuer};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::pair::Pair;
use super::support::*;
use super::{Issuer, RUNTIME, refresh, sql, store, table, try_refresh, until};

const CLIENTS: usize = 16;
const LIMIT: Duration = Duration::from_secs(1);

#[derive(Default)]
struct Counts {
    requests: AtomicU64,
    faults: AtomicU64,
    retries: AtomicU64,
    rotations: AtomicU64,
}

/// Two issuers on one table, and the clock they go by.
struct Issuers {
    /// With time for a busy machine.
    patient: Issuer,
    /// Gives up after a second.
    hasty: Issuer,
    clock: TestClock,
}

impl Issuers {
    async fn start(pair: &Pair, policy: RotationPolicy) -> Self {
        let (clock, store) = (TestClock::default(), store(&pair.url(), &table()).await);
        let issuer =
            |store| Arc::new(TokenIssuer::new(store, keyring()).with_policies(policy).with_clock(clock.clone()));
        Self { patient: issuer(store.clone()), hasty: issuer(store.with_timeout(LIMIT)), clock }
    }
}

/// A client that logs in on one issuer, and refreshes on the other until it is told to stop; after a 503 it asks again with the
/// same token. All the tokens it was given, each once.
async fn client_of(patient: Issuer, issuer: Issuer, counts: Arc<Counts>, stop: Arc<AtomicBool>) -> Vec<String> {
    let first = patient.issue(grant(), None).await.unwrap();
    let mut tokens = vec![rt(&first).to_owned()];
    while !stop.load(Ordering::Relaxed) {
        counts.requests.fetch_add(1, Ordering::Relaxed);
        match try_refresh(&issuer, tokens.last().unwrap()).await {
            Ok(answer) => {
                let answer = answer.expect("a client with a current token is never refused");
                let counter = if answer.retry { &counts.retries } else { &counts.rotations };
                counter.fetch_add(1, Ordering::Relaxed);
                tokens.push(rt(&answer).to_owned());
            }
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::StoreUnavailable | ErrorKind::StoreUncertain), "{error:?}");
                counts.faults.fetch_add(1, Ordering::Relaxed);
                sleep(Duration::from_millis(20)).await;
            }
        }
    }
    tokens
}

/// Under load `disturb` the servers, wait until refreshes succeed again, and take stock.
async fn under_load(pair: &Pair, what: &str, disturb: impl AsyncFnOnce(&Counts)) {
    // Without a leeway every refresh rotates. The retry of one that was not answered is answered all the same.
    let Issuers { patient, hasty, clock } = Issuers::start(pair, RotationPolicy::strict()).await;
    let (counts, stop) = (Arc::new(Counts::default()), Arc::new(AtomicBool::new(false)));
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(client_of(patient.clone(), hasty.clone(), counts.clone(), stop.clone()));
    }
    let answered = async |count| {
        let answers = || counts.rotations.load(Ordering::Relaxed) + counts.retries.load(Ordering::Relaxed);
        // Never a minute for a hundred of them.
        for wanted in (0..=count).step_by(100).map({
            let so_far = answers();
            move |more| so_far + more
        }) {
            until("answers", async || (answers() >= wanted).then_some(())).await;
        }
    };
    answered(500).await;
    disturb(&counts).await;
    answered(500).await;
    stop.store(true, Ordering::Relaxed);
    let tokens = clients.join_all().await;

    // Past the leeway: now the last token of each client is good, and every other one is spent.
    clock.advance(seconds(31));
    let (mut lost, mut replays) = (0, 0);
    for tokens in &tokens {
        let (last, spent) = tokens.split_last().unwrap();
        let successor = refresh(&patient, last).await;
        lost += usize::from(!successor.is_ok_and(|answer| !answer.retry));
        clock.advance(seconds(31));
        for token in spent.iter().rev().step_by(7) {
            replays += usize::from(refresh(&patient, token).await.err() != Some(ErrorCode::InvalidGrant));
        }
    }
    let [requests, faults, retries, rotations] = [&counts.requests, &counts.faults, &counts.retries, &counts.rotations]
        .map(|count| count.load(Ordering::Relaxed));
    println!(
        "{what}: {requests} requests, {faults} answered 503, {retries} retries, {rotations} rotations; \
         lost acknowledged: {lost}, replays accepted: {replays}"
    );
    assert_eq!((lost, replays), (0, 0));
    assert!(faults > 0, "no client noticed");
}

/// Wait until so many requests more were answered 503.
async fn until_faults(counts: &Counts, more: u64) {
    let wanted = counts.faults.load(Ordering::Relaxed) + more;
    until("faults", async || (counts.faults.load(Ordering::Relaxed) >= wanted).then_some(())).await;
}

#[test]
fn failover_to_standby_keeps_all_acknowledged_rotations() {
    RUNTIME.block_on(async {
        let pair = Pair::start("failover").await;
        under_load(&pair, "primary killed, standby promoted", async |counts: &Counts| {
            pair.kill_primary();
            until_faults(counts, CLIENTS as u64).await;
            pair.promote_standby();
        })
        .await;
    });
}

#[test]
fn frozen_standby_stops_commits_and_loses_none() {
    RUNTIME.block_on(async {
        let pair = Pair::start("frozen").await;
        under_load(&pair, "standby frozen", async |counts: &Counts| {
            pair.freeze_standby();
            until_faults(counts, 2 * CLIENTS as u64).await;
            pair.thaw_standby();
        })
        .await;

        // One client, step by step.
        let Issuers { patient: issuer, hasty, .. } = Issuers::start(&pair, RotationPolicy::standard()).await;
        let first = issuer.issue(grant(), None).await.unwrap();
        pair.freeze_standby();
        let fault = try_refresh(&hasty, rt(&first)).await.unwrap_err();
        assert_eq!(fault.kind(), ErrorKind::StoreUncertain);
        let fault = try_refresh(&hasty, rt(&first)).await;
        assert!(fault.is_err(), "the second waits for the first");
        pair.thaw_standby();
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
        until("the commit", async || (sql(&pair.url(), waiting).await == ["0"]).then_some(())).await;
        let second = refresh(&issuer, rt(&first)).await.unwrap();
        assert!(second.retry, "the write that was not confirmed did happen");
        let again = refresh(&issuer, rt(&first)).await.unwrap();
        assert_eq!(rt(&again), rt(&second));
        assert!(!refresh(&issuer, rt(&second)).await.unwrap().retry);
    });
}
