//! Drives a future on the calling thread, for stores that need no runtime.

use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use crate::store::BoxFuture;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

pub(super) fn park_and_poll(mut future: BoxFuture<'_, ()>) {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut cx = Context::from_waker(&waker);
    while let Poll::Pending = future.as_mut().poll(&mut cx) {
        thread::park();
    }
}
