//! Runs logins, rotations, revocations and purges for a given time, to show whether the size of an engine stops growing.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mcp_token_lifecycle::{Answer, Client, RefreshRequest, RotationPolicy, TokenIssuer, TokenStore};
use tokio::task::JoinSet;

use crate::fixture::{CLIENT, grant, keyring};

const FAMILIES: usize = 100_000;
const CLIENTS: usize = 64;
const SAMPLES: u32 = 60;

/// One sample: bytes on the disk or in the keyspace, and bytes of memory.
pub struct Sample {
    pub stored: u64,
    pub memory: u64,
}

#[derive(Default)]
struct Counts {
    logins: AtomicU64,
    rotations: AtomicU64,
    revocations: AtomicU64,
    purged: AtomicU64,
}

/// Runs the load for `length` and samples the engine. Prints the samples as CSV and plots them in `target/soak-NAME.svg`.
pub async fn run<S: TokenStore + 'static>(name: &str, store: S, length: Duration, sample: impl AsyncFn() -> Sample) {
    // The lifetimes are short, so that sessions expire as fast as new ones log in.
    let policy = RotationPolicy::builder()
        .access_lifetime(Duration::from_secs(10))
        .idle_lifetime(Duration::from_secs(60))
        .absolute_lifetime(Duration::from_secs(120));
    let policy = policy.reuse_leeway(Duration::from_secs(1)).build().unwrap();
    let issuer = Arc::new(TokenIssuer::new(store, keyring()).with_policies(policy));
    let (counts, begun) = (Arc::new(Counts::default()), Instant::now());
    let mut tasks = JoinSet::new();
    for client in 0..CLIENTS {
        tasks.spawn(live(issuer.clone(), counts.clone(), client));
    }
    let (purger, purged) = (issuer.clone(), counts.clone());
    tasks.spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_secs(2)).await;
            purged.purged.fetch_add(purger.purge().await.unwrap() as u64, Ordering::Relaxed);
        }
    });
    println!("seconds,logins,rotations,revocations,purged,stored bytes,memory bytes");
    let mut samples = Vec::new();
    for _ in 0..SAMPLES {
        tokio::time::sleep(length / SAMPLES).await;
        let Sample { stored, memory } = sample().await;
        let Counts { logins, rotations, revocations, purged } = &*counts;
        let counted = [logins, rotations, revocations, purged].map(|count| count.load(Ordering::Relaxed).to_string());
        println!("{:.0},{},{stored},{memory}", begun.elapsed().as_secs_f64(), counted.join(","));
        samples.push((begun.elapsed().as_secs_f64(), [stored, memory]));
    }
    tasks.abort_all();
    std::fs::write(format!("target/soak-{name}.svg"), plot(&samples)).unwrap();
}

/// Visits the families of one client in turn. It revokes one in fifty and rotates the others. A refused client logs in again.
async fn live<S: TokenStore>(issuer: Arc<TokenIssuer<S>>, counts: Arc<Counts>, number: usize) {
    let client = Client::public(CLIENT);
    let count = FAMILIES / CLIENTS;
    let mut tokens = vec![String::new(); count];
    for turn in 0.. {
        let token = &mut tokens[turn % count];
        if turn % 50 == 49 {
            issuer.revoke(&client, token, None).await.unwrap();
            counts.revocations.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        let (response, counter) = match issuer.refresh(&RefreshRequest::new(&client, token)).await.unwrap() {
            Answer::Issue(response) => (response, &counts.rotations),
            Answer::Deny(_) => {
                (issuer.issue(grant(number * count + turn % count), None).await.unwrap(), &counts.logins)
            }
        };
        *token = response.refresh_token.expose().to_owned();
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Plots both curves, each relative to its own maximum.
fn plot(samples: &[(f64, [u64; 2])]) -> String {
    let end = samples.last().map_or(1.0, |sample| sample.0);
    let mut svg =
        String::from("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 640 340\" font-family=\"sans-serif\">\n");
    for (n, (name, colour)) in [("stored", "#0550ae"), ("memory", "#bc4c00")].into_iter().enumerate() {
        let most = samples.iter().map(|(_, bytes)| bytes[n]).max().unwrap_or(1).max(1) as f64;
        let points =
            samples.iter().map(|s| format!("{:.0},{:.0}", 600.0 * s.0 / end, 310.0 - 280.0 * s.1[n] as f64 / most));
        let points = points.collect::<Vec<_>>().join(" ");
        let _ = writeln!(svg, "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\"{points}\"/>");
        let label = format!("{name}: maximum {:.1} MB", most / 1e6);
        let _ = writeln!(svg, "<text x=\"10\" y=\"{}\" font-size=\"12\" fill=\"{colour}\">{label}</text>", 15 + 15 * n);
    }
    let _ = writeln!(svg, "<text x=\"520\" y=\"330\" font-size=\"12\">{end:.0} s</text>\n</svg>");
    svg
}
