//! Runs the checks, each on a fresh store and on its own thread.

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

/// Runs the checks of [this module](super) on one kind of store.
#[must_use = "nothing happens before `run`"]
pub struct Suite {
    open: Arc<Open>,
    block_on: Arc<BlockOn>,
    time_limit: Duration,
    only: Option<Vec<&'static str>>,
}

impl Suite {
    /// Creates a suite of all checks on stores that `fresh` creates. Each store must be empty, and independent of those
    /// before it.
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

    /// Sets the function that drives every future; it must return when the future is done. It is called from many
    /// threads at once. By default each thread polls its own future and parks in between.
    pub fn with_block_on(self, block_on: impl Fn(BoxFuture<'_, ()>) + Send + Sync + 'static) -> Self {
        Self { block_on: Arc::new(block_on), ..self }
    }

    /// Sets how long a check may take; the default is two minutes. The threads of a check that takes longer are
    /// abandoned.
    pub fn with_time_limit(self, time_limit: Duration) -> Self {
        Self { time_limit, ..self }
    }

    /// Runs only the checks with these names. A name that no check has is reported as a failure.
    pub fn only(self, names: impl IntoIterator<Item = &'static str>) -> Self {
        Self { only: Some(names.into_iter().collect()), ..self }
    }

    /// Runs the checks one after another. If a store panics or hangs, the check in which it does so fails.
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
            // The receiver is gone once the time is up.
            sender.send(result).ok();
        };
        let thread = thread::Builder::new()
            .spawn(work)
            .map_err(|error| format!("the thread of the check could not be started: {error}"))?;
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
