//! A store that suspends before and after every call, and the means to cut a future off at each of its suspensions.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use mcp_token_lifecycle::{Commit, Cursor, Page, Record, RecordKey, Select, StoreError, Timestamp, TokenStore};

/// What the store inside does at once takes its time here.
pub struct Pausing<S>(pub S);

impl<S: TokenStore> TokenStore for Pausing<S> {
    async fn get(&self, key: RecordKey) -> Result<Option<Record>, StoreError> {
        between_pauses(self.0.get(key)).await
    }

    async fn commit(&self, record: Record) -> Result<Commit, StoreError> {
        between_pauses(self.0.commit(record)).await
    }

    async fn list(&self, select: Select, after: Option<Cursor>, limit: usize) -> Result<Page, StoreError> {
        between_pauses(self.0.list(select, after, limit)).await
    }

    async fn purge(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        between_pauses(self.0.purge(now, limit)).await
    }
}

async fn between_pauses<T>(call: impl Future<Output = T>) -> T {
    pause().await;
    let result = call.await;
    pause().await;
    result
}

/// Pending once.
async fn pause() {
    let mut polled = false;
    poll_fn(|cx| {
        cx.waker().wake_by_ref();
        if std::mem::replace(&mut polled, true) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// Drive `future`, and drop it where it suspends after `polls` polls. Its output, if it came to its end.
pub fn cut_off<F: Future>(future: F, polls: usize) -> Option<F::Output> {
    let waker = Waker::from(Arc::new(super::Unpark(std::thread::current())));
    let mut future = pin!(future);
    for poll in 1..=polls {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return Some(output),
            Poll::Pending if poll < polls => std::thread::park(),
            Poll::Pending => {}
        }
    }
    None
}
