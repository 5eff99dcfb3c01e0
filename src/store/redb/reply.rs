//! Where the answer to a job goes.

use futures_channel::oneshot;

use crate::store::StoreError;

/// Where a thread sends its answer. Nobody may be listening any more: the work is done all the same.
pub(super) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;
