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
/// With [reqwest](https://docs.rs/reqwest):
///
/// ```ignore
/// # use std::time::Duration;
/// use http::{Request, Response};
/// use mcp_token_lifecycle::vault::UpstreamError;
///
/// async fn send(http: reqwest::Client, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, UpstreamError> {
///     let request = request.try_into().map_err(UpstreamError::unavailable)?;
///     let sent = http.execute(request).await;
///     let mut answer =
///         sent.map_err(|error| if error.is_connect() { UpstreamError::unavailable(error) } else { UpstreamError::uncertain(error) })?;
///     let mut response = Response::new(Vec::new());
///     *response.status_mut() = answer.status();
///     *response.headers_mut() = std::mem::take(answer.headers_mut());
///     while let Some(chunk) = answer.chunk().await.map_err(UpstreamError::uncertain)? {
///         response.body_mut().extend_from_slice(&chunk);
///         if response.body().len() > 65_536 {
///             return Err(UpstreamError::uncertain("the answer must be at most 65536 bytes"));
///         }
///     }
///     Ok(response)
/// }
///
/// # use mcp_token_lifecycle::vault::{OAuthProvider, SecretText, Service};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let http = reqwest::Client::builder()
///     .redirect(reqwest::redirect::Policy::none())
///     .timeout(Duration::from_secs(20))
///     .build()?;
/// let service = Service::github("Iv1.0123456789abcdef", SecretText::new("the client secret"))?;
/// let provider = OAuthProvider::new(service, move |request| send(http.clone(), request));
/// # Ok(()) }
/// ```
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
