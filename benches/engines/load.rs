//! The load for both engines: concurrent clients that repeat one operation, and a purge during refreshes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mcp_token_lifecycle::{Answer, Client, RefreshRequest, Timestamp, TokenIssuer, TokenStore};
use tokio::task::JoinSet;

use crate::fixture::CLIENT;
use crate::measure::median;
use crate::table::{Table, Target};

/// The duration of one measurement.
const TIME: Duration = Duration::from_millis(300);

/// Returns the calls per second of `clients` concurrent tasks. Each task repeats `step` with its own number.
pub async fn rate<F: Future<Output = ()> + Send>(
    clients: usize,
    step: impl Fn(usize, usize) -> F + Clone + Send + 'static,
) -> f64 {
    let (begun, mut tasks) = (Instant::now(), JoinSet::new());
    for client in 0..clients {
        let step = step.clone();
        tasks.spawn(async move {
            let mut done = 0;
            while begun.elapsed() < TIME {
                step(client, done).await;
                done += 1;
            }
            done
        });
    }
    let done: usize = tasks.join_all().await.into_iter().sum();
    done as f64 / begun.elapsed().as_secs_f64()
}

/// Rotates `token` and replaces it with its successor.
pub async fn rotate<S: TokenStore>(issuer: &TokenIssuer<S>, token: &mut String) {
    let client = Client::public(CLIENT);
    let answer = issuer.refresh(&RefreshRequest::new(&client, token)).await;
    let Ok(Answer::Issue(response)) = answer else { panic!("a current token is rotated: {answer:?}") };
    *token = response.refresh_token.expose().to_owned();
}

/// Purges the `expired` records of `store` and measures the refreshes of `tokens` during the purge and without it.
pub async fn purge_beside<S: TokenStore + 'static>(
    table: &mut Table,
    (store, now): (S, Timestamp),
    (issuer, tokens): (&TokenIssuer<S>, &mut [String]),
    (expired, living): (usize, usize),
) {
    let mut waits = async |until: &AtomicBool, least: usize| {
        let mut waits = Vec::new();
        while waits.len() < least || !until.load(Ordering::Relaxed) {
            let (begun, turn) = (Instant::now(), waits.len() % tokens.len());
            rotate(issuer, &mut tokens[turn]).await;
            waits.push(begun.elapsed().as_secs_f64() * 1e6);
        }
        waits.sort_by(f64::total_cmp);
        waits
    };
    let done = Arc::new(AtomicBool::new(false));
    let purge = tokio::spawn({
        let done = done.clone();
        async move {
            let (begun, mut count) = (Instant::now(), 0);
            loop {
                let purged = store.purge(now, 256).await.unwrap();
                count += purged;
                if purged < 256 {
                    done.store(true, Ordering::Relaxed);
                    return (count, begun.elapsed());
                }
            }
        }
    });
    let busy = waits(&done, 1).await;
    let (count, took) = purge.await.unwrap();
    assert_eq!(count, expired);
    // Both samples have the same size, because the maximum grows with the number of samples.
    let quiet = waits(&AtomicBool::new(true), busy.len()).await;
    let percentile = |waits: &[f64]| waits[waits.len() * 99 / 100];
    let shown = |waits: &[f64]| {
        let (median, longest) = (median(waits.to_vec()), waits[waits.len() - 1]);
        format!("{median:.0} µs, {:.0} µs, {longest:.0} µs", percentile(waits))
    };
    table.figure(format!("purge of {expired} among {living} living"), format!("{:.2} s", took.as_secs_f64()));
    table.figure("a refresh without a purge: median, 99th percentile, longest", shown(&quiet));
    table.figure("a refresh during the purge: median, 99th percentile, longest", shown(&busy));
    let case = "the 99th percentile of a refresh during the purge ÷ the median without";
    let figure = format!("{:.0} µs of {}", percentile(&busy), busy.len());
    table.ratio(case, figure, percentile(&busy) / median(quiet), Target::AtMost(3.0));
}
