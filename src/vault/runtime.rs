//! What the vault needs of the asynchronous runtime.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_channel::oneshot;

use crate::store::BoxFuture;

/// How the vault sleeps and spawns background tasks.
///
/// A refresh runs as a background task, so that it completes and its result is stored even if the caller drops its
/// future. The service may have rotated the refresh token by then.
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
    /// Creates a runtime that sleeps with `sleep` and runs background tasks with `spawn`.
    pub fn new<F: Future<Output = ()> + Send + 'static>(
        sleep: impl Fn(Duration) -> F + Send + Sync + 'static,
        spawn: impl Fn(BoxFuture<'static, ()>) + Send + Sync + 'static,
    ) -> Self {
        Self { sleep: Arc::new(move |duration| Box::pin(sleep(duration))), spawn: Arc::new(spawn) }
    }

    /// Waits for `duration`.
    pub(crate) async fn sleep(&self, duration: Duration) {
        (self.sleep)(duration).await;
    }

    /// Returns the output of `future`, or `None` if it does not complete within `limit`.
    pub(crate) async fn within<T>(&self, limit: Duration, future: impl Future<Output = T>) -> Option<T> {
        let (mut future, mut limit) = (pin!(future), (self.sleep)(limit));
        poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => limit.as_mut().poll(cx).map(|()| None),
        })
        .await
    }

    /// Runs `task` in the background.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        (self.spawn)(Box::pin(task));
    }

    /// Runs `task` in the background and returns a receiver for its output. The task continues if the receiver is
    /// dropped. The receiver gets `Canceled` if the runtime drops the task.
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
