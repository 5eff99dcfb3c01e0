//! The HTTP client, which the application provides.

use std::future::Future;

use http::{Request, Response};

use crate::store::BoxFuture;
use crate::vault::UpstreamError;

/// Sends a request and reads the answer. A closure `Fn(Request<Vec<u8>>) -> impl Future` implements it.
///
/// An implementation must:
///
/// * **Tell apart** a request that was certainly not sent ([`UpstreamError::unavailable`]: no connection) from one that
///   may have been carried out ([`UpstreamError::uncertain`]: all later failures).
/// * **Limit the time and the size of the answer.** No token response is longer than a few kilobytes.
/// * **Follow no redirect.** The request carries a refresh token and a client secret. Return a 3xx as it is; the
///   provider refuses it.
/// * **Log neither headers nor bodies.** The `Authorization` header is marked as sensitive.
///
/// The provider does not zeroize the request after it was handed over, nor the copies that the HTTP client makes of its
/// body.
///
/// The feature `reqwest` has one that is ready: `ReqwestClient`.
pub trait HttpClient: Send + Sync {
    /// Sends `request` and reads the complete answer, with any status.
    ///
    /// # Errors
    ///
    /// [`UpstreamError::Unavailable`] if the request was certainly not sent, otherwise [`UpstreamError::Uncertain`].
    /// Neither may contain anything of the request except its address.
    fn send(&self, request: Request<Vec<u8>>) -> BoxFuture<'_, Result<Response<Vec<u8>>, UpstreamError>>;
}

impl<F, Answer> HttpClient for F
where
    F: Fn(Request<Vec<u8>>) -> Answer + Send + Sync,
    Answer: Future<Output = Result<Response<Vec<u8>>, UpstreamError>> + Send + 'static,
{
    fn send(&self, request: Request<Vec<u8>>) -> BoxFuture<'_, Result<Response<Vec<u8>>, UpstreamError>> {
        Box::pin(self(request))
    }
}
