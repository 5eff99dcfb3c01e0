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

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Runs the loop with `conflicts` conflicts before a success. Returns the result and the number of attempts.
    fn run(conflicts: usize) -> (Result<(), ErrorKind>, usize) {
        let attempts = Cell::new(0);
        let done = pollster::block_on(compare_and_swap(async || {
            attempts.set(attempts.get() + 1);
            Ok::<_, Error>((attempts.get() > conflicts).then_some(()))
        }));
        (done.map_err(|error| error.kind()), attempts.get())
    }

    #[test]
    fn conflict_leads_to_another_attempt() {
        assert_eq!(run(0), (Ok(()), 1));
        assert_eq!(run(MAX_ATTEMPTS - 1), (Ok(()), MAX_ATTEMPTS));
    }

    #[test]
    fn conflicts_without_end_are_contention() {
        assert_eq!(run(MAX_ATTEMPTS), (Err(ErrorKind::Contention), MAX_ATTEMPTS));
    }

    #[test]
    fn error_of_an_attempt_ends_the_loop() {
        let attempts = Cell::new(0);
        let done = pollster::block_on(compare_and_swap(async || {
            attempts.set(attempts.get() + 1);
            Err::<Option<()>, _>(Error::new(ErrorKind::StoreUncertain))
        }));
        assert_eq!((done.unwrap_err().kind(), attempts.get()), (ErrorKind::StoreUncertain, 1));
    }
}
