//! Clients that refresh as fast as they can, and what became of what they were promised.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mcp_token_lifecycle::{Answer, Error, OnReuse, RedisStore, RefreshRequest, RotationPolicy};
use tokio::task::JoinSet;

use crate::servers::LONG;
use crate::support::*;

/// One client: the token it holds, those it has spent, and what it has seen.
#[derive(Default)]
struct Session {
    current: String,
    spent: Vec<String>,
    requests: usize,
    faults: usize,
    retries: usize,
    rotations: usize,
}

/// What all clients go by, and what they have seen so far.
struct Shared {
    bench: Bench<RedisStore>,
    stop: AtomicBool,
    answers: AtomicUsize,
    faults: AtomicUsize,
}

pub struct Load {
    shared: Arc<Shared>,
    sessions: JoinSet<Session>,
}

/// What came of it.
pub struct Outcome {
    pub requests: usize,
    pub faults: usize,
    pub retries: usize,
    pub rotations: usize,
    /// Sessions whose last acknowledged token is no longer known.
    pub lost: usize,
    /// Sessions of which a spent token was accepted again.
    pub replays: usize,
}

impl Load {
    /// Clients that refresh on `store`. They log in on `patient`, the same place with time for a busy machine.
    pub async fn start(patient: RedisStore, store: RedisStore, clients: usize) -> Self {
        let bench = bench_on(store, keyring(), reject_only());
        let patient = bench.twin(patient, keyring(), reject_only());
        let (stop, answers, faults) = Default::default();
        let shared = Arc::new(Shared { bench, stop, answers, faults });
        let mut sessions = JoinSet::new();
        for _ in 0..clients {
            let current = begin(&patient).await;
            let shared = Arc::clone(&shared);
            sessions.spawn(async move { use_up(&shared, Session { current, ..Session::default() }).await });
        }
        Self { shared, sessions }
    }

    /// Wait until so many refreshes more have succeeded.
    pub async fn answer(&self, count: usize) {
        more("answers", &self.shared.answers, count).await;
    }

    /// Wait until there were so many faults more.
    pub async fn fail(&self, count: usize) {
        more("faults", &self.shared.faults, count).await;
    }

    /// Stop, and hold the store to what it has acknowledged: `patient` is the same place, as it is now.
    pub async fn settle(self, patient: RedisStore) -> Outcome {
        let Self { shared, sessions } = self;
        shared.stop.store(true, Ordering::SeqCst);
        let sessions = sessions.join_all().await;
        let bench = shared.bench.twin(patient, keyring(), reject_only());
        // No leeway any more.
        bench.pass(3600);
        let total = |of: fn(&Session) -> usize| sessions.iter().map(of).sum();
        let mut outcome = Outcome {
            requests: total(|session| session.requests),
            faults: total(|session| session.faults),
            retries: total(|session| session.retries),
            rotations: total(|session| session.rotations),
            lost: 0,
            replays: 0,
        };
        for session in &sessions {
            outcome.lost += usize::from(!is_accepted(&bench, &session.current).await);
            for spent in session.spent.iter().rev() {
                if is_accepted(&bench, spent).await {
                    outcome.replays += 1;
                    break;
                }
            }
        }
        println!("{outcome}");
        outcome
    }
}

fn reject_only() -> RotationPolicy {
    policy(|p| p.on_reuse(OnReuse::RejectOnly).reuse_leeway(Duration::ZERO))
}

async fn more(what: &str, counter: &AtomicUsize, count: usize) {
    let wanted = counter.load(Ordering::SeqCst) + count;
    let begun = Instant::now();
    while counter.load(Ordering::SeqCst) < wanted {
        assert!(begun.elapsed() < LONG, "not {count} {what} more in a minute");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Ask servers that are well: a replica that has only just come may need a moment, and a connection that no request has used
/// since may still turn out to be broken.
async fn answer_of<T>(ask: impl AsyncFn() -> Result<T, Error>) -> T {
    let begun = Instant::now();
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(error) => assert!(begun.elapsed() < LONG, "the servers are not well after a minute: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn begin(bench: &Bench<RedisStore>) -> String {
    rt(&answer_of(async || bench.issuer.issue(grant(), None).await).await).to_owned()
}

async fn is_accepted(bench: &Bench<RedisStore>, token: &str) -> bool {
    let refresh = async || bench.issuer.refresh(&RefreshRequest::new(&client(), token)).await;
    matches!(answer_of(refresh).await, Answer::Issue(_))
}

/// Until told to stop and sure of the last answer, or refused.
async fn use_up(shared: &Shared, mut session: Session) -> Session {
    let mut stopped = None;
    loop {
        session.requests += 1;
        if stopped.is_none() && shared.stop.load(Ordering::SeqCst) {
            stopped = Some(Instant::now());
        }
        let answer = shared.bench.issuer.refresh(&RefreshRequest::new(&client(), &session.current)).await;
        match answer {
            Ok(Answer::Issue(tokens)) => {
                session.retries += usize::from(tokens.retry);
                session.rotations += usize::from(!tokens.retry);
                shared.answers.fetch_add(1, Ordering::SeqCst);
                session.spent.push(std::mem::replace(&mut session.current, rt(&tokens).to_owned()));
                if stopped.is_some() {
                    return session;
                }
            }
            Ok(Answer::Deny(_)) => return session,
            Err(error) => {
                session.faults += 1;
                shared.faults.fetch_add(1, Ordering::SeqCst);
                let in_time = stopped.is_none_or(|since| since.elapsed() < LONG);
                assert!(in_time, "the servers do not get well again: {error}");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { requests, faults, retries, rotations, lost, replays } = self;
        write!(f, "{requests} requests: {rotations} rotations, {retries} retries, {faults} times 503; ")?;
        write!(f, "acknowledged rotations lost: {lost}, replays accepted: {replays}")
    }
}
