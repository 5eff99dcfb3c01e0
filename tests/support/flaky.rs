//! A store that misbehaves on order, counts what it is asked, and remembers every record it was given.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Poll, Waker};

use mcp_token_lifecycle::{
    Commit, Cursor, MemoryStore, Page, Record, RecordKey, Select, StoreError, Timestamp, TokenStore,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Get,
    Commit,
    List,
    Purge,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The operation did not happen, and the store says so.
    Unavailable,
    /// It did not happen, and the store does not know.
    UncertainUndone,
    /// It happened, and the store does not know.
    UncertainDone,
    /// Another writer was faster, it says. For commits only.
    Conflict,
}

/// Operations wait as long as it lives.
pub struct Hold(Arc<Mutex<Vec<Waker>>>);

impl Drop for Hold {
    fn drop(&mut self) {
        let gate = std::mem::take(&mut self.0);
        let wakers = std::mem::take(&mut *gate.lock().unwrap());
        drop(gate);
        wakers.into_iter().for_each(Waker::wake);
    }
}

type Gate = Weak<Mutex<Vec<Waker>>>;

/// Waits until the gate is dropped.
async fn opened(gate: Gate) {
    poll_fn(|cx| match gate.upgrade() {
        Some(gate) => {
            gate.lock().unwrap().push(cx.waker().clone());
            Poll::Pending
        }
        None => Poll::Ready(()),
    })
    .await;
}

type Interlude = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct State {
    operations: Vec<Op>,
    journal: Vec<Record>,
    at: BTreeMap<usize, Fault>,
    every: Option<(Op, Fault)>,
    held: Option<(Op, Gate)>,
    late: Option<Gate>,
    interlude: Option<Interlude>,
}

#[derive(Default)]
pub struct FlakyStore<S> {
    inner: S,
    state: Mutex<State>,
}

impl<S> FlakyStore<S> {
    pub fn new(inner: S) -> Self {
        Self { inner, state: Mutex::default() }
    }

    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// Let the operation that comes after `skip` others meet `fault`.
    pub fn fail_after(&self, skip: usize, fault: Fault) {
        let mut state = self.state.lock().unwrap();
        let number = state.operations.len() + skip;
        state.at.insert(number, fault);
    }

    pub fn fail_every(&self, op: Op, fault: Fault) {
        self.state.lock().unwrap().every = Some((op, fault));
    }

    /// Let every `op` that begins from now on wait until what is returned is dropped.
    pub fn hold(&self, op: Op) -> Hold {
        let gate = Arc::default();
        self.state.lock().unwrap().held = Some((op, Arc::downgrade(&gate)));
        Hold(gate)
    }

    async fn wait(&self, op: Op) {
        let held = self.state.lock().unwrap().held.clone().filter(|(held, _)| *held == op);
        if let Some((_, gate)) = held {
            opened(gate).await;
        }
    }

    /// Let every `get` read at once that begins before [`hold_no_answers`](Self::hold_no_answers), and answer when what is returned
    /// is dropped.
    pub fn hold_answers(&self) -> Hold {
        let gate = Arc::default();
        self.state.lock().unwrap().late = Some(Arc::downgrade(&gate));
        Hold(gate)
    }

    pub fn hold_no_answers(&self) {
        self.state.lock().unwrap().late = None;
    }

    /// Misbehave no more.
    pub fn heal(&self) {
        let mut state = self.state.lock().unwrap();
        state.at.clear();
        state.every = None;
    }

    /// Let `act` happen just before the next commit: the worst moment.
    pub fn before_next_commit(&self, act: impl FnOnce() + Send + 'static) {
        self.state.lock().unwrap().interlude = Some(Box::new(act));
    }

    /// What was asked since the last call.
    pub fn operations(&self) -> Vec<Op> {
        let mut state = self.state.lock().unwrap();
        assert!(state.at.is_empty(), "the faults to come are counted from the start");
        std::mem::take(&mut state.operations)
    }

    /// Every record that was written, in order.
    pub fn journal(&self) -> Vec<Record> {
        self.state.lock().unwrap().journal.clone()
    }

    /// The store as it was after the first `writes` writes: a backup.
    pub fn backup(&self, writes: usize) -> MemoryStore {
        let store = MemoryStore::new();
        for record in self.journal().into_iter().take(writes) {
            assert_eq!(super::block_on(store.commit(record)).unwrap(), Commit::Applied);
        }
        store
    }

    fn fault(&self, op: Op) -> Option<Fault> {
        let mut state = self.state.lock().unwrap();
        let number = state.operations.len();
        state.operations.push(op);
        state.at.remove(&number).or(state.every.filter(|(failing, _)| *failing == op).map(|(_, fault)| fault))
    }

    fn error(fault: Fault) -> Option<StoreError> {
        match fault {
            Fault::Unavailable => Some(StoreError::unavailable("connection refused")),
            Fault::UncertainUndone | Fault::UncertainDone => Some(StoreError::uncertain("timeout")),
            Fault::Conflict => None,
        }
    }
}

impl<S: TokenStore> TokenStore for FlakyStore<S> {
    async fn get(&self, key: RecordKey) -> Result<Option<Record>, StoreError> {
        let error = self.fault(Op::Get).and_then(Self::error);
        self.wait(Op::Get).await;
        match error {
            Some(error) => Err(error),
            None => {
                let late = self.state.lock().unwrap().late.clone();
                let found = self.inner.get(key).await;
                if let Some(late) = late {
                    opened(late).await;
                }
                found
            }
        }
    }

    async fn commit(&self, record: Record) -> Result<Commit, StoreError> {
        let interlude = self.state.lock().unwrap().interlude.take();
        if let Some(act) = interlude {
            act();
        }
        let fault = self.fault(Op::Commit);
        let done = match fault {
            None | Some(Fault::UncertainDone) => self.inner.commit(record.clone()).await?,
            Some(_) => Commit::Conflict,
        };
        if done == Commit::Applied {
            self.state.lock().unwrap().journal.push(record);
        }
        match fault.and_then(Self::error) {
            Some(error) => Err(error),
            None => Ok(done),
        }
    }

    async fn list(&self, select: Select, after: Option<Cursor>, limit: usize) -> Result<Page, StoreError> {
        match self.fault(Op::List).and_then(Self::error) {
            Some(error) => Err(error),
            None => self.inner.list(select, after, limit).await,
        }
    }

    async fn purge(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        match self.fault(Op::Purge).and_then(Self::error) {
            Some(error) => Err(error),
            None => self.inner.purge(now, limit).await,
        }
    }
}
