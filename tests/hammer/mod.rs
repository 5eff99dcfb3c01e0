//! A child process that commits as fast as it can and says what was acknowledged, and the check of what is left of it.

use std::collections::BTreeMap;
use std::future::Future;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::pin::pin;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};

use mcp_token_lifecycle::{Commit, IndexKey, Record, RecordKey, RedbStore, Timestamp, TokenStore};

const THREADS: u64 = 4;
const KEYS: u64 = 64;

/// The newest acknowledged version of each key.
pub(crate) type Acknowledged = BTreeMap<u64, u64>;

pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

fn record(n: u64, version: u64) -> Record {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    let payload = [n.to_be_bytes(), version.to_be_bytes()].concat().repeat(12);
    // The expiry moves now and then, so that all tables change.
    let expires_at = Timestamp::from_unix(1000 + version / 8);
    Record::new(RecordKey::from_bytes(key), version, expires_at, vec![IndexKey::from_bytes(key)], payload)
}

/// Say what is acknowledged, a whole line at a time.
pub(crate) fn acknowledge(n: u64, version: u64) {
    let _ = std::io::stdout().lock().write_all(format!("ack {n} {version}\n").as_bytes());
}

/// In the child: commit the next version of every key, over and over, until killed or the disk is gone.
pub(crate) fn hammer(path: &Path) {
    let store = RedbStore::open(path).expect("the store opens");
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let store = &store;
            scope.spawn(move || {
                let mine = (0..KEYS).filter(|n| n % THREADS == thread);
                let version = |n: &u64| Some(block_on(store.get(record(*n, 1).key)).ok()??.version);
                let mut versions: Vec<_> = mine.map(|n| (n, version(&n).unwrap_or(0))).collect();
                loop {
                    for (n, version) in &mut versions {
                        match block_on(store.commit(record(*n, *version + 1))) {
                            Ok(outcome) => assert_eq!(outcome, Commit::Applied),
                            Err(_) => return,
                        }
                        *version += 1;
                        acknowledge(*n, *version);
                    }
                }
            });
        }
    });
}

/// In the parent: every acknowledged commit is there, or a later one of the same key; nothing is altered or half there.
/// Returns how many acknowledged commits are not there.
pub(crate) fn lost(path: &Path, acknowledged: &Acknowledged) -> usize {
    let store = RedbStore::open(path).expect("the store opens after a crash");
    let mut lost = 0;
    for n in 0..KEYS {
        let found = block_on(store.get(record(n, 1).key)).expect("the store reads");
        let version = found.as_ref().map_or(0, |record| record.version);
        lost += usize::from(version < acknowledged.get(&n).copied().unwrap_or(0));
        assert!(found.is_none_or(|found| found == record(n, version)), "altered");
    }
    lost
}

/// A child, and what it said so far.
pub(crate) struct Hammer {
    child: Child,
    reader: Option<JoinHandle<()>>,
    heard: Arc<Mutex<Heard>>,
}

#[derive(Default)]
struct Heard {
    newest: Acknowledged,
    commits: usize,
}

impl Hammer {
    /// Run the test `child` of this test binary with `variable` set to `path`.
    pub(crate) fn start(child: &str, variable: &str, path: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", child, "--nocapture", "--test-threads=1"])
            .env(variable, path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let heard = Arc::default();
        let reader = thread::spawn({
            let (output, heard) = (child.stdout.take().unwrap(), Arc::clone(&heard));
            move || read(output, &heard)
        });
        Self { child, reader: Some(reader), heard }
    }

    /// What has been heard until now.
    pub(crate) fn heard(&self) -> Acknowledged {
        self.heard.lock().unwrap().newest.clone()
    }

    /// Wait until so many commits are acknowledged.
    pub(crate) fn wait(&self, commits: usize) {
        let begun = Instant::now();
        while self.heard.lock().unwrap().commits < commits {
            assert!(begun.elapsed() < Duration::from_secs(60), "not {commits} commits in a minute");
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Kill the child and return all that it said.
    pub(crate) fn kill(&mut self) -> Acknowledged {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.reader.take().map(JoinHandle::join);
        self.heard()
    }
}

impl Drop for Hammer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn read(output: ChildStdout, heard: &Mutex<Heard>) {
    let mut output = BufReader::new(output);
    let mut line = String::new();
    // A line without its end was cut off and says nothing.
    while output.read_line(&mut line).is_ok_and(|_| line.ends_with('\n')) {
        // The harness may have begun the line.
        if let Some((n, version)) = line.split_once("ack ").and_then(|(_, ack)| ack.trim_end().split_once(' ')) {
            let mut heard = heard.lock().unwrap();
            heard.newest.insert(n.parse().unwrap(), version.parse().unwrap());
            heard.commits += 1;
        }
        line.clear();
    }
}
