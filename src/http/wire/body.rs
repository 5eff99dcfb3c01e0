//! Response bodies, and reading of request bodies up to a limit.
//!
//! `http-body-util` does not fit. Its `Collected` keeps each frame, so a body in frames of one byte would take 32 times
//! its length. Its `Limited` asks more of the error type of a body, and `Full` prints its content with `Debug`.

use std::convert::Infallible;
use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};

/// The largest message to an MCP server in bytes, unless the application sets another limit. It is the limit of the
/// TypeScript SDK for MCP, so messages that other servers accept are accepted here.
pub(in crate::http) const MAX_MESSAGE: usize = 4 * 1024 * 1024;

/// The size of the blocks for a body of unknown length, which are not moved before it is complete.
const BLOCK: usize = 64 * 1024;

/// A response body in memory.
#[derive(Default)]
pub struct ResponseBody(Bytes);

impl ResponseBody {
    /// Returns the bytes, for a transport that does not use [`http_body::Body`].
    pub fn into_bytes(self) -> Bytes {
        self.0
    }

    /// The length in bytes.
    pub(in crate::http) fn len(&self) -> usize {
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

/// Shows the length alone, because the content may be a token.
impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ResponseBody({} bytes)", self.0.len())
    }
}

/// Why a request's body could not be read.
#[derive(Clone, Copy)]
pub(in crate::http) enum Unreadable {
    TooLong,
    Broken,
}

/// Reads the complete body if it has at most `limit` bytes, and stops reading beyond that.
///
/// A body in one piece is returned without a copy if its data are [`Bytes`]. A body of known length takes that much
/// memory. Any other takes at most twice its length and one block: its blocks, and the copy of them in one piece.
pub(in crate::http) async fn read<B: Body>(body: B, limit: usize) -> Result<Bytes, Unreadable> {
    let mut body = pin!(body);
    let mut whole = Whole::default();
    while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        let frame = frame.map_err(|_| Unreadable::Broken)?;
        let Ok(mut data) = frame.into_data() else { continue };
        if data.remaining() > limit - whole.len {
            return Err(Unreadable::TooLong);
        }
        if whole.len == 0 && body.is_end_stream() {
            return Ok(data.copy_to_bytes(data.remaining()));
        }
        let rest = body.size_hint().exact().map_or(0, |rest| usize::try_from(rest).unwrap_or(limit));
        whole.push(data, rest.min(limit - whole.len));
    }
    Ok(whole.into_bytes())
}

/// A body in several pieces.
#[derive(Default)]
struct Whole {
    len: usize,
    blocks: Vec<Vec<u8>>,
}

impl Whole {
    /// Adds `data`, after which `rest` more bytes are announced.
    fn push(&mut self, mut data: impl Buf, rest: usize) {
        self.len += data.remaining();
        while data.has_remaining() {
            match self.blocks.last_mut().filter(|block| block.len() < block.capacity()) {
                Some(block) => {
                    let chunk = data.chunk();
                    let length = chunk.len().min(block.capacity() - block.len());
                    block.extend_from_slice(&chunk[..length]);
                    data.advance(length);
                }
                None => {
                    let unannounced = self.len.clamp(1024, BLOCK);
                    let size = if rest > 0 { data.remaining() + rest } else { unannounced };
                    self.blocks.push(Vec::with_capacity(size));
                }
            }
        }
    }

    fn into_bytes(mut self) -> Bytes {
        match &mut self.blocks[..] {
            [only] if only.len() == only.capacity() => Bytes::from(std::mem::take(only)),
            blocks => Bytes::from(blocks.concat()),
        }
    }
}

/// Reads and discards `body` to its end, or until more than `left` bytes have come. The transport has to limit how long
/// that takes.
pub(in crate::http) fn poll_discard<B: Body>(
    mut body: Pin<&mut B>,
    left: &mut usize,
    cx: &mut Context<'_>,
) -> Poll<()> {
    while let Some(Ok(frame)) = ready!(body.as_mut().poll_frame(cx)) {
        match left.checked_sub(frame.data_ref().map_or(0, Buf::remaining)) {
            Some(rest) => *left = rest,
            None => break,
        }
    }
    Poll::Ready(())
}
