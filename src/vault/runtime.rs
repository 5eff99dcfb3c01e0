//! What the vault asks of the asynchronous runtime, whichever it is.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_channel::oneshot;

use crate::store::BoxFuture;

/// How to wait, and how to go on when nobody listens any more: a refresh that has been sent is seen through to the end, even if
/// the call that set it off is dropped, because the service may have rotated the refresh token.
///
/// ```
/// # use mcp_token_lifecycle::vault::Runtime;
/// let runtime = Runtime::new(tokio::time::sleep, |task| {
///     tokio::spawn(task);
/// });
/// ```
#[derive(Clone)]
pub struct Runtime {
    sleep: Arc<dyn Fn(Duration) -> BoxFuture<'static, ()> + Send + Sync>,
    spawn: Arc<dyn Fn(BoxFuture<'static, ()>) + Send + Sync>,
}

impl Runtime {
    /// A runtime that waits with `sleep` and runs tasks in the background with `spawn`.
    pub fn new<F: Future<Output = ()> + Send + 'static>(
        sleep: impl Fn(Duration) -> F + Send + Sync + 'static,
        spawn: impl Fn(BoxFuture<'static, ()>) + Send + Sync + 'static,
    ) -> Self {
        Self { sleep: Arc::new(move |duration| Box::pin(sleep(duration))), spawn: Arc::new(spawn) }
    }

    pub(crate) async fn sleep(&self, duration: Duration) {
        (self.sleep)(duration).await;
    }

    /// The output of `future`, if it comes to its end within `limit`.
    pub(crate) async fn within<T>(&self, limit: Duration, future: impl Future<Output = T>) -> Option<T> {
        let (mut future, mut limit) = (pin!(future), (self.sleep)(limit));
        poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => limit.as_mut().poll(cx).map(|()| None),
        })
        .await
    }

    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        (self.spawn)(Box::pin(task));
    }

    /// What `task` comes to, which goes on if nobody listens any more. `Canceled` if the runtime has dropped it.
    pub(crate) fn in_background<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> oneshot::Receiver<T> {
        let (done, wait) = oneshot::channel();
        self.spawn(async move { drop(done.send(task.await)) });
        wait
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime").finish_non_exhaustive()
    }
}
