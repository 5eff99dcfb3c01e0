//! The one loop for compare-and-swap.

use std::future::Future;

use crate::error::{Error, ErrorKind};

/// How often a write is tried when it meets conflicts. Each conflict means that another write succeeded.
pub(crate) const MAX_ATTEMPTS: usize = 128;

/// Loads, decides and commits by `attempt`, again after each conflict, and returns the result of the attempt that met
/// none.
///
/// An attempt returns `None` if its commit was a conflict: another write came between, so the decision has no effect and
/// the next attempt loads again. Any other failure ends the loop. After [`StoreError::Unavailable`] nothing was written;
/// after [`StoreError::Uncertain`] the write may have happened, and only a new request of the client may find out.
///
/// # Errors
///
/// The error of an attempt, or [`ErrorKind::Contention`] after [`MAX_ATTEMPTS`] conflicts.
///
/// [`StoreError::Unavailable`]: crate::StoreError::Unavailable
/// [`StoreError::Uncertain`]: crate::StoreError::Uncertain
pub(crate) async fn compare_and_swap<T, E, F>(attempt: impl Fn() -> F) -> Result<T, E>
where
    E: From<Error>,
    F: Future<Output = Result<Option<T>, E>>,
{
    for _ in 0..MAX_ATTEMPTS {
        if let Some(done) = attempt().await? {
            return Ok(done);
        }
    }
    Err(Error::new(ErrorKind::Contention).into())
}
