//! The vault on real stores, in several processes, against a real service: how often it refreshes, what is left when a process
//! is killed or frozen at any point, and what the stores get to see. `.ci/postgres .ci/redis` start the servers.

mod audit;
mod clock;
mod expiries;
mod frozen;
mod killed;
mod leaks;
mod place;
mod process;
mod service;
mod steps;
#[path = "../../support/mod.rs"]
mod support;
mod world;

use std::sync::LazyLock;

use tokio::runtime::{Builder, Runtime};

/// One runtime for all tests: a connection belongs to the one it was opened on.
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap());

static HTTP: LazyLock<reqwest::Client> = LazyLock::new(|| {
    reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap()
});

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run these tests with .ci/postgres .ci/redis"))
}

/// A name that no other test has.
fn fresh() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("upstream_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}
