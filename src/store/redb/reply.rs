//! The channel for the answer to a job.

use futures_channel::oneshot;

use crate::store::StoreError;

/// The channel for the answer of a thread. The receiver may be gone; the work is done all the same.
pub(super) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;
