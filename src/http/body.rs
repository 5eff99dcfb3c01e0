//! Bodies: what is answered, and how a request's is read up to a limit.

use std::convert::Infallible;
use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};

/// The largest message to an MCP server that is read, in bytes, unless the application says otherwise.
pub(super) const MAX_MESSAGE: usize = 4 * 1024 * 1024;

/// A response body that is in memory as a whole.
#[derive(Default)]
pub struct ResponseBody(Bytes);

impl ResponseBody {
    /// Its bytes, for a transport that has no use for [`http_body::Body`].
    pub fn into_bytes(self) -> Bytes {
        self.0
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl<T: Into<Bytes>> From<T> for ResponseBody {
    fn from(bytes: T) -> Self {
        Self(bytes.into())
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = std::mem::take(&mut self.0);
        Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.len() as u64)
    }
}

/// Shows the length: what is in it may be a token.
impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ResponseBody({} bytes)", self.0.len())
    }
}

/// Why a request's body could not be read.
#[derive(Clone, Copy)]
pub(super) enum Unreadable {
    TooLong,
    Broken,
}

/// The whole body, if it has at most `limit` bytes; not more than that is read.
pub(super) async fn read<B: Body>(body: B, limit: usize) -> Result<Vec<u8>, Unreadable> {
    let mut body = pin!(body);
    let mut bytes = Vec::new();
    while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        let frame = frame.map_err(|_| Unreadable::Broken)?;
        let Ok(mut data) = frame.into_data() else { continue };
        if data.remaining() > limit - bytes.len() {
            return Err(Unreadable::TooLong);
        }
        while data.has_remaining() {
            let chunk = data.chunk();
            bytes.extend_from_slice(chunk);
            let length = chunk.len();
            data.advance(length);
        }
    }
    Ok(bytes)
}

/// Read to the end of `body`, or until more than `left` bytes have come, and keep none of it. How long that may take is for the
/// transport to limit.
pub(super) fn poll_discard<B: Body>(mut body: Pin<&mut B>, left: &mut usize, cx: &mut Context<'_>) -> Poll<()> {
    while let Some(Ok(frame)) = ready!(body.as_mut().poll_frame(cx)) {
        match left.checked_sub(frame.data_ref().map_or(0, Buf::remaining)) {
            Some(rest) => *left = rest,
            None => break,
        }
    }
    Poll::Ready(())
}
