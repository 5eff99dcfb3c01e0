//! The one thing that the application brings: how to send a request.

use std::future::Future;

use http::{Request, Response};

use crate::store::BoxFuture;
use crate::vault::UpstreamError;

/// Sends a request and reads the answer. Any `Fn(Request<Vec<u8>>) -> impl Future` is one.
///
/// What it has to do, for nothing else can:
///
/// * **Tell apart** what certainly was not sent ([`UpstreamError::unavailable`]: no connection) from what may have been carried
///   out ([`UpstreamError::uncertain`]: everything after that).
/// * **Limit the time**, and **bound the answer**: no token response is longer than a few kilobytes.
/// * **Follow no redirect**: the request carries a refresh token and a client secret. A 3xx is passed on, and refused.
/// * **Log neither headers nor bodies.** The `Authorization` header is marked as sensitive.
///
/// The request is the application's once it has been handed over, and so is whatever copies its HTTP client makes of the body:
/// they are not zeroized.
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
///             return Err(UpstreamError::uncertain("the answer is too long"));
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
    /// Send `request` and read the whole answer, whatever its status.
    ///
    /// # Errors
    ///
    /// [`UpstreamError::Unavailable`] if certainly nothing was sent, [`UpstreamError::Uncertain`] otherwise. Neither may carry
    /// anything of the request but its address.
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
