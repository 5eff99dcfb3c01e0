//! Sends the requests of a provider with reqwest, as the documentation of `HttpClient` shows.

use http::{Request, Response};
use mcp_token_lifecycle::vault::UpstreamError;

pub async fn send(http: reqwest::Client, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, UpstreamError> {
    let request = request.try_into().map_err(UpstreamError::unavailable)?;
    let sent = http.execute(request).await;
    let class =
        |e: reqwest::Error| if e.is_connect() { UpstreamError::unavailable(e) } else { UpstreamError::uncertain(e) };
    let mut answer = sent.map_err(class)?;
    let mut response = Response::new(Vec::new());
    *response.status_mut() = answer.status();
    *response.headers_mut() = std::mem::take(answer.headers_mut());
    while let Some(chunk) = answer.chunk().await.map_err(UpstreamError::uncertain)? {
        response.body_mut().extend_from_slice(&chunk);
        if response.body().len() > 65_536 {
            return Err(UpstreamError::uncertain("the response is longer than 65536 bytes"));
        }
    }
    Ok(response)
}
