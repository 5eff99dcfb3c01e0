//! An error as a page, for a person in a browser.

use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue, VARY};
use http::{Response, StatusCode};
use serde::Deserialize;

use super::body::ResponseBody;
use super::reply::Reply;

/// The members of an error response that the page shows.
#[derive(Deserialize)]
struct Shown<'a> {
    error: &'a str,
    error_description: Option<&'a str>,
}

/// Turns an error in JSON into a page if the client prefers HTML (RFC 9110 §12.5.1), as a browser does that follows a link.
///
/// The status and the headers stay. The page repeats nothing that the client sent.
pub(in crate::http) fn for_person(headers: &HeaderMap, reply: Reply) -> Reply {
    let (mut parts, body) = reply.into_parts();
    parts.headers.append(VARY, HeaderValue::from_static("accept"));
    let body = body.into_bytes();
    let shown = serde_json::from_slice(&body).ok().filter(|_| prefers_html(headers));
    let Some(Shown { error, error_description }) = shown else { return Response::from_parts(parts, body.into()) };
    let (title, advice) = if parts.status == StatusCode::SERVICE_UNAVAILABLE {
        ("The service is not available", "Reload this page in a moment.")
    } else {
        (
            "This request cannot be completed",
            "Go back to the application that sent you here and start again. If that does not help, send the developer of the \
             application the line below.",
        )
    };
    let description = error_description.unwrap_or("no further description");
    let page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>{title}</title>\n<h1>{title}</h1>\n<p>{advice}</p>\n<p><code>{} {}: {}</code></p>\n</html>\n",
        parts.status.as_u16(),
        escaped(error),
        escaped(description),
    );
    parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    Response::from_parts(parts, ResponseBody::from(page))
}

/// Whether the client names HTML, and JSON not at all or with a lower weight, or with the same weight and later.
fn prefers_html(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let (mut html, mut json) = (0.0, 0.0);
    for range in values.flat_map(|value| value.split(',')) {
        let (name, parameters) = range.split_once(';').unwrap_or((range, ""));
        let weight = parameters.split(';').find_map(|parameter| parameter.trim().strip_prefix("q="));
        let weight: f32 = weight.map_or(1.0, |weight| weight.trim().parse().unwrap_or(0.0));
        if name.trim().eq_ignore_ascii_case("text/html") && weight > json {
            html = weight;
        } else if name.trim().eq_ignore_ascii_case("application/json") {
            json = weight;
        }
    }
    html > 0.0 && html >= json
}

/// Escapes `text` for the content of an element.
pub(in crate::http) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
