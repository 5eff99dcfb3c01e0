//! Runs the checks, each on a fresh store and a thread of its own.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use super::lab::{BlockOn, Checked, Lab, panic_message};
use super::report::{Outcome, Report};
use super::{CHECKS, Check, driver};
use crate::store::{BoxFuture, DynTokenStore, TokenStore};

type Open = dyn Fn() -> BoxFuture<'static, Arc<dyn DynTokenStore>> + Send + Sync;

/// The checks of [this module](super), to be run on one kind of store.
#[must_use = "nothing happens before `run`"]
pub struct Suite {
    open: Arc<Open>,
    block_on: Arc<BlockOn>,
    time_limit: Duration,
    only: Option<Vec<&'static str>>,
}

impl Suite {
    /// All checks, on stores made by `fresh`. Each has to be empty, and independent of those made before.
    pub fn new<S, F>(fresh: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        S: TokenStore + 'static,
        F: Future<Output = S> + Send + 'static,
    {
        let open = move || -> BoxFuture<'static, Arc<dyn DynTokenStore>> {
            let store = fresh();
            Box::pin(async move { Arc::new(store.await) as Arc<dyn DynTokenStore> })
        };
        Self {
            open: Arc::new(open),
            block_on: Arc::new(driver::park_and_poll),
            time_limit: Duration::from_secs(120),
            only: None,
        }
    }

    /// Drive every future with `block_on`, which returns when the future is done. It is called from many threads at once;
    /// without it each thread polls its own future and parks in between.
    pub fn with_block_on(self, block_on: impl Fn(BoxFuture<'_, ()>) + Send + Sync + 'static) -> Self {
        Self { block_on: Arc::new(block_on), ..self }
    }

    /// Give up on a check after this time (two minutes without it). Its threads are left behind.
    pub fn with_time_limit(self, time_limit: Duration) -> Self {
        Self { time_limit, ..self }
    }

    /// Only the checks with these names, to look for a fault. A name that no check has is reported as a failure.
    pub fn only(self, names: impl IntoIterator<Item = &'static str>) -> Self {
        Self { only: Some(names.into_iter().collect()), ..self }
    }

    /// Run the checks one after another. A store that panics or hangs fails the check that it does so in.
    pub fn run(&self) -> Report {
        let wanted = |check: &&Check| self.only.as_ref().is_none_or(|names| names.contains(&check.name));
        let mut outcomes: Vec<_> = CHECKS.iter().filter(wanted).map(|check| self.run_check(check)).collect();
        for &name in self.only.iter().flatten() {
            if CHECKS.iter().all(|check| check.name != name) {
                let failure = Some("there is no such check".to_owned());
                outcomes.push(Outcome { name, contract: "", failure, took: Duration::ZERO });
            }
        }
        Report { outcomes }
    }

    fn run_check(&self, check: &Check) -> Outcome {
        let begin = Instant::now();
        let failure = self.on_own_thread(check.run).err();
        Outcome { name: check.name, contract: check.contract, failure, took: begin.elapsed() }
    }

    fn on_own_thread(&self, run: fn(&Lab) -> Checked) -> Checked {
        let (open, block_on) = (Arc::clone(&self.open), Arc::clone(&self.block_on));
        let (sender, receiver) = mpsc::channel();
        let work = move || {
            let result = Lab::open(&*open, block_on).and_then(|lab| run(&lab));
            // Nobody listens any more once the time is up.
            sender.send(result).ok();
        };
        let thread = thread::Builder::new().spawn(work).map_err(|error| format!("no thread to be had: {error}"))?;
        match receiver.recv_timeout(self.time_limit) {
            Ok(result) => result,
            Err(RecvTimeoutError::Timeout) => Err(format!("not done after {:?}", self.time_limit)),
            Err(RecvTimeoutError::Disconnected) => Err(match thread.join() {
                Ok(()) => "the check ended without a result".to_owned(),
                Err(panic) => panic_message(&*panic),
            }),
        }
    }
}

impl fmt::Debug for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { open: _, block_on: _, time_limit, only } = self;
        f.debug_struct("Suite").field("time_limit", time_limit).field("only", only).finish_non_exhaustive()
    }
}
