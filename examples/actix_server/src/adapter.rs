//! Converts between the request and response types of actix-web and those of the `http` crate, which this crate uses.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use http_body_util::BodyExt;
use mcp_token_lifecycle::http::ResponseBody;

/// Converts the head of an actix-web request to the types of the `http` crate.
pub fn parts(request: &HttpRequest) -> Result<http::request::Parts, http::Error> {
    let head = http::Request::builder().method(request.method().as_str()).uri(request.uri().to_string());
    let headers = request.headers().iter();
    let head = headers.fold(head, |head, (name, value)| head.header(name.as_str(), value.as_bytes()));
    Ok(head.body(())?.into_parts().0)
}

/// Converts a response of this crate to an actix-web response.
pub async fn response(response: http::Response<ResponseBody>) -> HttpResponse {
    let (parts, body) = response.into_parts();
    let status = StatusCode::from_u16(parts.status.as_u16()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer = HttpResponse::build(status);
    for (name, value) in &parts.headers {
        answer.append_header((name.as_str(), value.as_bytes()));
    }
    match body.collect().await {
        Ok(body) => answer.body(body.to_bytes()),
    }
}
