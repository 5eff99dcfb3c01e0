//! The response body of a protected service, which ends with the token that opened it.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::watch::Following;
use crate::http::wire::body::ResponseBody;

pin_project! {
    /// The body of a protected service, or of a refusal.
    ///
    /// It ends when the access token of its request does: no frame is passed on after the token's expiry. With the live
    /// check, frames are passed on only if the last read of the store is more recent than the interval and showed a
    /// live token. While the store fails, frames pass until the expiry, and the read is repeated every 5 seconds. An
    /// answer that is complete when its body is first polled is passed on as a whole.
    pub struct ProtectedBody<B> {
        #[pin]
        part: Part<B>,
    }
}

pin_project! {
    #[project = PartProjection]
    enum Part<B> {
        Serve {
            // `None` after the token has ended.
            #[pin]
            body: Option<B>,
            gate: Gate,
            // The first frame, if it came before the token was checked.
            held: Option<Frame<Bytes>>,
        },
        Refuse { body: ResponseBody },
    }
}

/// Whether frames pass.
enum Gate {
    /// All frames pass.
    Open,
    /// Frames pass while the token is good.
    Follow { following: Following, is_new: bool },
}

impl<B> ProtectedBody<B> {
    /// Passes all frames of `body`, whose token is checked elsewhere.
    pub(super) fn serve(body: B) -> Self {
        Self { part: Part::Serve { body: Some(body), gate: Gate::Open, held: None } }
    }

    /// Passes the frames of `body` while the token is good.
    pub(super) fn follow(body: B, following: Following) -> Self {
        Self { part: Part::Serve { body: Some(body), gate: Gate::Follow { following, is_new: true }, held: None } }
    }

    /// The body of a refusal.
    pub(super) fn refuse(body: ResponseBody) -> Self {
        Self { part: Part::Refuse { body } }
    }
}

impl<B: Body<Data = Bytes>> Body for ProtectedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let (mut body, gate, held) = match self.project().part.project() {
            PartProjection::Serve { body, gate, held } => (body, gate, held),
            PartProjection::Refuse { body } => {
                let frame = ready!(Pin::new(body).poll_frame(cx));
                return Poll::Ready(frame.map(|frame| frame.map_err(|never| match never {})));
            }
        };
        let Some(mut inner) = body.as_mut().as_pin_mut() else { return Poll::Ready(None) };
        if let Gate::Follow { following, is_new } = gate {
            // A complete answer passes, because the request was accepted for it. It costs no timer.
            if std::mem::take(is_new)
                && let Some(length) = inner.size_hint().exact()
                && let Poll::Ready(first) = inner.as_mut().poll_frame(cx)
            {
                match first {
                    Some(Ok(frame)) if frame.data_ref().is_none_or(|data| (data.len() as u64) < length) => {
                        *held = Some(frame);
                    }
                    whole => return Poll::Ready(whole),
                }
            }
            if !ready!(following.poll_good(cx)) {
                *held = None;
                body.set(None);
                return Poll::Ready(None);
            }
        }
        match held.take() {
            Some(frame) => Poll::Ready(Some(Ok(frame))),
            None => inner.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.part {
            Part::Serve { body, held, .. } => held.is_none() && body.as_ref().is_none_or(Body::is_end_stream),
            Part::Refuse { body } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.part {
            Part::Serve { body: None, .. } => SizeHint::with_exact(0),
            Part::Serve { body: Some(body), held, .. } => {
                let (rest, held) = (body.size_hint(), held.as_ref().and_then(Frame::data_ref).map_or(0, Bytes::len));
                let mut hint = SizeHint::new();
                hint.set_lower(rest.lower().saturating_add(held as u64));
                if let Some(upper) = rest.upper() {
                    hint.set_upper(upper.saturating_add(held as u64));
                }
                hint
            }
            Part::Refuse { body } => body.size_hint(),
        }
    }
}

/// Shows the kind of body, without its content.
impl<B> fmt::Debug for ProtectedBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = match &self.part {
            Part::Serve { body: Some(_), .. } => "served",
            Part::Serve { body: None, .. } => "ended",
            Part::Refuse { .. } => "refused",
        };
        f.debug_tuple("ProtectedBody").field(&part).finish()
    }
}
