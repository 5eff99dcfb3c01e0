//! Clients that refresh as fast as they can, and what became of what they were promised.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mcp_token_lifecycle::{Answer, OnReuse, RedisStore, RefreshRequest};
use tokio::task::JoinSet;

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

pub struct Load {
    bench: Arc<Bench<RedisStore>>,
    stop: Arc<AtomicBool>,
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
    pub async fn start(store: RedisStore, clients: usize) -> Self {
        let bench = Arc::new(bench_on(
            store,
            keyring(),
            policy(|p| p.on_reuse(OnReuse::RejectOnly).reuse_leeway(Duration::ZERO)),
        ));
        let stop = Arc::new(AtomicBool::new(false));
        let mut sessions = JoinSet::new();
        for _ in 0..clients {
            let current = begin(&bench).await;
            let (bench, stop) = (Arc::clone(&bench), Arc::clone(&stop));
            sessions.spawn(async move { use_up(&bench, &stop, Session { current, ..Session::default() }).await });
        }
        Self { bench, stop, sessions }
    }

    /// Stop, and hold the store to what it has acknowledged.
    pub async fn settle(self) -> Outcome {
        let Self { bench, stop, sessions } = self;
        stop.store(true, Ordering::SeqCst);
        let sessions = sessions.join_all().await;
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

/// A replica that has only just come may need a moment.
async fn begin(bench: &Bench<RedisStore>) -> String {
    let mut issued = bench.issuer.issue(grant(), None).await;
    for _ in 0..20 {
        if issued.is_ok() {
            break;
        }
        issued = bench.issuer.issue(grant(), None).await;
    }
    rt(&issued.expect("the servers are well")).to_owned()
}

/// A connection that nobody has used since may still turn out to be broken.
async fn is_accepted(bench: &Bench<RedisStore>, token: &str) -> bool {
    let mut answer = bench.issuer.refresh(&RefreshRequest::new(&client(), token)).await;
    for _ in 0..10 {
        if answer.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        answer = bench.issuer.refresh(&RefreshRequest::new(&client(), token)).await;
    }
    matches!(answer.expect("the servers are well again"), Answer::Issue(_))
}

/// Until told to stop and sure of the last answer, or refused.
async fn use_up(bench: &Bench<RedisStore>, stop: &AtomicBool, mut session: Session) -> Session {
    loop {
        session.requests += 1;
        let answer = bench.issuer.refresh(&RefreshRequest::new(&client(), &session.current)).await;
        match answer {
            Ok(Answer::Issue(tokens)) => {
                session.retries += usize::from(tokens.retry);
                session.rotations += usize::from(!tokens.retry);
                session.spent.push(std::mem::replace(&mut session.current, rt(&tokens).to_owned()));
                if stop.load(Ordering::SeqCst) {
                    return session;
                }
            }
            Ok(Answer::Deny(_)) => return session,
            Err(error) => {
                session.faults += 1;
                assert!(session.faults < 10_000, "the servers do not get well again: {error}");
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
