//! How the bearer check waits: on the runtime of the application.

use std::time::Duration;

use crate::store::BoxFuture;

/// How to wait.
pub(super) type Sleep = dyn Fn(Duration) -> BoxFuture<'static, ()> + Send + Sync;
