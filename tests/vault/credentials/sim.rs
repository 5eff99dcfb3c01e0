//! One thread, and a time that passes only when nobody has anything left to do: every run is the same.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use mcp_token_lifecycle::vault::Runtime;
use mcp_token_lifecycle::{BoxFuture, Clock, Timestamp};

use crate::support::START;

#[derive(Clone, Default)]
pub struct Sim(Arc<Inner>);

#[derive(Default)]
struct Inner {
    millis: AtomicU64,
    /// By how much the clock is wrong, in seconds; no timer knows of it.
    offset: AtomicI64,
    tasks: Mutex<Vec<BoxFuture<'static, ()>>>,
    timers: Mutex<BTreeMap<u64, Vec<Waker>>>,
    awake: Awake,
}

/// Whether anybody was woken since the last look.
#[derive(Clone, Default)]
struct Awake(Arc<AtomicBool>);

impl Wake for Awake {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Clock for Sim {
    fn now(&self) -> Timestamp {
        let seconds = START + self.0.millis.load(Ordering::SeqCst) / 1000;
        Timestamp::from_unix(seconds.saturating_add_signed(self.0.offset.load(Ordering::SeqCst)))
    }
}

impl Sim {
    pub fn runtime(&self) -> Runtime {
        let (sleeper, spawner) = (self.clone(), self.clone());
        Runtime::new(
            move |duration| sleeper.clone().sleep(duration),
            move |task| spawner.0.tasks.lock().unwrap().push(task),
        )
    }

    pub fn pass(&self, seconds: u64) {
        self.0.millis.fetch_add(seconds * 1000, Ordering::SeqCst);
    }

    /// Somebody sets the clock.
    pub fn step(&self, seconds: i64) {
        self.0.offset.fetch_add(seconds, Ordering::SeqCst);
    }

    /// How much time has passed.
    pub fn now_millis(&self) -> u64 {
        self.0.millis.load(Ordering::SeqCst)
    }

    /// As a task of the vault would sleep.
    pub async fn runtime_sleep(&self, duration: Duration) {
        self.clone().sleep(duration).await;
    }

    async fn sleep(self, duration: Duration) {
        let until = self.0.millis.load(Ordering::SeqCst) + duration.as_millis() as u64;
        poll_fn(|cx| {
            if self.0.millis.load(Ordering::SeqCst) >= until {
                return Poll::Ready(());
            }
            self.0.timers.lock().unwrap().entry(until).or_default().push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Run `future` to its end, and the tasks beside it.
    pub fn run<F: Future>(&self, future: F) -> F::Output {
        self.run_for(future, usize::MAX).expect("it comes to its end")
    }

    /// Run `future` and the tasks for so many rounds, in each of which everybody is polled once; then drop `future`.
    pub fn run_for<F: Future>(&self, future: F, rounds: usize) -> Option<F::Output> {
        let mut future = pin!(future);
        for _ in 0..rounds {
            let waker = Waker::from(Arc::new(self.0.awake.clone()));
            let mut cx = Context::from_waker(&waker);
            if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
                return Some(output);
            }
            self.poll_tasks(&mut cx);
            if !self.0.awake.0.swap(false, Ordering::SeqCst) {
                assert!(self.skip_time(), "nobody will ever wake anybody: a deadlock");
            }
        }
        None
    }

    /// Run the tasks until there is none left.
    pub fn settle(&self) {
        self.run(poll_fn(|_| if self.0.tasks.lock().unwrap().is_empty() { Poll::Ready(()) } else { Poll::Pending }));
    }

    /// The process ends here: what it was about is dropped.
    pub fn crash(&self) {
        self.0.tasks.lock().unwrap().clear();
        self.0.timers.lock().unwrap().clear();
    }

    /// What a process is about, kept from running.
    pub fn freeze(&self) -> Vec<BoxFuture<'static, ()>> {
        std::mem::take(&mut self.0.tasks.lock().unwrap())
    }

    pub fn thaw(&self, frozen: Vec<BoxFuture<'static, ()>>) {
        self.0.tasks.lock().unwrap().extend(frozen);
    }

    pub fn tasks(&self) -> usize {
        self.0.tasks.lock().unwrap().len()
    }

    fn poll_tasks(&self, cx: &mut Context<'_>) {
        // Taken out, since a task may spawn another.
        let tasks = std::mem::take(&mut *self.0.tasks.lock().unwrap());
        let before = tasks.len();
        let alive: Vec<_> =
            tasks.into_iter().filter_map(|mut task| task.as_mut().poll(cx).is_pending().then_some(task)).collect();
        let mut tasks = self.0.tasks.lock().unwrap();
        // Whoever looks at the tasks has to look again.
        if !tasks.is_empty() || alive.len() < before {
            cx.waker().wake_by_ref();
        }
        tasks.splice(0..0, alive);
    }

    /// To the next timer. `false` if there is none.
    fn skip_time(&self) -> bool {
        let Some((at, wakers)) = self.0.timers.lock().unwrap().pop_first() else { return false };
        self.0.millis.fetch_max(at, Ordering::SeqCst);
        wakers.into_iter().for_each(Waker::wake);
        true
    }
}
