//! reqwest as the HTTP client of a provider.

use std::time::Duration;

use http::{Request, Response};
use reqwest::redirect::Policy;

use super::http_client::HttpClient;
use crate::store::BoxFuture;
use crate::vault::UpstreamError;

/// The longest answer, in bytes.
const MAX: usize = 64 * 1024;

/// [reqwest](https://docs.rs/reqwest) as the [`HttpClient`] of an [`OAuthProvider`](crate::vault::OAuthProvider) (feature
/// `reqwest`).
///
/// It follows no redirect, waits at most 20 seconds for an answer, and reads at most 64 KiB of it. The crate switches on no
/// TLS implementation: choose one with a feature of your own dependency on reqwest, such as `rustls`. Without one each
/// request to an `https` URL fails as [`UpstreamError::Unavailable`].
///
/// ```no_run
/// use mcp_token_lifecycle::vault::{OAuthProvider, ReqwestClient, SecretText, Service};
///
/// let service = Service::github("Iv1.0123456789abcdef", SecretText::new("the client secret"))?;
/// let provider = OAuthProvider::new(service, ReqwestClient::new()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ReqwestClient(reqwest::Client);

impl ReqwestClient {
    /// Creates a client with reqwest's defaults.
    ///
    /// # Errors
    ///
    /// reqwest's error if its TLS implementation cannot start.
    pub fn new() -> reqwest::Result<Self> {
        Self::from_builder(reqwest::Client::builder(), Duration::from_secs(20))
    }

    /// Creates a client from `builder`, with a proxy or a root certificate for example, that waits for an answer for at most
    /// `timeout`. The redirect policy of `builder` is replaced.
    ///
    /// # Errors
    ///
    /// reqwest's error for a builder that it refuses.
    pub fn from_builder(builder: reqwest::ClientBuilder, timeout: Duration) -> reqwest::Result<Self> {
        builder.redirect(Policy::none()).timeout(timeout).build().map(Self)
    }

    async fn exchange(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, UpstreamError> {
        let request = request.try_into().map_err(UpstreamError::unavailable)?;
        let mut answer =
            self.0.execute(request).await.map_err(|error| match error.is_connect() || error.is_builder() {
                true => UpstreamError::unavailable(error),
                false => UpstreamError::uncertain(error),
            })?;
        let mut response = Response::new(Vec::new());
        *response.status_mut() = answer.status();
        *response.headers_mut() = std::mem::take(answer.headers_mut());
        while let Some(chunk) = answer.chunk().await.map_err(UpstreamError::uncertain)? {
            let length = response.body().len() + chunk.len();
            if length > MAX {
                return Err(UpstreamError::uncertain(format!("the answer must be at most {MAX} bytes, got {length}")));
            }
            response.body_mut().extend_from_slice(&chunk);
        }
        Ok(response)
    }
}

impl HttpClient for ReqwestClient {
    fn send(&self, request: Request<Vec<u8>>) -> BoxFuture<'_, Result<Response<Vec<u8>>, UpstreamError>> {
        Box::pin(self.exchange(request))
    }
}
