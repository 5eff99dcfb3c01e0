//! The timer of the bearer check, from the application's runtime.

use std::time::Duration;

use crate::store::BoxFuture;

/// Waits for a duration.
pub(super) type Sleep = dyn Fn(Duration) -> BoxFuture<'static, ()> + Send + Sync;
